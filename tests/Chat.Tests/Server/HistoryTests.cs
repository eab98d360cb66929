using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Server;

/// <summary>What was acknowledged is there after a restart, however the server ended.</summary>
public sealed class HistoryTests
{
    private const int Limit = 180_000;

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

    [Theory(Timeout = Limit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_server_that_is_killed_loses_no_acknowledged_message_and_shows_none_twice(int seed)
    {
        const int Speakers = 4;
        using var folder = new TemporaryFolder();
        var random = new Random(seed);
        List<string>[] acknowledged = [.. Enumerable.Range(0, Speakers).Select(_ => new List<string>())];
        int[] next = new int[Speakers];
        for (int round = 0; round < 3; round++)
        {
            await using ServerProcess server = await ServerProcess.Start("--data", folder.Path);
            Task[] speaking = [.. Enumerable.Range(0, Speakers).Select(speaker => SpeakUntilTheEnd(server.Port, speaker, acknowledged[speaker], next))];
            int enough = acknowledged.Sum(list => list.Count) + 50 + random.Next(200);
            await NetPoll.Tests.Eventually.True("messages are acknowledged", () => acknowledged.Sum(list => { lock (list) { return list.Count; } }) >= enough);
            server.Program.Kill();
            await Task.WhenAll(speaking);
        }

        await using ServerProcess last = await ServerProcess.Start("--data", folder.Path);
        using ChatPeer reader = await ChatPeer.InRoom(last.Port, "reader", "lobby");
        List<Message> history = await ReadAll(reader);

        Assert.Equal(Enumerable.Range(1, history.Count).Select(number => (long)number), history.Select(message => message.Sequence));
        string[] texts = [.. history.Select(message => message.Text)];
        Assert.Equal(texts.Length, texts.Distinct().Count());
        for (int speaker = 0; speaker < Speakers; speaker++)
        {
            string[] own = [.. texts.Where(text => text.StartsWith($"{speaker}:", StringComparison.Ordinal))];
            Assert.Empty(acknowledged[speaker].Except(own));

            // In the order in which they were said, and at most one more than was acknowledged: the one under way at the end.
            Assert.Equal(Enumerable.Range(0, own.Length).Select(message => $"{speaker}:{message}"), own);
            Assert.InRange(own.Length, acknowledged[speaker].Count, acknowledged[speaker].Count + 1);
        }
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
    private static async Task SpeakUntilTheEnd(int port, int speaker, List<string> acknowledged, int[] next)
    {
        using ChatPeer peer = await ChatPeer.InRoom(port, $"speaker{speaker}", "lobby");
        try
        {
            while (true)
            {
                string text = $"{speaker}:{next[speaker]}";
                ServerFrame answer = await peer.Request(Say(text, text));
                Assert.NotNull(answer.Said);
                lock (acknowledged)
                {
                    acknowledged.Add(text);
                }

                next[speaker]++;
            }
        }
        catch (Exception exception) when (exception is IOException or Xunit.Sdk.NotNullException)
        {
            // The server is gone: the next round begins with the message that was under way.
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
