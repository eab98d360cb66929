using NetPoll.Actors.Connections;

namespace NetPoll.Actors.Pollers;

/// <summary>Evens out the load of the pollers by moving connections, as <see cref="BalancingOptions"/> say.</summary>
/// <remarks>
/// A timer looks at the pollers' figures, which any thread may read. In the first period of a difference the busiest poller notes what some of
/// its connections have done so far; in the second it moves those whose part since then fits. What a connection costs is taken to be its part of
/// the poller's messages. One look at a time: the gate.
/// </remarks>
internal sealed class Balancer : IDisposable
{
    // Of a poller's connections so many are looked at in a period: a walk over all of a hundred thousand would hold the poller.
    private const int Candidates = 1024;

    private const int PeriodsOfRest = 10;

    private readonly ActorPoller[] _homes;
    private readonly BalancingOptions _options;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;

    // Guards what follows.
    private readonly Lock _gate = new();
    private readonly TimeSpan[] _busyBefore;
    private readonly Queue<(Connection Connection, long Period)> _moved = new();
    private long _lookedAt;
    private long _period;

    // The poller that was ahead in the last period, and what its connections had done by then.
    private ActorPoller? _ahead;
    private Sample? _sample;

    internal Balancer(ActorPoller[] homes, BalancingOptions options, TimeProvider time)
    {
        _homes = homes;
        _options = options;
        _time = time;
        _busyBefore = [.. homes.Select(BusyOf)];
        _lookedAt = time.GetTimestamp();

        // Without the async-locals of whoever made the system, as the pollers' threads.
        using AsyncFlowControl flow = ExecutionContext.SuppressFlow();
        _timer = time.CreateTimer(static state => ((Balancer)state!).Look(), this, options.Period, options.Period);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    /// <summary>Who moves: those with most to do first, as long as all of them together make up no more than half of the difference.</summary>
    /// <param name="loads">Of each candidate its busy share.</param>
    /// <param name="difference">Of the two pollers.</param>
    /// <param name="most">How many at most.</param>
    /// <returns>Their places.</returns>
    internal static List<int> Choose(IReadOnlyList<double> loads, double difference, int most)
    {
        List<int> chosen = [];
        double left = difference / 2;
        foreach (int place in Enumerable.Range(0, loads.Count).Where(place => loads[place] > 0).OrderByDescending(place => loads[place]))
        {
            if (chosen.Count == most)
            {
                break;
            }

            if (loads[place] <= left)
            {
                chosen.Add(place);
                left -= loads[place];
            }
        }

        return chosen;
    }

    // With the turn that runs: or one that a handler holds for longer than a period would seem to have nothing to do.
    private static TimeSpan BusyOf(ActorPoller home) => home.Poller.Busy + home.Poller.HeldFor;

    private static long Messages(ActorPoller home) => home.Traffic.MessagesReceived + home.Traffic.MessagesSent;

    private void Look()
    {
        lock (_gate)
        {
            _period++;
            while (_moved.TryPeek(out (Connection Connection, long Period) first) && first.Period + PeriodsOfRest < _period)
            {
                _ = _moved.Dequeue();
            }

            double[] shares = TakeShares();
            int[] open = [.. Enumerable.Range(0, _homes.Length).Where(index => _homes[index].TakesNewcomers)];
            if (open.Length < 2)
            {
                return;
            }

            int ahead = open.MaxBy(index => (shares[index], _homes[index].Connections.Count));
            int behind = open.MinBy(index => (shares[index], _homes[index].Connections.Count));
            double difference = shares[ahead] - shares[behind];
            ActorPoller source = _homes[ahead];
            if (difference < _options.MinDifference)
            {
                _ahead = null;
                _sample = null;
            }
            else if (!ReferenceEquals(source, _ahead) || _sample is null)
            {
                _ahead = source;
                source.Poller.Post(() => TakeSample(source));
            }
            else
            {
                // Measured anew before anything else moves.
                _ahead = null;
                Sample sample = _sample;
                _sample = null;
                ActorPoller target = _homes[behind];
                double share = shares[ahead];
                source.Poller.Post(() => Move(source, target, sample, share, difference));
            }
        }
    }

    private double[] TakeShares()
    {
        long now = _time.GetTimestamp();
        TimeSpan passed = _time.GetElapsedTime(_lookedAt, now);
        _lookedAt = now;
        double[] shares = new double[_homes.Length];
        for (int index = 0; index < shares.Length; index++)
        {
            TimeSpan busy = BusyOf(_homes[index]);
            shares[index] = passed > TimeSpan.Zero ? Math.Clamp((busy - _busyBefore[index]) / passed, 0, 1) : 0;
            _busyBefore[index] = busy;
        }

        return shares;
    }

    // The source's thread, as the next.
    private void TakeSample(ActorPoller source)
    {
        lock (_gate)
        {
            if (ReferenceEquals(source, _ahead))
            {
                HashSet<Connection> resting = [.. _moved.Select(static moved => moved.Connection)];
                Connection[] candidates = [.. source.Connections.Some(Candidates).Where(connection => !resting.Contains(connection))];
                _sample = new Sample(candidates, [.. candidates.Select(static connection => connection.Messages)], Messages(source));
            }
        }
    }

    private void Move(ActorPoller source, ActorPoller target, Sample sample, double share, double difference)
    {
        long all = Math.Max(1, Messages(source) - sample.All);
        double[] loads = [.. sample.Candidates.Select((connection, place) =>
            connection.IsHere && ReferenceEquals(connection.Home, source) ? share * (connection.Messages - sample.Messages[place]) / all : 0)];
        foreach (int place in Choose(loads, difference, _options.MaxMoves))
        {
            Connection connection = sample.Candidates[place];
            if (connection.RequestMove(target.Pid, replyTo: null))
            {
                lock (_gate)
                {
                    _moved.Enqueue((connection, _period));
                }
            }
        }
    }

    private sealed record Sample(Connection[] Candidates, long[] Messages, long All);
}
