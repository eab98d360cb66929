using System.Net;
using System.Text;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The examples of docs/actors.md about datagrams do what the guide says.</summary>
public sealed class ActorsDatagramsTests
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    [Fact]
    public async Task Readings_come_back_and_players_are_counted_apart()
    {
        ActorSystem system = new ActorSystem().WithNetPoll();
        DatagramSocket sensors = await ActorsDatagrams.BindAsync(system, AnyPort);
        DatagramSocket game = await ActorsDatagrams.BindGameAsync(system, AnyPort);
        await using NetDatagramSocket one = NetDatagramSocket.Bind(AnyPort);
        await using NetDatagramSocket two = NetDatagramSocket.Bind(AnyPort);

        Assert.Equal("21.5", await AskAsync(one, sensors, "21.5"));
        Assert.Equal($"{one.LocalEndPoint.Port} moved 1 times", await AskAsync(one, game, "up"));
        Assert.Equal($"{one.LocalEndPoint.Port} moved 2 times", await AskAsync(one, game, "up"));
        Assert.Equal($"{two.LocalEndPoint.Port} moved 1 times", await AskAsync(two, game, "up"));
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task The_client_hears_an_answer_or_that_nobody_is_there()
    {
        ActorSystem system = new ActorSystem().WithNetPoll();
        NetDatagramSocket server = NetDatagramSocket.Bind(AnyPort);
        Task<string> time = ActorsDatagrams.AskTheTimeAsync(system, server.LocalEndPoint);
        ReceivedDatagram question = await server.ReceiveAsync(new byte[100]);
        await server.SendAsync("noon"u8.ToArray(), question.From);
        Assert.Equal("noon", await time.WaitAsync(TimeSpan.FromSeconds(30)));
        await server.CloseAsync();

        Assert.Equal("nobody is there", await ActorsDatagrams.AskTheTimeAsync(system, server.LocalEndPoint).WaitAsync(TimeSpan.FromSeconds(30)));
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }

    private static async Task<string> AskAsync(NetDatagramSocket client, DatagramSocket server, string text)
    {
        await client.SendAsync(Encoding.UTF8.GetBytes(text), new DatagramAddress(server.LocalEndPoint));
        byte[] buffer = new byte[100];
        ReceivedDatagram answer = await client.ReceiveAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        return Encoding.UTF8.GetString(buffer, 0, answer.Count);
    }
}
