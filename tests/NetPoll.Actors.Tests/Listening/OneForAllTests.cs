using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>Where pollers cannot share an address, one of them accepts for all.</summary>
public sealed class OneForAllTests : IAsyncDisposable
{
    private const int Pollers = 3;

    private readonly TestServer _server = new(Pollers, new PollerOptions { Backend = PollBackend.Portable });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Connections_are_dealt_out_to_all_pollers_in_turn()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        List<Peer> peers = [];
        for (int number = 0; number < Pollers * 4; number++)
        {
            peers.Add((await TestServer.OpenAsync(listener, script)).Peer);
        }

        foreach (Peer peer in peers)
        {
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }

        Assert.All(_server.Homes, static home => Assert.Equal(4, home.Connections.Count));
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task It_accepts_for_the_others_when_its_own_poller_drains_and_ends_with_the_last()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        for (int drained = 0; drained < Pollers - 1; drained++)
        {
            await DrainAsync(drained);
            using Peer peer = (await TestServer.OpenAsync(listener, script)).Peer;
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
            Assert.Equal(0, _server.Homes.Take(drained + 1).Sum(static home => home.Connections.Count));
        }

        await DrainAsync(Pollers - 1);

        SocketException thrown = await Assert.ThrowsAnyAsync<SocketException>(() => Peer.ConnectAsync(listener.EndPoint));
        Assert.Equal(SocketError.ConnectionRefused, thrown.SocketErrorCode);
    }

    private Task<PollerDrained> DrainAsync(int poller) =>
        _server.Ask<PollerDrained>(_server.NetPoll.Pollers[poller], new DrainPoller(TimeSpan.FromSeconds(20)));
}
