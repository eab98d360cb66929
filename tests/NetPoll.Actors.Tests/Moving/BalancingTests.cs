using System.Net;
using NetPoll.Actors.Pollers;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Moving;

/// <summary>Connections move by themselves to even out the load.</summary>
public sealed class BalancingTests
{
    [Fact]
    public void As_much_moves_as_makes_the_pollers_even_and_what_has_most_to_do_first()
    {
        Assert.Equal([1, 2], Balancer.Choose([0.1, 0.3, 0.2, 0.3], difference: 1, most: 8));
        Assert.Equal([1], Balancer.Choose([0.1, 0.3, 0.2, 0.3], difference: 1, most: 1));
        Assert.Equal([0, 1, 2, 3], Balancer.Choose([0.1, 0.1, 0.1, 0.1, 0], difference: 0.8, most: 8));
    }

    [Fact]
    public void What_would_only_turn_the_difference_round_stays()
    {
        Assert.Empty(Balancer.Choose([0.9], difference: 0.9, most: 8));
        Assert.Equal([1], Balancer.Choose([0.85, 0.05], difference: 0.9, most: 8));
        Assert.Empty(Balancer.Choose([0, 0], difference: 0.9, most: 8));
        Assert.Empty(Balancer.Choose([], difference: 0.9, most: 8));
    }

    [Fact]
    public async Task A_poller_that_has_all_the_load_gives_a_part_of_it_away_and_what_has_moved_rests()
    {
        const int connections = 8;
        ConnectionScript script = new()
        {
            Received = static (self, bytes) =>
            {
                // A handler that works: 0.3 ms of its poller's thread.
                long end = System.Diagnostics.Stopwatch.GetTimestamp() + (System.Diagnostics.Stopwatch.Frequency / 3000);
                while (System.Diagnostics.Stopwatch.GetTimestamp() < end)
                {
                }

                self.Send(bytes);
                return bytes.Length;
            },
        };
        await using ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions
        {
            Pollers = new PollerOptions { PollerCount = 2 },
            Balancing = new BalancingOptions { Period = TimeSpan.FromMilliseconds(100), MinDifference = 0.3 },
        });
        NetPollExtension netPoll = system.NetPoll();
        Listener listener = await netPoll.ListenAsync("load", new IPEndPoint(IPAddress.Loopback, 0), () => new ScriptedConnection(script)).Soon();
        using CancellationTokenSource enough = new();
        List<Peer> peers = [];
        List<Task> talks = [];
        for (int index = 0; index < connections; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            system.Root.Send(connection.Pid, new MoveConnection(netPoll.Pollers[0]));
        }

        await Eventually.Equal("connections of the first poller", connections, () => netPoll.Homes[0].Connections.Count);
        long before = Moves();
        long begun = System.Diagnostics.Stopwatch.GetTimestamp();
        talks.AddRange(peers.Select(peer => TalkAsync(peer, enough.Token)));
        await Eventually.True("connections that have moved", () => netPoll.Homes[1].Connections.Count is >= 2 and <= 6);

        // Some looks more. What others do to the machine shows in the shares, but none moves twice in ten periods.
        TimeSpan start = netPoll.PollerThreads[0].Snapshot().Busy;
        await Eventually.True("time", () => netPoll.PollerThreads.Sum(static poller => poller.Snapshot().Busy.TotalSeconds) > start.TotalSeconds + 4);
        await enough.CancelAsync();
        await Task.WhenAll(talks).Soon();

        double periods = System.Diagnostics.Stopwatch.GetElapsedTime(begun) / TimeSpan.FromMilliseconds(100);
        Assert.InRange(Moves() - before, 2, connections * (1 + (long)(periods / 10)));
        peers.ForEach(static peer => peer.Dispose());
        await netPoll.DisposeAsync();

        long Moves() => netPoll.Homes.Sum(static home => home.Traffic.Moves);
    }

    [Theory]
    [InlineData(1, 0.25, 8)]
    [InlineData(5000, 0, 8)]
    [InlineData(5000, 1.5, 8)]
    [InlineData(5000, 0.25, 0)]
    public void Options_out_of_their_range_are_refused(int milliseconds, double difference, int moves)
    {
        NetPollOptions options = new()
        {
            Balancing = new BalancingOptions { Period = TimeSpan.FromMilliseconds(milliseconds), MinDifference = difference, MaxMoves = moves },
        };

        Assert.Contains(nameof(BalancingOptions), Assert.Throws<ArgumentException>(options.Validate).Message, StringComparison.Ordinal);
    }

    private static async Task TalkAsync(Peer peer, CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            await peer.SendAsync("x");
            await peer.ReceiveAsync(1);
        }
    }
}
