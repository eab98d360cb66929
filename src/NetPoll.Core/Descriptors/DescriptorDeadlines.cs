using NetPoll.Core.Deadlines;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Descriptors;

/// <summary>The deadlines of one descriptor and their one node in the wheel, made when the first of them is set.</summary>
/// <remarks>
/// Most descriptors of a server that holds very many connections never have a deadline, so this is no part of them. It stays with the
/// descriptor's place in the slab from then on: the sequence numbers go on from tenant to tenant. Everything is guarded by the descriptor's
/// lock, but the links of the wheel and of the run queue. The node serves both directions, at the earlier of the two. It is lazy: it may
/// come up before its deadline (which was moved or cleared meanwhile) and then arms itself again, but it is never in the wheel for later
/// than an armed deadline. It is what the timer gets, which so needs no object for each setting. Go: <c>pdEface</c>.
/// </remarks>
internal sealed class DescriptorDeadlines(PollDescriptor descriptor, TimingWheel wheel) : DeadlineNode, IPollerWork
{
    // Raised by every change and never reset, not even by the next tenant, so that a firing that is on its way is recognised as stale.
    private uint _readSequence;
    private uint _writeSequence;

    // 0: none. Above 0: armed, nanoseconds of the poller's clock; or of those in _fromTurnEnd, after the turn that runs. Below 0: expired, or
    // set in the past.
    private long _read;
    private long _write;

    // What the node in the wheel was armed for: the time, and the numbers that were current. 0 when it is not armed.
    private long _armedFor;
    private uint _armedReadSequence;
    private uint _armedWriteSequence;

    // Whether this is on its way to the poller as work.
    private bool _isSyncQueued;

    // What a handler has set in the turn that runs is a time, which becomes a moment at the turn's end: the poller looks at the clock then anyway,
    // and before it nothing can fire. It only ever counts as later than it will be.
    private PollMode _fromTurnEnd;
    private bool _isListedForTurnEnd;

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    internal bool IsReadExpired => _read < 0;

    internal bool IsWriteExpired => _write < 0;

    /// <summary>Deadlines that are armed and have not passed: 0 to 2. Any thread; a snapshot's figure.</summary>
    internal int Armed => (Volatile.Read(ref _read) > 0 ? 1 : 0) + (Volatile.Read(ref _write) > 0 ? 1 : 0);

    /// <summary>0 for none, below 0 for past, else nanoseconds of the poller's clock; the end of time while the turn in which it was set goes on.</summary>
    internal long this[PollMode mode] => (_fromTurnEnd & mode) != 0 ? long.MaxValue : mode == PollMode.Read ? _read : _write;

    /// <summary>The wheel's bookkeeping, queued from another thread. It reads what holds now, so an older post undoes no newer one.</summary>
    void IPollerWork.Run() => descriptor.SyncWheel();

    internal override void OnDue(long now, ReadyList ready) => descriptor.OnDue(now, ready);

    internal void Set(PollMode mode, long value)
    {
        _fromTurnEnd &= ~mode;
        if ((mode & PollMode.Read) != 0)
        {
            _read = value;
            _readSequence++;
        }

        if ((mode & PollMode.Write) != 0)
        {
            _write = value;
            _writeSequence++;
        }
    }

    /// <summary>Sets a time that begins when the turn ends. The poller's thread.</summary>
    /// <param name="mode">Which directions.</param>
    /// <param name="time">Above 0, in nanoseconds.</param>
    /// <returns>Whether the poller must call <see cref="EndTurn"/>, and does not know it yet.</returns>
    internal bool SetFromTurnEnd(PollMode mode, long time)
    {
        Set(mode, time);
        _fromTurnEnd |= mode;
        bool isNew = !_isListedForTurnEnd;
        _isListedForTurnEnd = true;
        return isNew;
    }

    /// <summary>The turn has ended: its times become moments. The poller's thread.</summary>
    /// <remarks>
    /// A change as any other, with a number of its own: the node may have been armed in the turn, for the other direction and later than the
    /// moment will be, and may come up before it was armed anew.
    /// </remarks>
    internal void EndTurn(long now)
    {
        _isListedForTurnEnd = false;
        if ((_fromTurnEnd & PollMode.Read) != 0)
        {
            _read = Deadline.End(now, _read);
            _readSequence++;
        }

        if ((_fromTurnEnd & PollMode.Write) != 0)
        {
            _write = Deadline.End(now, _write);
            _writeSequence++;
        }

        _fromTurnEnd = default;
    }

    /// <summary>How long until a direction's deadline, in nanoseconds: null when it has none, 0 when it has passed.</summary>
    internal long? Left(PollMode mode, long now)
    {
        long deadline = mode == PollMode.Read ? _read : _write;
        return deadline == 0 ? null : deadline < 0 ? 0 : (_fromTurnEnd & mode) != 0 ? deadline : Math.Max(0, deadline - now);
    }

    /// <summary>Whether the node must move, and nobody has been sent to do it yet.</summary>
    internal bool RequestSync(bool mustCancel)
    {
        long next = Next();
        bool mustMove = next != 0 ? _armedFor == 0 || _armedFor > next : mustCancel && _armedFor != 0;
        if (!mustMove || _isSyncQueued)
        {
            return false;
        }

        _isSyncQueued = true;
        return true;
    }

    /// <summary>Puts the node where the deadlines want it. The poller's thread.</summary>
    internal void Sync()
    {
        _isSyncQueued = false;
        ArmNode();
    }

    /// <summary>The node is out of the wheel: what passed expires. The poller's thread.</summary>
    /// <returns>Whether anything did.</returns>
    internal bool Expire(long now)
    {
        long armedFor = _armedFor;
        _armedFor = 0;
        bool hasReadExpired = (_fromTurnEnd & PollMode.Read) == 0 && ExpireIfDue(ref _read, _readSequence, _armedReadSequence, armedFor, now);
        bool hasWriteExpired = (_fromTurnEnd & PollMode.Write) == 0 && ExpireIfDue(ref _write, _writeSequence, _armedWriteSequence, armedFor, now);
        wheel.CountExpired((hasReadExpired ? 1 : 0) + (hasWriteExpired ? 1 : 0));
        return hasReadExpired || hasWriteExpired;
    }

    internal void ArmNode()
    {
        long next = Next();
        if (next == 0)
        {
            _armedFor = 0;
            wheel.Cancel(this);
            return;
        }

        _armedReadSequence = _readSequence;
        _armedWriteSequence = _writeSequence;
        _armedFor = next;
        wheel.Arm(this, next);
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

    private long Next()
    {
        long read = this[PollMode.Read];
        long write = this[PollMode.Write];
        if (read <= 0)
        {
            return Math.Max(write, 0);
        }

        return write <= 0 ? read : Math.Min(read, write);
    }
}
