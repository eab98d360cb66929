using NetPoll.Actors.Pollers;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>Which poller connections and actors get by load and by hash.</summary>
public sealed class PlacementTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 3, new PollerOptions { Placement = PollerPlacement.LeastLoaded });

    [Fact]
    public async Task Connections_go_to_the_pollers_that_have_fewest_also_after_others_have_left()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        List<Peer> peers = [];
        await Fill(listener, peers, 30);
        AssertEven();

        // All of one poller's leave, and the newcomers take their places.
        int gone = await Leave(_server.Homes[1]);
        await Fill(listener, peers, gone);

        Assert.Equal(30, Counts().Sum());
        AssertEven();
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task Actors_that_choose_by_load_live_on_the_poller_that_watches_fewest()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        List<Peer> peers = [];
        await Fill(listener, peers, 9);
        foreach (ActorPoller emptied in _server.Homes.Skip(1))
        {
            await Leave(emptied);
            await Eventually.Equal("descriptors", 0, () => emptied.Poller.Snapshot().Monitored);
            Assert.All(_server.Homes.Where(home => home != emptied), static home => Assert.NotEqual(0, home.Poller.Snapshot().Monitored));

            // An actor is no descriptor: however many are there, it stays the one with fewest.
            for (int spawned = 0; spawned < 4; spawned++)
            {
                Assert.Same(emptied.Poller, await HomeOf(PollerChoice.LeastLoaded));
            }

            await Fill(listener, peers, 3);
        }

        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task An_actor_can_choose_by_hash()
    {
        List<Poller?> homes = [];
        foreach (int hash in (int[])[7, 7, 8, -1])
        {
            homes.Add(await HomeOf(PollerChoice.ByHash(hash)));
        }

        Assert.NotNull(homes[0]);
        Assert.Same(homes[0], homes[1]);
        Assert.NotSame(homes[0], homes[2]);
    }

    [Fact]
    public async Task A_poller_that_has_failed_gets_no_newcomers()
    {
        ConnectionScript echo = ConnectionScript.Echo();
        await using TestServer inTurn = new(pollers: 3);
        Listener before = await inTurn.ListenAsync(echo);
        foreach (TestServer server in (TestServer[])[inTurn, _server])
        {
            server.Homes[1].Poller.Stop();
            await server.Homes[1].Poller.Stopped.Soon();
        }

        for (int count = 0; count < 6; count++)
        {
            Assert.NotSame(_server.Homes[1].Poller, await HomeOf(PollerChoice.LeastLoaded));
            Assert.NotSame(_server.Homes[1].Poller, await HomeOf(PollerChoice.RoundRobin));
        }

        foreach (Listener listener in (Listener[])[before, await inTurn.ListenAsync(echo), await _server.ListenAsync(echo)])
        {
            for (int count = 0; count < 6; count++)
            {
                (Peer peer, ScriptedConnection _) = await TestServer.OpenAsync(listener, echo);
                using Peer _ = peer;
                await peer.SendAsync("x");
                Assert.Equal("x", await peer.ReceiveTextAsync(1));
            }
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Task<Poller?> HomeOf(PollerChoice choice)
    {
        TaskCompletionSource<Poller?> where = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _server.System.Root.Spawn(Props
            .FromFunc(_ =>
            {
                where.TrySetResult(Poller.Current);
                return Task.CompletedTask;
            })
            .OnPoller(choice));
        return where.Task.Soon();
    }

    private int[] Counts() => [.. _server.Homes.Select(static home => home.Connections.Count)];

    // The listener's own socket counts as well. Who chooses may see one that just arrives at its poller twice, and so give one too many.
    private void AssertEven()
    {
        int[] descriptors = [.. _server.Homes.Select(static home => home.Poller.Snapshot().Monitored)];
        Assert.InRange(descriptors.Max() - descriptors.Min(), 0, 2);
    }

    private async Task Fill(Listener listener, List<Peer> peers, int count)
    {
        int before = Counts().Sum();
        for (int made = 0; made < count; made++)
        {
            peers.Add(await Peer.ConnectAsync(listener.EndPoint));
        }

        await Eventually.Equal("connections", before + count, () => Counts().Sum());
    }

    private async Task<int> Leave(ActorPoller home)
    {
        int before = Counts().Sum();
        int count = home.Connections.Count;
        await home.RunAsync(() => Array.ForEach(home.Connections.ToArray(), static connection => connection.Abandon(CloseReason.Aborted)));
        await Eventually.Equal("connections", before - count, () => Counts().Sum());
        return count;
    }
}
