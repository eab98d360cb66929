using System.Net.Sockets;
using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Server;

/// <summary>What was acknowledged is there after a restart, however the server ended.</summary>
public sealed class HistoryTests
{
    private const int Limit = 180_000;
    private const int KillingLimit = 1_800_000;

    [Fact(Timeout = Limit)]
    public async Task A_resend_gets_the_first_answer_again_also_after_a_restart()
    {
        using var folder = new TemporaryFolder();
        ServerFrame first;
        await using (ServerProcess server = await ServerProcess.Start("--data", folder.Path))
        {
            using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");
            first = await ada.Request(Say("hello", "id-1"));
            ServerFrame again = await ada.Request(Say("hello", "id-1"));
            Assert.Equal((1L, false), (first.Said.Sequence, first.Said.Repetition));
            Assert.Equal((1L, true, first.Said.TimeUnixMilliseconds), (again.Said.Sequence, again.Said.Repetition, again.Said.TimeUnixMilliseconds));
            await server.Program.Signal("TERM");
            Assert.Equal(0, await server.Program.Ends());
        }

        await using ServerProcess next = await ServerProcess.Start("--data", folder.Path);
        using ChatPeer back = await ChatPeer.Named(next.Port, "ada");
        ServerFrame joined = await back.Request(new ClientFrame { Join = new Join { Room = "lobby", Last = 10 } });
        ServerFrame third = await back.Request(Say("hello", "id-1"));
        ServerFrame other = await back.Request(Say("next", "id-2"));

        Assert.Equal(["hello"], joined.Joined.Replay.Select(message => message.Text));
        Assert.Equal((1L, true, first.Said.TimeUnixMilliseconds), (third.Said.Sequence, third.Said.Repetition, third.Said.TimeUnixMilliseconds));
        Assert.Equal((2L, false), (other.Said.Sequence, other.Said.Repetition));
    }

    /// <summary><c>NETPOLL_STRESS=20</c> kills it twenty times as often.</summary>
    [Fact(Timeout = KillingLimit)]
    public async Task A_server_that_is_killed_at_any_moment_loses_no_acknowledged_message_and_shows_none_twice()
    {
        const int Speakers = 4;
        using var folder = new TemporaryFolder();
        var random = new Random(Seed.Next());
        var acknowledged = new int[Speakers];
        List<Message> heard = [];
        for (int kill = StressScale.Rounds(8); kill > 0; kill--)
        {
            await using ServerProcess server = await ServerProcess.Start("--data", folder.Path);
            Task listening = ListenUntilTheEnd(server.Port, heard);
            Task[] speaking = [.. Enumerable.Range(0, Speakers).Select(speaker => SpeakUntilTheEnd(server.Port, speaker, acknowledged))];

            // At any moment: while they come in, or between any two steps of a message.
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(700)), TestContext.Current.CancellationToken);
            server.Program.Kill();
            await Task.WhenAll([listening, .. speaking]);
        }

        await using ServerProcess last = await ServerProcess.Start("--data", folder.Path);
        using ChatPeer reader = await ChatPeer.InRoom(last.Port, "reader", "lobby");
        List<Message> history = await ReadAll(reader);

        Assert.True(acknowledged.Sum() > 0, "nobody was acknowledged anything");
        Assert.Equal(Enumerable.Range(1, history.Count).Select(number => (long)number), history.Select(message => message.Sequence));
        for (int speaker = 0; speaker < Speakers; speaker++)
        {
            // Each once and in the order in which they were said, and at most one more than was acknowledged: the one under way at the end.
            string[] own = [.. history.Where(message => message.From == $"speaker{speaker}").Select(message => message.Text)];
            Assert.Equal(Enumerable.Range(0, own.Length).Select(message => $"{speaker}:{message}"), own);
            Assert.InRange(own.Length, acknowledged[speaker], acknowledged[speaker] + 1);
        }

        // What one who comes back each time was told, live or afterwards, is the same, each message once.
        Assert.Equal(history.Take(heard.Count).Select(message => (message.Sequence, message.Text)), heard.Select(message => (message.Sequence, message.Text)));
    }

    [Fact(Timeout = Limit)]
    public async Task A_data_folder_belongs_to_one_server_at_a_time()
    {
        using var folder = new TemporaryFolder();
        await using ServerProcess server = await ServerProcess.Start("--data", folder.Path);

        await using ProgramProcess second = ServerProcess.Run("--port", "0", "--data", folder.Path);

        Assert.Equal(1, await second.Ends());
        Assert.StartsWith($"chat-server: cannot start: the data folder '{folder.Path}' is in use by another server", Assert.Single(second.Error), StringComparison.Ordinal);
    }

    /// <summary>Says its messages one after the other, each until it is acknowledged, as a client does that comes back.</summary>
    private static Task SpeakUntilTheEnd(int port, int speaker, int[] acknowledged) => UntilTheEnd(async () =>
    {
        using ChatPeer peer = await ChatPeer.InRoom(port, $"speaker{speaker}", "lobby");
        while (true)
        {
            string text = $"{speaker}:{acknowledged[speaker]}";
            ServerFrame answer = await peer.Request(Say(text, text));
            Assert.NotNull(answer.Said);
            acknowledged[speaker]++;
        }
    });

    /// <summary>Takes down all that is said after what was heard before.</summary>
    private static Task ListenUntilTheEnd(int port, List<Message> heard) => UntilTheEnd(async () =>
    {
        using ChatPeer peer = await ChatPeer.Named(port, "listener");
        long since = heard.Count > 0 ? heard[^1].Sequence : 0;
        Joined joined = (await peer.Request(new ClientFrame { Join = new Join { Room = "lobby", Since = since } })).Joined;
        Assert.Null(joined.Gap);
        heard.AddRange(joined.Replay);
        while (true)
        {
            heard.Add((await peer.Read(static frame => frame.Message is not null)).Message);
        }
    });

    private static async Task UntilTheEnd(Func<Task> talk)
    {
        try
        {
            await talk();
        }
        catch (Exception exception) when (exception is IOException or SocketException or InvalidDataException or Xunit.Sdk.NotNullException)
        {
            // The server is gone: the next round goes on where this one was.
        }
    }

    private static async Task<List<Message>> ReadAll(ChatPeer reader)
    {
        List<Message> all = [];
        ServerFrame page;
        do
        {
            page = await reader.Request(new ClientFrame
            {
                ReadHistory = new ReadHistory { Room = "lobby", After = all.Count > 0 ? all[^1].Sequence : 0, Limit = 100 },
            });
            all.AddRange(page.History.Messages);
        }
        while (!page.History.IsLast);
        return all;
    }

    private static ClientFrame Say(string text, string id) => new() { Say = new Say { Room = "lobby", Text = text, MessageId = id } };
}
