using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Listening;

/// <summary>A socket on a poller that is no actor's: it is told of readiness and of the end of one time, and of the poller's end.</summary>
/// <remarks>The poller's thread only. What was already on its way when the watch ended is swallowed here.</remarks>
internal abstract class WatchedSocket : DeadlineNode, IPollWaiter, IPollerWork
{
    private PollDescriptor? _descriptor;
    private bool _isQueued;

    protected WatchedSocket(ActorPoller home, PollableSocket socket)
    {
        Home = home;
        Socket = socket;
    }

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    protected ActorPoller Home { get; }

    protected PollableSocket Socket { get; }

    /// <summary>Whether it is watched. Any thread.</summary>
    protected bool IsWatched => Volatile.Read(ref _descriptor) is not null;

    /// <inheritdoc/>
    void IPollWaiter.Resume(PollSignals signals) => Look(isReminder: (signals & PollSignals.ReadDeadline) != 0);

    /// <inheritdoc/>
    void IPollWaiter.Schedule(PollSignals signals) => ComeAgain();

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        _isQueued = false;
        Look(isReminder: false);
    }

    /// <inheritdoc/>
    internal override void OnDue(long now, ReadyList ready) => ready.Add(this, PollSignals.ReadDeadline);

    /// <summary>Begins to watch; the present state of the socket counts as news.</summary>
    protected IoResult Watch() => Home.Poller.Open(Socket, out _descriptor);

    /// <summary>Forgets a readiness that was told before, ahead of the system call that looks again.</summary>
    protected void ForgetReadiness() => _descriptor!.ForgetReadiness(PollMode.Read);

    /// <summary>Asks for the next readiness.</summary>
    protected void WaitReadable()
    {
        Home.Poller.Arm(_descriptor!, PollMode.Read);
        if (_descriptor!.Arm(PollMode.Read, this) != PollSignals.None)
        {
            ComeAgain();
        }
    }

    /// <summary>Asks for another look behind what is queued already.</summary>
    protected void ComeAgain()
    {
        if (!_isQueued)
        {
            _isQueued = true;
            Home.Poller.Post(this);
        }
    }

    /// <summary>Asks for <see cref="OnTimePassed"/>; replaces an earlier time.</summary>
    protected void RemindAfter(TimeSpan time) => Home.Poller.Wheel.Arm(this, Home.Poller.Clock.Nanoseconds + (time.Ticks * 100));

    /// <summary>Ends the watch and the time; the socket stays open. Harmless when it is not watched.</summary>
    protected void Unwatch()
    {
        if (IsInWheel && Home.Poller.IsCurrent)
        {
            Home.Poller.Wheel.Cancel(this);
        }

        if (_descriptor is { } descriptor)
        {
            _descriptor = null;
            _ = descriptor.TryWithdraw(PollMode.Read, this);
            Home.Poller.Evict(descriptor);
            Home.Poller.Release(descriptor);
        }
    }

    /// <summary>The socket may have become readable: a hint to look.</summary>
    protected abstract void OnReadable();

    /// <summary>The time of <see cref="RemindAfter"/> is over.</summary>
    protected abstract void OnTimePassed();

    /// <summary>The poller stops: the socket is to be closed.</summary>
    protected abstract void OnPollerStopped();

    private void Look(bool isReminder)
    {
        if (_descriptor is not { } descriptor)
        {
            return;
        }

        if (descriptor.CheckError(PollMode.Read) == PollResult.Closing)
        {
            OnPollerStopped();
        }
        else if (isReminder)
        {
            OnTimePassed();
        }
        else
        {
            OnReadable();
        }
    }
}
