using Chat.Domain;
using Chat.Protocol;
using Chat.Tests.Support;

namespace Chat.Tests.Irc;

/// <summary>Who leaves the chat: IRC clients in the same channels hear it once, as QUIT, and why.</summary>
public sealed class QuitTests
{
    private const int Limit = 120_000;

    [Theory(Timeout = Limit)]
    [InlineData("50")]
    [InlineData("0")]
    public async Task Whoever_shares_channels_hears_it_once_and_the_others_not_at_all(string batchFrom)
    {
        await using ServerProcess server = await Start("--presence-batch-from", batchFrom, "--presence-interval", "50");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#a");
        using IrcPeer all = await IrcPeer.InChannel(server.IrcPort, "all", "#a");
        using IrcPeer timed = await IrcPeer.InChannel(server.IrcPort, "timed", "#b", "server-time");
        using IrcPeer none = await IrcPeer.InChannel(server.IrcPort, "none", "#d");
        foreach (IrcPeer peer in (IrcPeer[])[ada, all])
        {
            foreach (string channel in (string[])["#b", "#c"])
            {
                await peer.Send($"JOIN {channel}");
                await peer.Reads($" {channel} :End of /NAMES");
            }
        }

        await all.Send("JOIN #d");
        await all.Reads(" #d :End of /NAMES");
        await ada.Send("QUIT :good night");
        await ada.Reads("ERROR");
        using IrcPeer next = await IrcPeer.InChannel(server.IrcPort, "ada", "#d");

        // Whoever hears that the next one came has heard all that there is to hear of the one before.
        Assert.Equal([":ada!ada@chat QUIT :Quit: good night", ":ada!ada@chat JOIN #d"], Of("ada", await all.ReadsUpTo("ada!ada@chat JOIN #d")));
        Assert.Equal([":ada!ada@chat JOIN #d"], Of("ada", await none.ReadsUpTo("ada!ada@chat JOIN #d")));
        Assert.Equal(":ada!ada@chat QUIT :Quit: good night", await timed.Reads("QUIT"));
        Assert.DoesNotContain(await timed.Ask(), static line => line.Contains("ada", StringComparison.Ordinal));
    }

    [Fact(Timeout = Limit)]
    public async Task The_reason_tells_what_became_of_the_connection_and_nobody_can_feign_another()
    {
        await using ServerProcess server = await Start("--operator", $"root={PasswordHash.Create("correct horse")}");
        using IrcPeer watcher = await IrcPeer.Named(server.IrcPort, "watcher");
        await watcher.Send("OPER root :correct horse");
        await watcher.Reads(" 381 ");
        await watcher.Send("JOIN #a");
        await watcher.Reads(" 366 ");

        using (IrcPeer mute = await IrcPeer.InChannel(server.IrcPort, "mute", "#a"))
        {
            await mute.Send("QUIT");
            Assert.Equal(":mute!mute@chat QUIT :Quit: ", await Quit(watcher));
        }

        using (IrcPeer liar = await IrcPeer.InChannel(server.IrcPort, "liar", "#a"))
        {
            await liar.Send("QUIT :Ping timeout: 4 seconds");
            Assert.Equal(":liar!liar@chat QUIT :Quit: Ping timeout: 4 seconds", await Quit(watcher));
        }

        using (ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "a"))
        {
            await bob.Send(new ClientFrame { Quit = new Chat.Protocol.Quit { Reason = "tea" } });
            Assert.Equal(":bob!bob@chat QUIT :Quit: tea", await Quit(watcher));
        }

        (await IrcPeer.InChannel(server.IrcPort, "gone", "#a")).Dispose();
        Assert.Equal(":gone!gone@chat QUIT :the connection was closed", await Quit(watcher));
        (await ChatPeer.InRoom(server.Port, "lost", "a")).Reset();
        Assert.Equal(":lost!lost@chat QUIT :the connection was reset", await Quit(watcher));
        using (IrcPeer spammer = await IrcPeer.InChannel(server.IrcPort, "spammer", "#a"))
        {
            await watcher.Send("KILL spammer :spam");
            Assert.Equal(":spammer!spammer@chat QUIT :Killed by watcher: spam", await Quit(watcher));
        }
    }

    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whoever_does_not_answer_a_ping_is_said_to_have_timed_out(bool isIrc)
    {
        await using ServerProcess server = await Start("--idle-timeout", "2");
        using IrcPeer watcher = await IrcPeer.InChannel(server.IrcPort, "watcher", "#a");
        using IrcPeer? irc = isIrc ? await IrcPeer.InChannel(server.IrcPort, "silent", "#a") : null;
        using ChatPeer? chat = isIrc ? null : await ChatPeer.InRoom(server.Port, "silent", "a");

        Assert.Equal(":silent!silent@chat QUIT :Ping timeout: 2 seconds", await Quit(watcher));
    }

    [Fact(Timeout = Limit)]
    public async Task Whoever_comes_to_a_big_channel_while_others_quit_hears_of_each_once()
    {
        const int People = 60;
        await using ServerProcess server = await Start("--presence-batch-from", "0", "--presence-interval", "300");
        using IrcPeer watcher = await IrcPeer.InChannel(server.IrcPort, "watcher", "#a");
        List<IrcPeer> people = [];
        for (int index = 0; index < People; index++)
        {
            IrcPeer peer = await IrcPeer.InChannel(server.IrcPort, $"p{index}", "#a");
            await peer.Send("JOIN #b");
            await peer.Reads(" #b :End of /NAMES");
            people.Add(peer);
        }

        foreach (IrcPeer peer in people)
        {
            await peer.Send("QUIT");
        }

        // Of those who quit some are told by the first channel before this, and some behind it.
        await watcher.Send("JOIN #b");
        List<string> quits = [];
        while (quits.Count < People)
        {
            quits.Add(await Quit(watcher));
        }

        await watcher.Send("PART #b");
        await watcher.Reads("PART #b");
        Assert.Equal(Enumerable.Range(0, People).Select(static index => $":p{index}!p{index}@chat QUIT :Quit: ").Order(), quits.Order());
        Assert.DoesNotContain(await watcher.Ask(), static line => line.Contains(" QUIT ", StringComparison.Ordinal));
        people.ForEach(static peer => peer.Dispose());
    }

    /// <summary>The next QUIT; who is pinged meanwhile answers.</summary>
    private static async Task<string> Quit(IrcPeer peer)
    {
        while (true)
        {
            string? line = await peer.Read();
            Assert.NotNull(line);
            if (line.StartsWith("PING ", StringComparison.Ordinal))
            {
                await peer.Send("PONG :x");
            }
            else if (line.Contains(" QUIT ", StringComparison.Ordinal) || line.Contains(" PART ", StringComparison.Ordinal))
            {
                return line;
            }
        }
    }

    private static string[] Of(string name, List<string> lines)
        => [.. lines.Where(line => line.StartsWith($":{name}!", StringComparison.Ordinal))];

    private static Task<ServerProcess> Start(params string[] options) => ServerProcess.Start(["--irc-port", "0", .. options]);
}
