using Microsoft.Extensions.Logging;

namespace NetPoll.Core.Diagnostics;

/// <summary>Looks now and then whether a poller's thread is held by one piece of work, names it, and tells when it is over how long it took.</summary>
/// <remarks>
/// A thread that is blocked cannot report itself, and the thread pool may be what is blocked; so this has a thread of its own, which only
/// reads. (A timer would also wake a pool thread each time, which then spins for its next work: 2% of a busy core.)
/// </remarks>
internal sealed class StallDetector : IDisposable
{
    private readonly Poller[] _pollers;
    private readonly TimeSpan _period;
    private readonly long _threshold;
    private readonly ILogger _logger;
    private readonly Sight[] _sights;
#pragma warning disable CA2213 // Still waited for when it is set; its handle frees itself.
    private readonly ManualResetEvent _stop = new(initialState: false);
#pragma warning restore CA2213

    internal StallDetector(Poller[] pollers, TimeSpan threshold, ILogger logger)
    {
        _pollers = pollers;
        _period = threshold / 2;
        _threshold = threshold.Ticks * 100;
        _logger = logger;
        _sights = new Sight[pollers.Length];

        // Without the starter's async-locals, which would stay in use for as long as the pollers run.
        new Thread(Watch) { Name = "netpoll-watch", IsBackground = true }.UnsafeStart();
    }

    /// <summary>Ends the thread. Harmless when it has ended.</summary>
    public void Dispose() => _stop.Set();

    private void Watch()
    {
        while (!_stop.WaitOne(_period))
        {
            for (int index = 0; index < _pollers.Length; index++)
            {
                try
                {
                    Look(_pollers[index], ref _sights[index]);
                }
#pragma warning disable CA1031 // Who listens to the meter is foreign; one that throws has nobody to tell, and must not end the process from here.
                catch (Exception)
#pragma warning restore CA1031
                {
                }
            }
        }
    }

    private void Look(Poller poller, ref Sight sight)
    {
        long turn = poller.TurnStartedAt;
        object? work = poller.CurrentWork;
        long now = poller.Clock.Nanoseconds;
        if (turn != sight.Turn)
        {
            TellEnd(poller, ref sight, EndOfTurn(poller, sight.Turn, now));
            sight = new Sight { Turn = turn, Work = work, Since = turn };
        }
        else if (!ReferenceEquals(work, sight.Work))
        {
            if (!sight.IsStallOfMany)
            {
                TellEnd(poller, ref sight, now);
            }

            sight.Work = work;
            sight.Since = now;
        }

        if (turn != 0)
        {
            Report(poller, ref sight, now);
        }
    }

    // Once a turn, with what runs at this moment: the work that holds the thread, unless it has just ended. And once more for each other piece
    // of work that is then seen to hold it as long by itself.
    private void Report(Poller poller, ref Sight sight, long now)
    {
        long since = sight.IsTurnReported ? sight.Since : sight.Turn;
        if (now - since < _threshold || (sight.IsTurnReported && ReferenceEquals(sight.Work, sight.Reported)))
        {
            return;
        }

        sight.IsTurnReported = true;
        sight.Reported = sight.Work;
        sight.Stalled = Describe(sight.Work);
        sight.StalledSince = since;
        sight.IsStallOfMany = sight.Since != since;
        PollerMetrics.Stalled(poller);
        Log.PollerStalled(_logger, poller.Name, TimeSpan.FromTicks((now - since) / 100), sight.Stalled);
    }

    // Of what was reported. The name is that of the report: the work has gone on, and may be somebody else's by now.
    private void TellEnd(Poller poller, ref Sight sight, long end)
    {
        if (sight.Stalled is { } work)
        {
            sight.Stalled = null;
            TimeSpan held = TimeSpan.FromTicks((end - sight.StalledSince) / 100);
            Log.PollerGoesOn(_logger, poller.Name, held, sight.IsStallOfMany ? $"{work}, among others" : work);
        }
    }

    // The poller knows better than this look, which may come much later; unless it has ended in the turn, or has had another long one since.
    private static long EndOfTurn(Poller poller, long turn, long now) => poller.LongTurnEndedAt is var end && end > turn ? Math.Min(end, now) : now;

    // The work may be a user's, and is just being used by another thread.
    private static string Describe(object? work)
    {
        try
        {
            return work?.ToString() ?? "work that has just ended";
        }
#pragma warning disable CA1031 // The stall is told all the same.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return $"{work!.GetType()}, whose ToString threw {exception.GetType()}";
        }
    }

    /// <summary>What was seen of a poller so far; of its present turn alone.</summary>
    private struct Sight
    {
        internal long Turn { get; init; }

        internal object? Work { get; set; }

        internal long Since { get; set; }

        internal bool IsTurnReported { get; set; }

        internal object? Reported { get; set; }

        /// <summary>The name of what was reported, until its end is told.</summary>
        internal string? Stalled { get; set; }

        internal long StalledSince { get; set; }

        /// <summary>Whether the turn was reported, of which that work is but a part: it ends with the turn, not with the work.</summary>
        internal bool IsStallOfMany { get; set; }
    }
}
