using Microsoft.Extensions.Logging;

namespace NetPoll.Core.Diagnostics;

/// <summary>Looks now and then whether a poller's thread is held by one piece of work, and names it.</summary>
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
        new Thread(Watch) { Name = "netpoll-watch", IsBackground = true }.Start();
    }

    /// <summary>Ends the thread. Harmless when it has ended.</summary>
    public void Dispose() => _stop.Set();

    private void Watch()
    {
        while (!_stop.WaitOne(_period))
        {
            for (int index = 0; index < _pollers.Length; index++)
            {
                Look(_pollers[index], ref _sights[index]);
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
            sight = new Sight { Turn = turn, Work = work, Since = turn };
        }
        else if (!ReferenceEquals(work, sight.Work))
        {
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
        Log.PollerStalled(_logger, poller.Name, TimeSpan.FromTicks((now - since) / 100), sight.Work ?? "work that has just ended");
        PollerMetrics.Stalled(poller);
    }

    /// <summary>What was seen of a poller so far; of its present turn alone.</summary>
    private struct Sight
    {
        internal long Turn { get; init; }

        internal object? Work { get; set; }

        internal long Since { get; set; }

        internal bool IsTurnReported { get; set; }

        internal object? Reported { get; set; }
    }
}
