using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core;

/// <content>A socket that changes its poller, and a look at what is queued, for a layer above whose objects change theirs.</content>
public sealed partial class Poller
{
    /// <summary>Moves a socket to another poller: it gets a descriptor there, with the same deadlines, and loses the one here.</summary>
    /// <remarks>
    /// Watched there before it is forgotten here, so that nothing is lost if the other poller has no room. Events of here that are still on
    /// their way carry the old sequence number and are nobody's; the other poller is told the present state as a first edge, and latches it.
    /// This poller's thread, by the descriptor's owner, with nobody parked in it: whom a close finds there it tells that all is over.
    /// </remarks>
    /// <param name="descriptor">Given back, unless the result is an error: then nothing has changed.</param>
    /// <param name="target">Of the same platform and the same time provider.</param>
    /// <param name="moved">The other poller's; null with an error. Of a hang-up that came before somebody watches here only <see cref="PollDescriptor.IsHungUp"/> tells.</param>
    internal IoResult Move(PollDescriptor descriptor, Poller target, out PollDescriptor? moved)
    {
        AssertCurrent();
        IoResult opened = target.Open(descriptor.Socket!, out moved);
        if (!opened.IsSuccess)
        {
            return opened;
        }

        moved!.Inherit(descriptor);
        EndTurnOfDeadlines(_clock.Nanoseconds);
        MoveDeadline(descriptor, target, moved, PollMode.Read);
        MoveDeadline(descriptor, target, moved, PollMode.Write);
        Evict(descriptor);
        Release(descriptor);
        return opened;
    }

    /// <summary>Shows all work that was posted so far and has not begun, in order. The poller's thread.</summary>
    internal void VisitQueued<TState>(TState state, Action<IPollerWork, TState> look)
    {
        AssertCurrent();
        _inbox.DrainTo(_runQueue);
        _runQueue.Visit(state, look);
    }

    private void MoveDeadline(PollDescriptor descriptor, Poller target, PollDescriptor moved, PollMode mode)
    {
        long deadline = descriptor.DeadlineOf(mode);
        if (deadline != 0)
        {
            target.Finish(moved, moved.SetDeadline(mode, OnClockOf(target, deadline)));
        }
    }

    // Past stays past, and the end of time stays there.
    private long OnClockOf(Poller target, long moment)
    {
        if (moment is < 0 or > long.MaxValue / 2)
        {
            return moment;
        }

        return Math.Max(1, moment + _clock.ShiftTo(target._clock));
    }
}
