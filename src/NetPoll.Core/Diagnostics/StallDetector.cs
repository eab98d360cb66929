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
    private readonly long[] _reported;
#pragma warning disable CA2213 // Still waited for when it is set; its handle frees itself.
    private readonly ManualResetEvent _stop = new(initialState: false);
#pragma warning restore CA2213

    internal StallDetector(Poller[] pollers, TimeSpan threshold, ILogger logger)
    {
        _pollers = pollers;
        _period = threshold / 2;
        _threshold = threshold.Ticks * 100;
        _logger = logger;
        _reported = new long[pollers.Length];
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
                Look(_pollers[index], ref _reported[index]);
            }
        }
    }

    private void Look(Poller poller, ref long reported)
    {
        long turn = poller.TurnStartedAt;
        if (turn == 0 || turn == reported)
        {
            return;
        }

        long held = poller.Clock.Nanoseconds - turn;
        if (held >= _threshold)
        {
            // Once a turn, with what runs at this moment: the work that holds the thread, unless it has just ended.
            reported = turn;
            Log.PollerStalled(_logger, poller.Name, TimeSpan.FromTicks(held / 100), poller.CurrentWork ?? "work that has just ended");
            PollerMetrics.Stalled(poller);
        }
    }
}
