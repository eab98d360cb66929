namespace NetPoll.Core.Descriptors;

/// <summary>One direction of a descriptor: a binary semaphore on which at most one waiter parks.</summary>
/// <remarks>
/// <code>
/// value    meaning                                        who moves it where
/// null     nothing pending, nobody waits                  owner -> Wait; owner (mailbox) -> waiter; readiness -> Ready
/// Ready    readiness nobody has consumed; only a hint     owner -> null
/// Wait     the owner is on its way into the park          owner -> waiter; readiness -> Ready; event -> null
/// waiter   parked; who takes it out must make it run      readiness -> Ready; event -> null; owner (mailbox) -> null
/// </code>
/// The owner holds the direction's lock, or is the actor whose turn it is. Readiness comes from the poller's thread; an event (deadline
/// or close) from any thread under the descriptor's lock. A part of one descriptor: never copied.
/// Go: <c>pollDesc.rg</c>, <c>pollDesc.wg</c>.
/// </remarks>
internal struct PollSlot
{
    // Waiters by type, so that taking the state out needs no cast; nobody ever resumes them.
    private static readonly IPollWaiter Ready = new Mark(nameof(Ready));
    private static readonly IPollWaiter Wait = new Mark(nameof(Wait));

    private IPollWaiter? _state;
    // Word     null | Ready | Wait | the waiter.
    // Writers  the owner parks and consumes; the poller's thread marks ready; any thread evicts or expires.
    // Readers  the same; PollInfo, not this word, answers everybody else.
    // Race     a close or an expiry that lands between the owner's last look at PollInfo and its park.
    // Order    park: CAS Wait (or the mailbox) in, then read info. event: publish info by a successful read-modify-write, then take from
    //          this word. Both have a full fence between store and load, so at least one sees the other.
    // Proof    PollSlotInterleavingTests walks every order of these steps.

    /// <summary>Whether somebody is parked. A snapshot's figure: it may have changed by the time it is read.</summary>
    internal bool HasWaiter => IsWaiter(Volatile.Read(ref _state));

    /// <summary>Whether a readiness is latched.</summary>
    internal bool IsReady => ReferenceEquals(Volatile.Read(ref _state), Ready);

    /// <summary>Forgets an old readiness. Legal only before the system call that follows, never between EAGAIN and the park.</summary>
    /// <remarks>No fence is needed: the system call decides, and any later edge marks the slot again. Go: <c>pollReset</c>.</remarks>
    internal void Prepare() => Volatile.Write(ref _state, null);

    /// <summary>Consumes a latched readiness, or announces a park.</summary>
    /// <returns>True: readiness was there. False: the slot is in Wait; look at the info again, then commit or finish.</returns>
    /// <exception cref="InvalidOperationException">Somebody waits in this direction already.</exception>
    internal bool TakeReadyOrBeginWait()
    {
        while (true)
        {
            IPollWaiter? seen = Volatile.Read(ref _state);
            if (seen is null)
            {
                if (Interlocked.CompareExchange(ref _state, Wait, null) is null)
                {
                    return false;
                }
            }
            else if (!ReferenceEquals(seen, Ready))
            {
                ThrowDoubleWait();
            }
            else if (ReferenceEquals(Interlocked.CompareExchange(ref _state, null, Ready), Ready))
            {
                return true;
            }
        }
    }

    /// <summary>Parks the waiter for good. Go: <c>netpollblockcommit</c>.</summary>
    /// <returns>False: a readiness or an event was faster; do not park, finish.</returns>
    internal bool TryCommit(IPollWaiter waiter) => ReferenceEquals(Interlocked.CompareExchange(ref _state, waiter, Wait), Wait);

    /// <summary>The end of a wait, by the waiter that was freed or did not commit.</summary>
    /// <returns>Whether readiness ended it. False: an event did; the info tells which, if it still holds.</returns>
    internal bool FinishWait()
    {
        if (IsReady)
        {
            // Nobody but the owner takes a readiness out, and the system call that follows decides: as in Prepare.
            Prepare();
            return true;
        }

        IPollWaiter? old = Interlocked.Exchange(ref _state, null);
        if (IsWaiter(old))
        {
            throw new PollerInvariantException("A waiter that runs is still parked: the descriptor's slot is corrupted.");
        }

        return ReferenceEquals(old, Ready);
    }

    /// <summary>Parks a mailbox in one step, which may run concurrently with its own next turn: a mailbox's signals are idempotent.</summary>
    /// <returns>True: readiness was latched and is consumed; the mailbox must look again instead.</returns>
    /// <remarks>The caller reads the info afterwards and takes the mailbox back by <see cref="TryWithdraw"/> if it must not wait.</remarks>
    /// <exception cref="InvalidOperationException">Another waiter is parked here.</exception>
    internal bool TakeReadyOrArm(IPollWaiter mailbox)
    {
        while (true)
        {
            IPollWaiter? seen = Interlocked.CompareExchange(ref _state, mailbox, null);
            if (seen is null || ReferenceEquals(seen, mailbox))
            {
                return false;
            }

            if (!ReferenceEquals(seen, Ready))
            {
                ThrowDoubleWait();
            }

            if (ReferenceEquals(Interlocked.CompareExchange(ref _state, null, Ready), Ready))
            {
                return true;
            }
        }
    }

    /// <summary>Takes a mailbox's own park back.</summary>
    /// <returns>False: it was not parked, or its signal is on the way.</returns>
    internal bool TryWithdraw(IPollWaiter mailbox) =>
        ReferenceEquals(Interlocked.CompareExchange(ref _state, null, mailbox), mailbox);

    /// <summary>Marks readiness, or ends a wait without any; takes out the waiter. Go: <c>netpollunblock</c>.</summary>
    /// <returns>The waiter that must now be made to run, if one was parked.</returns>
    internal IPollWaiter? Unblock(bool ioReady)
    {
        while (true)
        {
            IPollWaiter? old = Volatile.Read(ref _state);
            if (ReferenceEquals(old, Ready) || (old is null && !ioReady))
            {
                // An event never removes a pending readiness.
                return null;
            }

            if (ReferenceEquals(Interlocked.CompareExchange(ref _state, ioReady ? Ready : null, old), old))
            {
                return ReferenceEquals(old, Wait) ? null : old;
            }
        }
    }

    /// <summary>For a new tenant. Nobody may be parked.</summary>
    internal void Reset()
    {
        ThrowIfOccupied("free");
        Volatile.Write(ref _state, null);
    }

    /// <summary>Asserts that nobody is parked in a descriptor that changes hands.</summary>
    internal void ThrowIfOccupied(string phase)
    {
        IPollWaiter? state = Volatile.Read(ref _state);
        if (state is not null && !ReferenceEquals(state, Ready))
        {
            throw new PollerInvariantException($"A waiter is blocked on a {phase} descriptor ({state}).");
        }
    }

    /// <inheritdoc/>
    public override readonly string ToString() => Volatile.Read(in _state)?.ToString() ?? "none";

    private static void ThrowDoubleWait() =>
        throw new InvalidOperationException("Double wait: somebody already waits in this direction of the descriptor.");

    private static bool IsWaiter(IPollWaiter? state) => state is not null && !ReferenceEquals(state, Ready) && !ReferenceEquals(state, Wait);

    private sealed class Mark : IPollWaiter
    {
        private readonly string _name;

        internal Mark(string name) => _name = name;

        public void Resume(PollSignals signals) => throw new PollerInvariantException($"The mark {_name} was resumed.");

        public void Schedule(PollSignals signals) => throw new PollerInvariantException($"The mark {_name} was resumed.");

        public override string ToString() => _name;
    }
}
