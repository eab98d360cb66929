using System.Globalization;
using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Server;

/// <summary>How the server process starts, stops, and what it holds.</summary>
public sealed class LifecycleTests
{
    private const int Limit = 120_000;

    [Fact(Timeout = Limit)]
    public async Task The_start_tells_how_to_join()
    {
        await using ServerProcess server = await ServerProcess.Start();

        Assert.Equal(
            [
                $"Chat server: listening on 127.0.0.1:{server.Port}",
                "To join, in another terminal:",
                $"    dotnet run -c Release --project samples/Chat/Client -- --name YOUR-NAME --port {server.Port}",
                "History is kept in memory only.",
                "Ctrl-C stops the server.",
            ],
            server.Program.Output.Take(5));
    }

    [Fact(Timeout = Limit)]
    public async Task A_port_in_use_is_named_and_the_server_that_has_it_goes_on()
    {
        await using ServerProcess server = await ServerProcess.Start();
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);

        await using ProgramProcess second = ServerProcess.Run("--data", "memory", "--port", server.Port.ToString(CultureInfo.InvariantCulture));

        Assert.Equal(1, await second.Ends());
        string error = Assert.Single(second.Error);
        Assert.StartsWith($"chat-server: cannot listen: port {server.Port} of 127.0.0.1 is in use; expected", error, StringComparison.Ordinal);
        Assert.Empty(second.Output);
        await bystanders.TalkOn();
    }

    [Theory(Timeout = Limit)]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_signal_says_goodbye_to_all_and_exits_with_0(string signal)
    {
        Assert.SkipWhen(
            signal == "INT" && IgnoresInterrupts(),
            "A shell without job control has what it starts with & ignore SIGINT, servers of tests included: run the tests in the foreground.");
        await using ServerProcess server = await ServerProcess.Start();
        await using var client = new ProgramProcess("Chat.Client", "--name", "ada", "--port", $"{server.Port}");
        await client.Prints("joined lobby 0 ada");
        using ChatPeer peer = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        using ChatPeer stranger = await ChatPeer.Connect(server.Port);
        await stranger.Request(new ClientFrame { Ping = new Ping() });

        await server.Program.Signal(signal);

        Assert.Equal("the server stops", await peer.ReadGoodbye());
        Assert.Equal("the server stops", await stranger.ReadGoodbye());
        Assert.Equal(1, await client.Ends());
        Assert.Contains("goodbye the server stops", client.Output);
        Assert.Equal([$"chat: 127.0.0.1:{server.Port} ended the conversation: the server stops"], client.Error);
        Assert.Equal(0, await server.Program.Ends());
        Assert.Empty(server.Program.Error);
    }

    [Fact(Timeout = Limit)]
    public async Task Who_does_not_take_the_goodbye_does_not_keep_the_server_from_stopping()
    {
        await using ServerProcess server = await ServerProcess.Start("--drain-timeout", "1");
        using ChatPeer deaf = await ChatPeer.Connect(server.Port, receiveBuffer: 4096);
        await deaf.Hello("deaf");
        await deaf.Join("lobby");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");

        for (int said = 1; said <= 200; said++)
        {
            await ada.Say("lobby", new string('x', 4000));
        }

        await ada.Read(static frame => frame.Said?.Sequence == 200);
        await server.Program.Signal("TERM");

        Assert.Equal("the server stops", await ada.ReadGoodbye());
        Assert.Equal(0, await server.Program.Ends());
        await server.Logs("connections did not end within 00:00:01");
    }

    [Fact(Timeout = Limit)]
    public async Task The_descriptors_of_those_who_went_are_closed()
    {
        await using ServerProcess server = await ServerProcess.Start();
        int before = server.Descriptors;
        List<ChatPeer> peers = [];
        for (int index = 0; index < 60; index++)
        {
            peers.Add(await ChatPeer.InRoom(server.Port, $"person{index}", "lobby"));
        }

        await server.HasDescriptors(before + peers.Count);
        for (int index = 0; index < peers.Count; index++)
        {
            switch (index % 4)
            {
                case 0:
                    await peers[index].Send(new ClientFrame { Quit = new Quit() });
                    break;
                case 1:
                    peers[index].Reset();
                    break;
                case 2:
                    await peers[index].SendBytes((byte[])[0xff, 0xff, 0xff, 0xff, 0xff]);
                    break;
            }
        }

        foreach (ChatPeer peer in peers)
        {
            peer.Dispose();
        }

        await server.HasDescriptors(before);
    }

    // What is ignored stays so in all programs that are started from here.
    private static bool IgnoresInterrupts()
    {
        const string Ignored = "SigIgn:";
        const ulong Interrupt = 1UL << 1;
        return OperatingSystem.IsLinux()
            && File.ReadLines("/proc/self/status").FirstOrDefault(static line => line.StartsWith(Ignored, StringComparison.Ordinal)) is { } line
            && (ulong.Parse(line.AsSpan(Ignored.Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & Interrupt) != 0;
    }
}
