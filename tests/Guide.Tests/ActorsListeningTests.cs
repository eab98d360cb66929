using System.Net;
using System.Text;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The examples of docs/actors.md about listening do what the guide says.</summary>
public sealed class ActorsListeningTests
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    [Fact]
    public async Task The_seventeenth_connection_of_an_address_gets_the_farewell()
    {
        ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ActorsListening.ListenAsync(system, AnyPort, static () => new Quiet());
        List<NetConnection> open = [];
        for (int number = 0; number < 16; number++)
        {
            open.Add(await new NetDialer().ConnectAsync(listener.EndPoint));
        }

        while ((await system.Root.RequestAsync<ListenerStatistics>(listener.Pid, new GetListenerStatistics())).Active < 16)
        {
            await Task.Yield();
        }

        string told = await CoreClient.AskAsync("127.0.0.1", listener.EndPoint.Port, "hello");

        Assert.Equal("ERROR NetworkConcurrency\r\n", told);
        open.ForEach(static connection => connection.Dispose());
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_paused_listener_says_so()
    {
        ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ActorsListening.ListenAsync(system, AnyPort, static () => new Quiet());

        Assert.True((await ActorsListening.PauseAsync(system, listener)).IsPaused);

        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task Behind_a_proxy_the_client_is_who_the_header_says()
    {
        ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ActorsListening.ListenBehindProxiesAsync(system, AnyPort, static () => new WhoAmI(), IPNetwork.Parse("127.0.0.0/8"));

        string told = await CoreClient.AskAsync("127.0.0.1", listener.EndPoint.Port, "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");

        Assert.Equal("192.0.2.7:56324", told);
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }

    private sealed class WhoAmI : ConnectionActor
    {
        protected override void OnConnected() => Send(Encoding.UTF8.GetBytes($"{RemoteEndPoint}"));
    }

    private sealed class Quiet : ConnectionActor
    {
    }
}
