using System.Globalization;
using System.Text;
using Chat.Domain;
using Chat.Tests.Support;

namespace Chat.Tests.Irc;

/// <summary>What the IRC door announces of its limits (005, RPL_ISUPPORT) holds.</summary>
public sealed class LimitsTests
{
    private const int Limit = 120_000;

    private static readonly string Operator = $"root={PasswordHash.Create("correct horse")}";

    [Fact(Timeout = Limit)]
    public async Task Names_and_channels_may_be_as_long_and_as_many_as_announced_and_not_one_more()
    {
        await using ServerProcess server = await Start("--max-rooms-per-person", "3");
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);
        Dictionary<string, string> limits = await Announced(ada);
        string longest = new('a', Number(limits, "NICKLEN"));
        string channel = $"#{new string('c', Number(limits, "CHANNELLEN") - 1)}";

        await ada.Send($"NICK {longest}a");
        Assert.StartsWith(":chat.local 432 ada aaaa", await ada.Read(), StringComparison.Ordinal);
        await ada.Send($"NICK {longest}");
        Assert.Equal($":ada!ada@chat NICK {longest}", await ada.Read());
        await ada.Send($"JOIN {channel}c");
        Assert.StartsWith($":chat.local 403 {longest} #cccc", await ada.Read(), StringComparison.Ordinal);
        await ada.Send($"JOIN {channel}");
        Assert.EndsWith($" JOIN {channel}", await ada.Read(), StringComparison.Ordinal);
        await ada.Reads(" 366 ");
        Assert.Equal("#:3", limits["CHANLIMIT"]);
        await ada.Send("JOIN #b,#c,#d");
        Assert.StartsWith($":chat.local 405 {longest} #d ", await ada.Reads(" 405 "), StringComparison.Ordinal);
    }

    [Theory(Timeout = Limit)]
    [InlineData(20, 20)]
    [InlineData(300, 300)]
    [InlineData(4000, 300)]
    public async Task Topics_reasons_and_absences_that_are_too_long_are_cut_between_two_characters(int maxTopicBytes, int announced)
    {
        await using ServerProcess server = await Start("--max-topic-bytes", $"{maxTopicBytes}", "--operator", Operator);
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);
        Dictionary<string, string> limits = await Announced(ada);
        await ada.Send("OPER root :correct horse");
        await ada.Reads("MODE ada :+o");
        await ada.Send("JOIN #a");
        await ada.Reads(" 366 ");
        using IrcPeer bob = await IrcPeer.Named(server.IrcPort, "bob");

        Assert.Equal((announced, 300, 300), (Number(limits, "TOPICLEN"), Number(limits, "KICKLEN"), Number(limits, "AWAYLEN")));
        foreach (char with in "x\u00e9")
        {
            await bob.Send("JOIN #a");
            await bob.Reads(" 366 ");
            await ada.Send($"TOPIC #a :{Text("TOPICLEN", with, more: 0)}");
            Assert.Equal($":ada!ada@chat TOPIC #a :{Text("TOPICLEN", with, more: 0)}", await bob.Reads("TOPIC"));
            await ada.Send($"TOPIC #a :{Text("TOPICLEN", with, more: 1)}");
            Assert.Equal($":ada!ada@chat TOPIC #a :{Text("TOPICLEN", with, more: 0)}", await bob.Reads("TOPIC"));
            await ada.Send($"AWAY :{Text("AWAYLEN", with, more: 1)}");
            await ada.Reads(" 306 ");
            await bob.Send("PRIVMSG ada :there?");
            Assert.Equal($":chat.local 301 bob ada :{Text("AWAYLEN", with, more: 0)}", await bob.Reads(" 301 "));
            await ada.Send($"KICK #a bob :{Text("KICKLEN", with, more: 1)}");
            Assert.Equal($":ada!ada@chat KICK #a bob :{Text("KICKLEN", with, more: 0)}", await bob.Reads("KICK"));
        }

        // Behind a first byte, characters of two bytes do not end where the limit is.
        string Text(string limit, char with, int more)
            => $"y{new string(with, ((Number(limits, limit) - 1) / Encoding.UTF8.GetByteCount([with])) + more)}";
    }

    [Fact(Timeout = Limit)]
    public async Task A_command_takes_as_many_targets_as_announced()
    {
        await using ServerProcess server = await Start("--operator", Operator);
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);
        Dictionary<string, string> limits = await Announced(ada);
        await ada.Send("OPER root :correct horse");
        await ada.Reads("MODE ada :+o");
        using IrcPeer bob = await IrcPeer.InChannel(server.IrcPort, "bob", "#a");

        Assert.Equal(("1", "4"), (limits["MODES"], limits["MAXTARGETS"]));
        Assert.Equal("JOIN:,PART:,PRIVMSG:4,NOTICE:4,KICK:1,WHOIS:1,NAMES:1,LIST:", limits["TARGMAX"]);
        await ada.Send("PRIVMSG bob,bob,bob,bob,bob :x");
        Assert.Equal(":chat.local 407 ada bob :Too many targets; the limit is 4", await ada.Read());
        await ada.Send("PRIVMSG bob,bob,bob,bob :x", "NOTICE bob,bob,bob,bob,bob :y", "PRIVMSG bob :z");
        Assert.Equal(
            ["PRIVMSG bob :x", "PRIVMSG bob :x", "PRIVMSG bob :x", "PRIVMSG bob :x", "NOTICE bob :y", "NOTICE bob :y", "NOTICE bob :y", "NOTICE bob :y", "PRIVMSG bob :z"],
            (await bob.ReadsUpTo(":z")).Select(static line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]));
        await ada.Send("MODE #a +bb eve bob");
        Assert.StartsWith(":chat.local 472 ada b ", await ada.Read(), StringComparison.Ordinal);
        await ada.Send("KICK #a bob,ada");
        Assert.StartsWith(":chat.local 441 ada bob,ada ", await ada.Read(), StringComparison.Ordinal);
        await ada.Send("WHOIS bob,ada");
        Assert.StartsWith(":chat.local 401 ada bob,ada ", await ada.Read(), StringComparison.Ordinal);
        await ada.Reads(" 318 ");
        await ada.Send("JOIN #a,#b");
        string[] came = [await ada.Reads("JOIN"), await ada.Reads("JOIN")];
        Assert.Equal([":ada!ada@chat JOIN #a", ":ada!ada@chat JOIN #b"], came.Order());
        await ada.Send("PART #a,#b");
        string[] left = [await ada.Reads("PART"), await ada.Reads("PART")];
        Assert.Equal([":ada!ada@chat PART #a", ":ada!ada@chat PART #b"], left.Order());
        await ada.Send("NAMES #a,#b");
        Assert.Equal([":chat.local 353 ada = #a :bob", ":chat.local 366 ada #a :End of /NAMES list"], await ada.ReadsUpTo(" 366 "));
        Assert.Empty(await ada.Ask());
    }

    private static async Task<Dictionary<string, string>> Announced(IrcPeer peer)
    {
        await peer.Send("NICK ada", "USER ada 0 * :x");
        return (await peer.ReadsUpTo(" 422 ")).Where(static line => line.Contains(" 005 ada ", StringComparison.Ordinal))
            .SelectMany(static line => line.Split(" 005 ada ")[1].Split(" :")[0].Split(' '))
            .Select(static token => token.Split('=', 2))
            .ToDictionary(static token => token[0], static token => token.Length > 1 ? token[1] : "");
    }

    private static int Number(Dictionary<string, string> limits, string limit) => int.Parse(limits[limit], CultureInfo.InvariantCulture);

    private static Task<ServerProcess> Start(params string[] options) => ServerProcess.Start(["--irc-port", "0", .. options]);
}
