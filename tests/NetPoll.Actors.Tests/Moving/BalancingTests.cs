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
    public void Look_after_look_the_pollers_become_more_even_until_nothing_moves()
    {
        Random random = new(Seed.Next());
        for (int round = 0; round < 300; round++)
        {
            // Some light connections and some heavy ones, all on one of two pollers at first, or anywhere.
            int count = random.Next(1, 40);
            double[] loads = [.. Enumerable.Range(0, count).Select(_ => (Math.Pow(random.NextDouble(), 3) + 0.0001) / count)];
            int spread = random.Next(1, 3);
            int[] homes = [.. Enumerable.Range(0, count).Select(_ => random.Next(spread))];
            int looks = 0;
            while (true)
            {
                double difference = ShareOf(0) - ShareOf(1);
                int ahead = difference > 0 ? 0 : 1;
                int[] candidates = [.. Enumerable.Range(0, count).Where(place => homes[place] == ahead)];
                List<int> chosen = Balancer.Choose([.. candidates.Select(place => loads[place])], Math.Abs(difference), most: 8);
                if (chosen.Count == 0)
                {
                    break;
                }

                chosen.ForEach(place => homes[candidates[place]] = 1 - ahead);
                Assert.True(Math.Abs(ShareOf(0) - ShareOf(1)) < Math.Abs(difference), "a look that made the pollers less even");
                Assert.True(++looks <= 10 * count, "connections that go to and fro");
            }

            // Every connection of the one that is ahead is more than half of what is left.
            double left = Math.Abs(ShareOf(0) - ShareOf(1));
            int heavier = ShareOf(0) > ShareOf(1) ? 0 : 1;
            Assert.All(Enumerable.Range(0, count).Where(place => homes[place] == heavier), place => Assert.True(loads[place] > left / 2));

            double ShareOf(int home) => Enumerable.Range(0, count).Where(place => homes[place] == home).Sum(place => loads[place]);
        }
    }

    [Fact]
    public async Task The_timer_keeps_nothing_of_who_made_the_system()
    {
        NotingClock clock = new();
        await using ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions
        {
            Pollers = new PollerOptions { PollerCount = 2, TimeProvider = clock },
            Balancing = new BalancingOptions(),
        });

        // One of the balancing, two of the pollers.
        Assert.Equal([false, false, false], clock.TimersWithContext);
        await system.NetPoll().DisposeAsync();
    }

    [Fact]
    public async Task A_poller_that_a_handler_holds_is_not_taken_for_the_one_with_least_to_do()
    {
        ConnectionScript script = ConnectionScript.Echo();
        await using ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions
        {
            Pollers = new PollerOptions { PollerCount = 2 },
            Balancing = new BalancingOptions { Period = TimeSpan.FromMilliseconds(100), MinDifference = 0.1 },
        });
        NetPollExtension netPoll = system.NetPoll();
        Listener listener = await netPoll.ListenAsync("load", new IPEndPoint(IPAddress.Loopback, 0), () => new ScriptedConnection(script)).Soon();
        List<Peer> peers = [];
        for (int index = 0; index < 4; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            system.Root.Send(connection.Pid, new MoveConnection(netPoll.Pollers[1]));
        }

        await Eventually.Equal("connections of the second poller", 4, () => netPoll.Homes[1].Connections.Count);
        using ManualResetEventSlim release = new();
        netPoll.PollerThreads[0].Post(() => release.Wait(TimeSpan.FromMinutes(1), CancellationToken.None));
        using CancellationTokenSource enough = new();
        Task[] talks = [.. peers.Select(peer => TalkAsync(peer, enough.Token))];

        // So many periods of work that it would have given something away.
        TimeSpan start = netPoll.PollerThreads[1].Snapshot().Busy;
        await Eventually.True("time", () => netPoll.PollerThreads[1].Snapshot().Busy > start + TimeSpan.FromSeconds(1));
        int stayed = netPoll.Homes[1].Connections.Count;
        release.Set();
        await enough.CancelAsync();
        await Task.WhenAll(talks).Soon();

        Assert.Equal(4, stayed);
        peers.ForEach(static peer => peer.Dispose());
        await netPoll.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_poller_that_has_all_the_load_gives_a_part_of_it_away_and_what_has_moved_rests(bool isOneMoreThatHasFailed)
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
            Pollers = new PollerOptions { PollerCount = isOneMoreThatHasFailed ? 3 : 2 },
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
        int idle = 0;
        if (isOneMoreThatHasFailed)
        {
            // It has least to do, for good: less than the other one, which has a connection.
            netPoll.PollerThreads[2].Stop();
            await netPoll.PollerThreads[2].Stopped.Soon();
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            system.Root.Send(connection.Pid, new MoveConnection(netPoll.Pollers[1]));
            await Eventually.Equal("connections of the second poller", idle = 1, () => netPoll.Homes[1].Connections.Count);
        }

        long before = Moves();
        long begun = System.Diagnostics.Stopwatch.GetTimestamp();
        talks.AddRange(peers.Take(connections).Select(peer => TalkAsync(peer, enough.Token)));
        await Eventually.True("connections that have moved", () => netPoll.Homes[1].Connections.Count - idle is >= 2 and <= 6);

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

    private sealed class NotingClock : TimeProvider
    {
        private readonly List<bool> _timersWithContext = [];

        internal IReadOnlyList<bool> TimersWithContext
        {
            get
            {
                lock (_timersWithContext)
                {
                    return [.. _timersWithContext];
                }
            }
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            lock (_timersWithContext)
            {
                _timersWithContext.Add(ExecutionContext.Capture() is not null);
            }

            return base.CreateTimer(callback, state, dueTime, period);
        }
    }
}
