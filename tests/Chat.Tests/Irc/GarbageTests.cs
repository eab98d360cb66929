using System.Text;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Irc;

/// <summary>Whatever comes by the IRC door: it is answered or sent away, and nobody else notices.</summary>
public sealed class GarbageTests
{
    private const int Limit = 600_000;
    private const int LinesEach = 200;

    private static readonly string[] Commands =
    [
        "CAP", "PASS", "NICK", "USER", "JOIN", "PART", "PRIVMSG", "NOTICE", "TOPIC", "NAMES", "LIST", "WHO", "WHOIS", "WHOWAS", "MODE", "KICK",
        "INVITE", "AWAY", "PING", "PONG", "OPER", "KILL", "DIE", "MOTD", "LUSERS", "VERSION", "TIME", "USERHOST", "ISON", "TAGMSG", "ERROR", "FOO", "001",
    ];

    private static readonly string[] Words =
    [
        "", "0", "*", "#", "#a", "#b,#a,,#c", "##", "#" + "\u00e9\u65e5", "+", "-", "+b", "-b", "+bbbb", "+q", "b", "+o-v", "LS", "REQ", "END", "LIST", ":",
        ": ", "::", ":x y", "\u0001ACTION x\u0001", "\u0001", "\u0003", "\u000312,", "!", "a!b@c", "*!*@*", "@", "nick", "NICK", "NickServ", "REGISTER",
        "REGISTER x", "server-time", "-server-time", ":echo-message  -echo-message", "=", "\0", "\t", "\ufffd", "99999999999999999999",
    ];

    /// <summary><c>NETPOLL_STRESS=20</c> sends twenty times as much.</summary>
    [Fact(Timeout = Limit)]
    public async Task Random_lines_are_answered_or_end_their_own_connection_only()
    {
        var random = new Random(Seed.Next());
        await using ServerProcess server = await ServerProcess.Start("--irc-port", "0");
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        for (int client = StressScale.Rounds(40); client > 0; client--)
        {
            using IrcPeer peer = random.Next(3) == 0 ? await IrcPeer.Connect(server.IrcPort) : await IrcPeer.Named(server.IrcPort, $"g{client}");
            await peer.SendBytes([.. Enumerable.Range(0, LinesEach).SelectMany(_ => Line(random))]);

            // Behind all of it, on a line of its own.
            await peer.Send("", "PING :the-end");
            string? line;
            do
            {
                line = await peer.Read();
                Assert.NotNull(line);
            }
            while (line != ":chat.local PONG chat.local :the-end" && !line.StartsWith("ERROR :Closing link: ", StringComparison.Ordinal));
        }

        using IrcPeer next = await IrcPeer.InChannel(server.IrcPort, "next", "#a");
        await bystanders.TalkOn();
        Assert.DoesNotContain(server.Program.Output, static line => line.Contains(" fail: ", StringComparison.Ordinal));
        Assert.Empty(server.Program.Error);
    }

    private static byte[] Line(Random random)
    {
        switch (random.Next(10))
        {
            case 0:
                var bytes = new byte[random.Next(700)];
                random.NextBytes(bytes);
                return bytes;
            case 1:
                return [(byte)'\r', (byte)'\n'];
            default:
                string tags = random.Next(8) == 0 ? $"@{Word(random)}={Word(random)} " : "";
                string source = random.Next(8) == 0 ? $":{Word(random)} " : "";
                string words = string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => " " + Word(random)));
                return Encoding.UTF8.GetBytes($"{tags}{source}{Commands[random.Next(Commands.Length)]}{words}{(random.Next(2) == 0 ? "\r\n" : "\n")}");
        }
    }

    private static string Word(Random random) => random.Next(30) == 0 ? new string('y', random.Next(600)) : Words[random.Next(Words.Length)];
}
