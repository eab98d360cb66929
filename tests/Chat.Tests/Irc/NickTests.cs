using Chat.Protocol;
using Chat.Tests.Support;

namespace Chat.Tests.Irc;

/// <summary>Who takes another nickname: IRC clients in the same channels hear it once.</summary>
public sealed class NickTests
{
    private const int Limit = 120_000;

    [Theory(Timeout = Limit)]
    [InlineData("50")]
    [InlineData("0")]
    public async Task Whoever_shares_channels_hears_it_once_and_the_others_not_at_all(string batchFrom)
    {
        await using ServerProcess server = await ServerProcess.Start(
            "--irc-port", "0", "--presence-batch-from", batchFrom, "--presence-interval", "50");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#a");
        using IrcPeer all = await IrcPeer.InChannel(server.IrcPort, "all", "#a");
        using IrcPeer timed = await IrcPeer.InChannel(server.IrcPort, "timed", "#b", "server-time");
        using IrcPeer none = await IrcPeer.InChannel(server.IrcPort, "none", "#d");
        foreach (IrcPeer peer in (IrcPeer[])[ada, all, timed])
        {
            foreach (string channel in (string[])["#b", "#c"])
            {
                // To be there already brings no answer.
                await peer.Send($"JOIN {channel}", $"NAMES {channel}");
                await peer.Reads($" {channel} :End of /NAMES");
            }
        }

        await all.Send("JOIN #d");
        await all.Reads(" #d :End of /NAMES");
        using ChatPeer chat = await ChatPeer.InRoom(server.Port, "chat", "a");
        await chat.Request(new ClientFrame { Join = new Join { Room = "c" } });
        await ada.Ask();

        await ada.Send("NICK Countess");
        Assert.Equal(":ada!ada@chat NICK Countess", await ada.Reads("NICK"));
        using ChatPeer next = await ChatPeer.Successor(server.Port, "ada");
        await next.Request(new ClientFrame { Join = new Join { Room = "d" } });

        // Whoever hears of the next one has heard all that there is to hear of the one before.
        Assert.Equal(
            [":ada!ada@chat NICK Countess", ":ada!ada@chat JOIN #d"],
            OfAda(await all.ReadsUpTo("ada!ada@chat JOIN #d")).SkipWhile(static line => line.Contains("JOIN", StringComparison.Ordinal)));
        Assert.Empty(OfAda(await all.Ask()));
        Assert.Equal(":ada!ada@chat NICK Countess", await timed.Reads("NICK"));
        Assert.Empty(OfAda(await timed.Ask()));
        Assert.Equal([":ada!ada@chat JOIN #d"], OfAda(await none.ReadsUpTo("ada!ada@chat JOIN #d")));

        // Frames tell it room by room, as ever.
        string[] rooms =
        [
            (await chat.Read(static frame => frame.Renamed is not null)).Renamed.Room, (await chat.Read(static frame => frame.Renamed is not null)).Renamed.Room,
        ];
        Assert.Equal(["a", "c"], rooms.Order());
    }

    [Fact(Timeout = Limit)]
    public async Task Whoever_comes_to_a_big_channel_while_others_are_renamed_hears_of_each_once()
    {
        const int People = 30;
        await using ServerProcess server = await ServerProcess.Start(
            "--irc-port", "0", "--presence-batch-from", "0", "--presence-interval", "300");
        using IrcPeer watcher = await IrcPeer.InChannel(server.IrcPort, "watcher", "#a");
        List<IrcPeer> people = [];
        for (int index = 0; index < People; index++)
        {
            IrcPeer peer = await IrcPeer.InChannel(server.IrcPort, $"p{index}", "#a");
            await peer.Send("JOIN #b");
            await peer.Reads(" #b :End of /NAMES");
            people.Add(peer);
        }

        for (int index = 0; index < People; index++)
        {
            await people[index].Send($"NICK q{index}");
        }

        await watcher.Send("JOIN #b");
        for (int index = 0; index < People; index++)
        {
            // What the renamed ask is answered when their new name has been told.
            await people[index].Reads($"p{index}@chat NICK q{index}");
            await people[index].Send("TOPIC #b");
            await people[index].Reads($" 331 q{index} #b ");
        }

        await watcher.Send("PART #b");
        List<string> lines = await watcher.ReadsUpTo("watcher!watcher@chat PART #b");
        Assert.Equal(
            Enumerable.Range(0, People).Select(static index => $":p{index}!p{index}@chat NICK q{index}").Order(),
            lines.Where(static line => line.Contains(" NICK ", StringComparison.Ordinal)).Order());
        people.ForEach(static peer => peer.Dispose());
    }

    private static string[] OfAda(List<string> lines) => [.. lines.Where(static line => line.StartsWith(":ada!", StringComparison.Ordinal))];
}
