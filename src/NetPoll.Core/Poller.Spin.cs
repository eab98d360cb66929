namespace NetPoll.Core;

/// <content>
/// Spinning: a thread that sleeps in the kernel takes long to wake (a halted core of a virtual machine tens of microseconds), so a poller
/// whose waits were short lately goes on looking for a bounded time before it sleeps. It counts as awake meanwhile and looks at its inbox
/// itself. It never spins while the thread pool has work: on few cores it would take the core from the very actor that it waits for; nor by
/// a clock that somebody else moves, which may stand still for ever.
/// </content>
public sealed partial class Poller
{
    // A wait that slept includes the time to wake up, so a partner that answers within the spin looks slower than it is, by about this.
    private const int WakeUpFactor = 4;

    // Looks at the system between two looks at the clock and at the thread pool.
    private const int LooksPerCheck = 4;

    private readonly long _maxSpin;

    // A moving average of how long the last waits took, in nanoseconds. The poller's thread.
    private long _recentGap = long.MaxValue / 8;

    private bool MaySpin => _maxSpin != 0 && _timer is null && _recentGap <= _maxSpin * WakeUpFactor;

    private bool TryLook(out int found)
    {
        found = _backend.Wait(_events, 0);
        if (found == 0)
        {
            return false;
        }

        _recentGap -= _recentGap / 4;
        return true;
    }

    /// <summary>Looks for events for a while instead of sleeping, after a first look that found none.</summary>
    /// <param name="now">The clock.</param>
    /// <param name="due">When the next deadline is due.</param>
    /// <param name="found">Events found.</param>
    /// <returns>True: something is there, events or posted work. False: sleep.</returns>
    private bool TrySpin(long now, long due, out int found)
    {
        found = 0;
        long end = Math.Min(now + _maxSpin, due);
        for (int looks = 1; looks % LooksPerCheck != 0 || MayGoOn(end); looks++)
        {
            found = _backend.Wait(_events, 0);
            if (found > 0 || !_inbox.IsEmpty || Volatile.Read(ref _isStopping))
            {
                NoteGap(now);
                return true;
            }
        }

        return false;
    }

    private bool MayGoOn(long end) => _clock.Nanoseconds < end && ThreadPool.PendingWorkItemCount == 0;

    private void NoteGap(long since) => _recentGap = ((_recentGap * 3) + (_clock.Nanoseconds - since)) / 4;
}
