using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Descriptors;

/// <content>
/// Deadlines: set from any thread and published before the call returns; only the place in the wheel is the poller's business.
/// One wheel node serves both directions, at the earlier of the two. It is lazy: it may come up before its deadline (which was moved or
/// cleared meanwhile) and then arms itself again, but it is never in the wheel for later than an armed deadline.
/// </content>
internal sealed partial class PollDescriptor
{
    // 0: none. Above 0: armed, nanoseconds of the poller's clock. Below 0: expired, or set in the past. Under the lock.
    private long _readDeadline;
    private long _writeDeadline;

    // Raised by every change and never reset, not even by the next tenant, so that a firing that is on its way is recognised as stale.
    private uint _readSequence;
    private uint _writeSequence;

    // What the node in the wheel was armed for: the time, and the numbers that were current. Under the lock; 0 when it is not armed.
    private long _armedFor;
    private uint _armedReadSequence;
    private uint _armedWriteSequence;

    // Whether this descriptor is on its way to its poller as work. Under the lock.
    private bool _isSyncQueued;

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <summary>Deadlines that are armed and have not passed: 0 to 2. A snapshot's figure.</summary>
    internal int ArmedDeadlines => (Volatile.Read(ref _readDeadline) > 0 ? 1 : 0) + (Volatile.Read(ref _writeDeadline) > 0 ? 1 : 0);

    /// <summary>Sets the deadline of one direction or both. Any thread. Go: <c>poll_runtime_pollSetDeadline</c>.</summary>
    /// <param name="mode">Which directions.</param>
    /// <param name="value">0 for none, below 0 for past, else nanoseconds of the poller's clock.</param>
    /// <returns>The waiters that a deadline in the past frees. Nothing happens on a descriptor that is closing.</returns>
    internal FreedWaiters SetDeadline(PollMode mode, long value)
    {
        using (_gate.Enter())
        {
            if (_isClosing)
            {
                return default;
            }

            if ((mode & PollMode.Read) != 0)
            {
                _readDeadline = value;
                _readSequence++;
            }

            if ((mode & PollMode.Write) != 0)
            {
                _writeDeadline = value;
                _writeSequence++;
            }

            PublishInfo();
            FreedWaiters freed = value < 0 ? TakeExpired() : default;
            return freed with { MustSyncWheel = RequestWheelSync(mustCancel: false) };
        }
    }

    /// <summary>How long until a direction's deadline: null when it has none, zero when it has passed.</summary>
    internal TimeSpan? TimeLeft(PollMode mode, long now)
    {
        using (_gate.Enter())
        {
            long deadline = mode == PollMode.Read ? _readDeadline : _writeDeadline;
            return deadline == 0 ? null : TimeSpan.FromTicks(deadline < 0 ? 0 : Math.Max(0, deadline - now) / 100);
        }
    }

    /// <summary>The wheel's bookkeeping, queued from another thread. It reads what holds now, so an older post undoes no newer one.</summary>
    void IPollerWork.Run() => SyncWheel();

    /// <summary>Puts the node where the deadlines want it. The poller's thread.</summary>
    internal void SyncWheel()
    {
        using (_gate.Enter())
        {
            _isSyncQueued = false;
            ArmNode();
        }
    }

    /// <summary>The node came up. The poller's thread, no lock held.</summary>
    /// <remarks>
    /// Go: <c>netpolldeadlineimpl</c>, and its callers <c>netpollDeadline</c>, <c>netpollReadDeadline</c> and <c>netpollWriteDeadline</c>: one
    /// node serves them all.
    /// </remarks>
    internal override void OnDue(long now, ReadyList ready)
    {
        FreedWaiters freed = default;
        using (_gate.Enter())
        {
            long armedFor = _armedFor;
            uint readSequence = _armedReadSequence;
            uint writeSequence = _armedWriteSequence;
            _armedFor = 0;
            if (_isClosing)
            {
                return;
            }

            bool changed = ExpireIfDue(ref _readDeadline, _readSequence, readSequence, armedFor, now)
                | ExpireIfDue(ref _writeDeadline, _writeSequence, writeSequence, armedFor, now);
            if (changed)
            {
                PublishInfo();
                freed = TakeExpired();
            }

            ArmNode();
        }

        freed.AddTo(ready);
    }

    // A firing counts only for the deadline that it was armed for: another number means that it was moved, cleared, or is another
    // tenant's, and the node is armed anew for what holds now.
    private static bool ExpireIfDue(ref long deadline, uint sequence, uint armedSequence, long armedFor, long now)
    {
        if (sequence != armedSequence || deadline <= 0 || deadline > now)
        {
            return false;
        }

        if (armedFor == 0 || armedFor > deadline)
        {
            throw new PollerInvariantException("A deadline fired that was not armed: the descriptor's deadlines are inconsistent.");
        }

        Volatile.Write(ref deadline, -1);
        return true;
    }

    private FreedWaiters TakeExpired() => new(
        _readDeadline < 0 ? _read.Unblock(ioReady: false) : null,
        PollSignals.ReadDeadline,
        _writeDeadline < 0 ? _write.Unblock(ioReady: false) : null,
        PollSignals.WriteDeadline);

    // Whether the node must move, and nobody has been sent to do it yet.
    private bool RequestWheelSync(bool mustCancel)
    {
        long next = NextDeadline();
        bool mustMove = next != 0 ? _armedFor == 0 || _armedFor > next : mustCancel && _armedFor != 0;
        if (!mustMove || _isSyncQueued)
        {
            return false;
        }

        _isSyncQueued = true;
        return true;
    }

    private void ArmNode()
    {
        long next = NextDeadline();
        if (next == 0)
        {
            _armedFor = 0;
            _wheel.Cancel(this);
            return;
        }

        _armedReadSequence = _readSequence;
        _armedWriteSequence = _writeSequence;
        _armedFor = next;
        _wheel.Arm(this, next);
    }

    private long NextDeadline()
    {
        if (_readDeadline <= 0)
        {
            return Math.Max(_writeDeadline, 0);
        }

        return _writeDeadline <= 0 ? _readDeadline : Math.Min(_readDeadline, _writeDeadline);
    }

    private void ResetDeadlines()
    {
        _readDeadline = 0;
        _writeDeadline = 0;
        _readSequence++;
        _writeSequence++;
    }
}
