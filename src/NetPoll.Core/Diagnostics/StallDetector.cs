using Microsoft.Extensions.Logging;

namespace NetPoll.Core.Diagnostics;

/// <summary>Looks now and then whether a poller's thread is held by one piece of work, and names it.</summary>
/// <remarks>A thread that is blocked cannot report itself; this runs on a timer of the thread pool and only reads.</remarks>
internal sealed class StallDetector : IDisposable
{
    private readonly Poller[] _pollers;
    private readonly long _threshold;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly long[] _reported;

    internal StallDetector(Poller[] pollers, TimeSpan threshold, TimeProvider time, ILogger logger)
    {
        _pollers = pollers;
        _threshold = threshold.Ticks * 100;
        _logger = logger;
        _reported = new long[pollers.Length];
        TimeSpan period = threshold / 2;
        _timer = time.CreateTimer(static state => ((StallDetector)state!).Look(), this, period, period);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        for (int index = 0; index < _pollers.Length; index++)
        {
            Poller poller = _pollers[index];
            long turn = poller.TurnStartedAt;
            if (turn == 0 || turn == _reported[index])
            {
                continue;
            }

            long held = poller.Clock.Nanoseconds - turn;
            if (held >= _threshold)
            {
                // Once a turn, with what runs at this moment: the work that holds the thread, unless it has just ended.
                _reported[index] = turn;
                Log.PollerStalled(_logger, poller.Name, TimeSpan.FromTicks(held / 100), poller.CurrentWork ?? "work that has just ended");
                PollerMetrics.Stalled(poller.Name);
            }
        }
    }
}
