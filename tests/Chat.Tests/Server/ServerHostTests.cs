using System.Net;
using Chat.Domain;
using Chat.Protocol;
using Chat.Server;
using Chat.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Proto;

namespace Chat.Tests.Server;

/// <summary>What only the inside of the server can bring about, or shows faster there.</summary>
public sealed class ServerHostTests
{
    [Fact]
    public async Task A_handler_that_throws_closes_its_own_connection_only()
    {
        await using ServerHost host = await ServerHost.StartAsync(new ServerOptions { Port = 0 }, NullLoggerFactory.Instance);
        using ChatPeer eve = await ChatPeer.InRoom(host.EndPoint.Port, "eve", "lobby");
        using ChatPeer ada = await ChatPeer.InRoom(host.EndPoint.Port, "ada", "lobby");
        await using BystanderPair bystanders = await BystanderPair.Start(host.EndPoint.Port);

        // The first connection of its listener is eve's. There is no frame for what it is told.
        host.System.Root.Send(PID.FromAddress(host.System.Address, "chat/1"), new NobodyKnowsThis());

        await eve.ReadToEnd();
        ServerFrame gone = await ada.Read(static frame => frame.Presence?.Departed.Count > 0);
        Assert.Equal(["eve"], gone.Presence.Departed);
        using ChatPeer next = await ChatPeer.Successor(host.EndPoint.Port, "eve");
        await bystanders.TalkOn();
    }

    [Fact]
    public async Task A_stopped_server_can_be_started_again_on_its_port()
    {
        int port = 0;
        for (int start = 0; start < 3; start++)
        {
            await using ServerHost host = await ServerHost.StartAsync(new ServerOptions { Port = port }, NullLoggerFactory.Instance);
            port = host.EndPoint.Port;
            using ChatPeer peer = await ChatPeer.InRoom(port, "ada", "lobby");
            Task stopped = host.StopAsync();

            Assert.Equal("the server stops", await peer.ReadGoodbye());
            peer.Dispose();
            await stopped;
        }
    }

    [Fact]
    public async Task Options_that_make_no_sense_are_refused_by_name_value_and_range()
    {
        Assert.Equal("Port is 70000; expected 0 to 65535. (Parameter 'Port')", await Refused(new ServerOptions { Port = 70_000 }));
        Assert.StartsWith("Pollers is 0; expected 1 to 256.", await Refused(new ServerOptions { Pollers = 0 }), StringComparison.Ordinal);
        Assert.StartsWith(
            "MaxOutputBytes is 65536; expected more than 1572144 (the members of a full room, and a replay)",
            await Refused(new ServerOptions { MaxOutputBytes = 65_536 }),
            StringComparison.Ordinal);
        Assert.StartsWith(
            "MaxRooms is 0;", await Refused(new ServerOptions { Chat = new ChatOptions { MaxRooms = 0 } }), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1", "", "")]
    [InlineData("10.1.2.3", " --host 10.1.2.3", "")]
    [InlineData("0.0.0.0", "", " --host beehive")]
    public void The_command_to_join_fits_where_the_server_listens(string address, string expected, string alsoExpected)
    {
        const string Command = "    dotnet run -c Release --project samples/Chat/Client -- --name YOUR-NAME";

        string[] lines = Announcement.Lines(new IPEndPoint(IPAddress.Parse(address), 7000), "beehive");

        Assert.Contains(Command + expected, lines);
        Assert.Contains(Command + (alsoExpected.Length > 0 ? alsoExpected : expected), lines);
    }

    private static async Task<string> Refused(ServerOptions options)
        => (await Assert.ThrowsAnyAsync<ArgumentException>(() => ServerHost.StartAsync(options, NullLoggerFactory.Instance))).Message;

    private sealed record NobodyKnowsThis() : RoomEvent("nowhere", 0);
}
