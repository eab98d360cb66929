namespace NetPoll.Core.Sockets;

/// <summary>
/// One word that counts the users of a descriptor, serialises its readers and its writers, and knows when the last user of a closed one
/// has left. A part of one <see cref="NetFd"/>: never copied.
/// </summary>
/// <remarks>
/// <code>
/// bit 0        closed: every later lock or reference fails
/// bit 1        read lock held
/// bit 2        write lock held
/// bits 3..22   references: readers, writers, and everything else in progress
/// bits 23..42  waiters for the read lock
/// bits 43..62  waiters for the write lock
/// </code>
/// Reads take the read lock, writes the write lock, for the whole operation with its waits; everything else takes a reference. A waiter
/// holds no reference. Unlocking hands nothing over: the woken waiter competes. Go: <c>internal/poll.fdMutex</c>; that a waiter may leave
/// the queue again is ours, since Go's waits cannot be cancelled.
/// </remarks>
internal struct FdMutex
{
    private const ulong ClosedBit = 1UL << 0;
    private const ulong ReadLockBit = 1UL << 1;
    private const ulong WriteLockBit = 1UL << 2;
    private const ulong Reference = 1UL << 3;
    private const ulong ReferenceMask = ((1UL << 20) - 1) << 3;
    private const ulong ReadWaiter = 1UL << 23;
    private const ulong ReadWaiterMask = ((1UL << 20) - 1) << 23;
    private const ulong WriteWaiter = 1UL << 43;
    private const ulong WriteWaiterMask = ((1UL << 20) - 1) << 43;

    private ulong _state;
    // Word     as drawn above.
    // Writers  any thread, by CAS only.
    // Race     close against a lock or a reference that is being taken; unlock against a waiter that counts itself in, or out because
    //          it was cancelled.
    // Order    every change is one CAS of the whole word, so each sees all earlier ones; the semaphores keep a release that comes
    //          before its wait. As many wait in a direction as the word counts, the semaphore holds, and those are about to release
    //          who have counted somebody out: so one who leaves takes a count with him or, if there is none, a release. Nobody misses
    //          that release: without a count all others have one of their own, and who comes later is released by the lock's holder.
    // Proof    FdMutexTests.

    // Made by the first waiter; most descriptors never have one.
    private SemaphoreSlim? _readers;
    private SemaphoreSlim? _writers;

    /// <summary>Directions whose lock is held: 0 to 2. Any thread; a moment old.</summary>
    internal readonly int LocksHeld
    {
        get
        {
            ulong state = Volatile.Read(in _state);
            return ((state & ReadLockBit) != 0 ? 1 : 0) + ((state & WriteLockBit) != 0 ? 1 : 0);
        }
    }

    /// <summary>Adds a user that is neither reader nor writer. Go: <c>fdMutex.incref</c>.</summary>
    /// <returns>False when the descriptor is closed.</returns>
    internal bool TryAddReference()
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0)
            {
                return false;
            }

            ulong next = old + Reference;
            ThrowIfOverflow((next & ReferenceMask) == 0);
            if (Interlocked.CompareExchange(ref _state, next, old) == old)
            {
                return true;
            }
        }
    }

    /// <summary>Removes such a user. Go: <c>fdMutex.decref</c>.</summary>
    /// <returns>True when the descriptor is closed and this was its last user: the caller must destroy it.</returns>
    internal bool RemoveReference()
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _state);
            ThrowIfInconsistent((old & ReferenceMask) == 0);
            ulong next = old - Reference;
            if (Interlocked.CompareExchange(ref _state, next, old) == old)
            {
                return (next & (ClosedBit | ReferenceMask)) == ClosedBit;
            }
        }
    }

    /// <summary>Closes, and adds the closer as a user. Go: <c>fdMutex.increfAndClose</c>.</summary>
    /// <returns>True for the first closer only.</returns>
    internal bool AddReferenceAndClose()
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0)
            {
                return false;
            }

            ulong next = (old | ClosedBit) + Reference;
            ThrowIfOverflow((next & ReferenceMask) == 0);
            next &= ~(ReadWaiterMask | WriteWaiterMask);
            if (Interlocked.CompareExchange(ref _state, next, old) == old)
            {
                Release(ref _readers, (int)((old & ReadWaiterMask) / ReadWaiter));
                Release(ref _writers, (int)((old & WriteWaiterMask) / WriteWaiter));
                return true;
            }
        }
    }

    /// <summary>Takes a direction's lock if it is free.</summary>
    /// <returns>False when it is held or the descriptor is closed.</returns>
    internal bool TryLock(PollMode mode)
    {
        ulong bit = mode == PollMode.Read ? ReadLockBit : WriteLockBit;
        while (true)
        {
            ulong old = Volatile.Read(ref _state);
            if ((old & (ClosedBit | bit)) != 0)
            {
                return false;
            }

            ulong next = (old | bit) + Reference;
            ThrowIfOverflow((next & ReferenceMask) == 0);
            if (Interlocked.CompareExchange(ref _state, next, old) == old)
            {
                return true;
            }
        }
    }

    /// <summary>Takes a direction's lock, or counts the caller in as one who waits for it. Go: <c>fdMutex.rwlock</c>.</summary>
    /// <returns>
    /// Held: go on. Closed: give up. Wait: await the semaphore, then call again; whoever released it has counted the caller out.
    /// </returns>
    internal LockAttempt TryLockOrEnqueue(PollMode mode, out SemaphoreSlim? turn)
    {
        bool isRead = mode == PollMode.Read;
        ulong bit = isRead ? ReadLockBit : WriteLockBit;
        ulong waiter = isRead ? ReadWaiter : WriteWaiter;
        ulong waiterMask = isRead ? ReadWaiterMask : WriteWaiterMask;
        turn = null;
        while (true)
        {
            ulong old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0)
            {
                return LockAttempt.Closed;
            }

            ulong next;
            bool isFree = (old & bit) == 0;
            if (isFree)
            {
                next = (old | bit) + Reference;
                ThrowIfOverflow((next & ReferenceMask) == 0);
            }
            else
            {
                // Before the count says that somebody waits: who sees the count must find the semaphore.
                turn = Semaphore(ref isRead ? ref _readers : ref _writers);
                next = old + waiter;
                ThrowIfOverflow((next & waiterMask) == 0);
            }

            if (Interlocked.CompareExchange(ref _state, next, old) == old)
            {
                return isFree ? LockAttempt.Held : LockAttempt.Wait;
            }
        }
    }

    /// <summary>Takes one out who was counted as waiting and waits no longer: his count, or the release that was meant for him.</summary>
    internal void LeaveQueue(PollMode mode)
    {
        bool isRead = mode == PollMode.Read;
        SemaphoreSlim turn = (isRead ? _readers : _writers)!;
        SpinWait spin = default;
        while (!TryCountOut(isRead ? ReadWaiter : WriteWaiter, isRead ? ReadWaiterMask : WriteWaiterMask) && !turn.Wait(0, CancellationToken.None))
        {
            // Somebody has counted him out and is a few instructions before the release.
            spin.SpinOnce();
        }
    }

    /// <summary>Leaves a direction's lock and lets one waiter compete for it. Go: <c>fdMutex.rwunlock</c>.</summary>
    /// <returns>True when the descriptor is closed and this was its last user: the caller must destroy it.</returns>
    internal bool Unlock(PollMode mode)
    {
        bool isRead = mode == PollMode.Read;
        ulong bit = isRead ? ReadLockBit : WriteLockBit;
        ulong waiter = isRead ? ReadWaiter : WriteWaiter;
        ulong waiterMask = isRead ? ReadWaiterMask : WriteWaiterMask;
        while (true)
        {
            ulong old = Volatile.Read(ref _state);
            ThrowIfInconsistent((old & bit) == 0 || (old & ReferenceMask) == 0);
            ulong next = (old & ~bit) - Reference;
            bool hasWaiter = (old & waiterMask) != 0;
            if (hasWaiter)
            {
                next -= waiter;
            }

            if (Interlocked.CompareExchange(ref _state, next, old) == old)
            {
                if (hasWaiter)
                {
                    Release(ref isRead ? ref _readers : ref _writers, 1);
                }

                return (next & (ClosedBit | ReferenceMask)) == ClosedBit;
            }
        }
    }

    private bool TryCountOut(ulong waiter, ulong waiterMask)
    {
        while (true)
        {
            ulong old = Volatile.Read(ref _state);
            if ((old & waiterMask) == 0)
            {
                return false;
            }

            if (Interlocked.CompareExchange(ref _state, old - waiter, old) == old)
            {
                return true;
            }
        }
    }

    private static SemaphoreSlim Semaphore(ref SemaphoreSlim? field)
    {
        if (Volatile.Read(ref field) is { } existing)
        {
            return existing;
        }

#pragma warning disable CA2000 // A SemaphoreSlim whose wait handle nobody asks for holds nothing to dispose.
        SemaphoreSlim made = new(0);
#pragma warning restore CA2000
        return Interlocked.CompareExchange(ref field, made, null) ?? made;
    }

    private static void Release(ref SemaphoreSlim? field, int count)
    {
        if (count > 0)
        {
            Volatile.Read(ref field)!.Release(count);
        }
    }

    private static void ThrowIfOverflow(bool overflowed)
    {
        if (overflowed)
        {
            throw new InvalidOperationException("Too many concurrent operations on a single file or socket (max 1048575).");
        }
    }

    private static void ThrowIfInconsistent(bool isInconsistent)
    {
        if (isInconsistent)
        {
            throw new Descriptors.PollerInvariantException("Inconsistent FdMutex: unlocked or released more often than taken.");
        }
    }
}

/// <summary>What became of an attempt to lock.</summary>
internal enum LockAttempt
{
    /// <summary>The caller holds the lock and a reference.</summary>
    Held,

    /// <summary>The caller is counted as waiting.</summary>
    Wait,

    /// <summary>The descriptor is closed.</summary>
    Closed,
}
