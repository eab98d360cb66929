namespace NetPoll.Core.Descriptors;

/// <content>
/// Deadlines: set from any thread and published before the call returns; only the place in the wheel is the poller's business.
/// </content>
internal sealed partial class PollDescriptor
{
    // Null until the first deadline of the first tenant that has one. Made and used under the lock; snapshots look at it without.
    private DescriptorDeadlines? _deadlines;

    /// <summary>Deadlines that are armed and have not passed: 0 to 2. A snapshot's figure.</summary>
    internal int ArmedDeadlines => Volatile.Read(ref _deadlines)?.Armed ?? 0;

    /// <summary>The work that puts the node where the deadlines want it; there when <see cref="FreedWaiters.MustSyncWheel"/> asks for it.</summary>
    internal Scheduling.IPollerWork WheelWork => _deadlines!;

    /// <summary>Sets the deadline of one direction or both. Any thread. Go: <c>poll_runtime_pollSetDeadline</c>.</summary>
    /// <param name="mode">Which directions.</param>
    /// <param name="value">0 for none, below 0 for past, else nanoseconds of the poller's clock.</param>
    /// <returns>The waiters that a deadline in the past frees. Nothing happens on a descriptor that is closing.</returns>
    internal FreedWaiters SetDeadline(PollMode mode, long value)
    {
        using (_gate.Enter())
        {
            if (IsClosing)
            {
                return default;
            }

            if (value == 0 && _deadlines is null)
            {
                return default;
            }

            DescriptorDeadlines deadlines = MakeDeadlines();
            deadlines.Set(mode, value);
            PublishInfo();
            bool mustSync = deadlines.RequestSync(mustCancel: false);
            return value < 0 ? TakeExpired() with { MustSyncWheel = mustSync } : new FreedWaiters { MustSyncWheel = mustSync };
        }
    }

    /// <summary>Sets a deadline that counts from the end of the poller's turn. The poller's thread.</summary>
    /// <param name="mode">Which directions.</param>
    /// <param name="time">Above 0, in nanoseconds.</param>
    /// <returns>Whether the poller must call <see cref="EndTurn"/>, and does not know it yet.</returns>
    internal bool SetDeadlineFromTurnEnd(PollMode mode, long time)
    {
        using (_gate.Enter())
        {
            if (IsClosing)
            {
                return false;
            }

            bool mustList = MakeDeadlines().SetFromTurnEnd(mode, time);
            PublishInfo();
            return mustList;
        }
    }

    /// <summary>The turn has ended in which deadlines were set that count from there. The poller's thread.</summary>
    internal void EndTurn(long now)
    {
        using (_gate.Enter())
        {
            DescriptorDeadlines deadlines = _deadlines!;
            deadlines.EndTurn(now);
            if (deadlines.RequestSync(mustCancel: false))
            {
                deadlines.Sync();
            }
        }
    }

    /// <summary>How long until a direction's deadline: null when it has none, zero when it has passed.</summary>
    internal TimeSpan? TimeLeft(PollMode mode, long now)
    {
        using (_gate.Enter())
        {
            return _deadlines?.Left(mode, now) is { } left ? TimeSpan.FromTicks(left / 100) : null;
        }
    }

    /// <summary>A direction's deadline: 0 for none, below 0 for past, else nanoseconds of the poller's clock.</summary>
    internal long DeadlineOf(PollMode mode)
    {
        using (_gate.Enter())
        {
            return _deadlines?[mode] ?? 0;
        }
    }

    /// <summary>Puts the node where the deadlines want it. The poller's thread.</summary>
    internal void SyncWheel()
    {
        using (_gate.Enter())
        {
            _deadlines?.Sync();
        }
    }

    /// <summary>The node came up. The poller's thread, no lock held.</summary>
    /// <remarks>
    /// Go: <c>netpolldeadlineimpl</c>, and its callers <c>netpollDeadline</c>, <c>netpollReadDeadline</c> and <c>netpollWriteDeadline</c>: one
    /// node serves them all.
    /// </remarks>
    internal void OnDue(long now, ReadyList ready)
    {
        FreedWaiters freed = default;
        using (_gate.Enter())
        {
            bool changed = _deadlines!.Expire(now);
            if (IsClosing)
            {
                return;
            }

            if (changed)
            {
                PublishInfo();
                freed = TakeExpired();
            }

            _deadlines.ArmNode();
        }

        freed.AddTo(ready);
    }

    private DescriptorDeadlines MakeDeadlines()
    {
        if (_deadlines is not { } deadlines)
        {
            deadlines = new DescriptorDeadlines(this, _wheel);
            Volatile.Write(ref _deadlines, deadlines);
        }

        return deadlines;
    }

    private FreedWaiters TakeExpired() => new(
        _deadlines!.IsReadExpired ? _read.Unblock(ioReady: false) : null,
        PollSignals.ReadDeadline,
        _deadlines.IsWriteExpired ? _write.Unblock(ioReady: false) : null,
        PollSignals.WriteDeadline);
}
