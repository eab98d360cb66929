namespace NetPoll.Core.Descriptors;

/// <summary>One direction of a descriptor: a binary semaphore on which at most one waiter parks.</summary>
/// <remarks>
/// <code>
/// state    meaning                                        who moves it where
/// Empty    nothing pending, nobody waits                  owner -> Wait; owner (mailbox) -> Parked; readiness -> Ready
/// Ready    readiness nobody has consumed; only a hint     owner -> Empty
/// Wait     the owner is on its way into the park          owner -> Parked; readiness -> Ready; event -> Empty
/// Parked   who takes the waiter out must make it run      readiness -> Ready; event -> Empty; owner (mailbox) -> Empty
/// </code>
/// The owner holds the direction's lock, or is the actor whose turn it is. Readiness comes from the poller's thread; an event (deadline
/// or close) from any thread under the descriptor's lock. A part of one descriptor: never copied.
/// Go: <c>pollDesc.rg</c>, <c>pollDesc.wg</c>.
/// </remarks>
internal struct PollSlot
{
    private const long Empty = 0;
    private const long Ready = 1;
    private const long Wait = 2;
    private const long Parked = 3;
    private const long StateMask = 3;
    private const long OnePark = 4;

    private long _word;
    // Word     the state in two bits; above them how often somebody parked. Go keeps the waiter itself in its word: here a number, since a
    //          compare-and-swap of a reference is a call into the runtime, which marks the collector's cards too.
    // Writers  the owner parks, which alone changes the count, and consumes; the poller's thread marks ready; any thread evicts or expires.
    // Readers  the same; PollInfo, not this word, answers everybody else.
    // Race     a close or an expiry that lands between the owner's last look at PollInfo and its park.
    // Order    park: CAS Wait (or Parked) in, then read info. event: publish info by a successful read-modify-write, then take from
    //          this word. Both have a full fence between store and load, so at least one sees the other.
    // Proof    PollSlotInterleavingTests walks every order of these steps.

    private IPollWaiter? _waiter;
    // Word     who is parked; anything while nobody is.
    // Writers  the owner before it parks and after it was freed; whoever took it back, before it runs again.
    // Race     one who is about to free a waiter that was freed meanwhile, and another parked in its place.
    // Order    written before the CAS that parks it and read before the CAS that takes it out. That one fails when anybody was freed in
    //          between, for nobody parks twice by the same count: so who succeeds has read the one that he took out.
    // Proof    PollSlotTests.

    /// <summary>Whether somebody is parked. A snapshot's figure: it may have changed by the time it is read.</summary>
    internal bool HasWaiter => StateOf(Volatile.Read(ref _word)) == Parked;

    /// <summary>Whether a readiness is latched.</summary>
    internal bool IsReady => StateOf(Volatile.Read(ref _word)) == Ready;

    /// <summary>Forgets an old readiness. Legal only before the system call that follows, never between EAGAIN and the park.</summary>
    /// <remarks>No fence is needed: the system call decides, and any later edge marks the slot again. Go: <c>pollReset</c>.</remarks>
    internal void Prepare() => Volatile.Write(ref _word, Volatile.Read(ref _word) & ~StateMask);

    /// <summary>Consumes a latched readiness, or announces a park.</summary>
    /// <returns>True: readiness was there. False: the slot is in Wait; look at the info again, then commit or finish.</returns>
    /// <exception cref="InvalidOperationException">Somebody waits in this direction already.</exception>
    internal bool TakeReadyOrBeginWait()
    {
        while (true)
        {
            long seen = Volatile.Read(ref _word);
            if (StateOf(seen) is not (Empty or Ready))
            {
                ThrowDoubleWait();
            }

            bool isReady = StateOf(seen) == Ready;
            if (TryMove(seen, isReady ? Empty : Wait))
            {
                return isReady;
            }
        }
    }

    /// <summary>Parks the waiter for good. Go: <c>netpollblockcommit</c>.</summary>
    /// <returns>False: a readiness or an event was faster; do not park, finish.</returns>
    internal bool TryCommit(IPollWaiter waiter)
    {
        long seen = Volatile.Read(ref _word);
        if (StateOf(seen) != Wait)
        {
            return false;
        }

        _waiter = waiter;
        return TryPark(seen);
    }

    /// <summary>The end of a wait, by the waiter that was freed or did not commit.</summary>
    /// <returns>Whether readiness ended it. False: an event did; the info tells which, if it still holds.</returns>
    internal bool FinishWait()
    {
        // Or a connection that nobody uses any more would be kept alive by its own last wait.
        _waiter = null;
        if (IsReady)
        {
            // Nobody but the owner takes a readiness out, and the system call that follows decides: as in Prepare.
            Prepare();
            return true;
        }

        long old = Interlocked.Exchange(ref _word, Volatile.Read(ref _word) & ~StateMask);
        if (StateOf(old) == Parked)
        {
            throw new PollerInvariantException("A waiter that runs is still parked: the descriptor's slot is corrupted.");
        }

        return StateOf(old) == Ready;
    }

    /// <summary>Parks a mailbox in one step, which may run concurrently with its own next turn: a mailbox's signals are idempotent.</summary>
    /// <returns>True: readiness was latched and is consumed; the mailbox must look again instead.</returns>
    /// <remarks>The caller reads the info afterwards and takes the mailbox back by <see cref="TryWithdraw"/> if it must not wait.</remarks>
    /// <exception cref="InvalidOperationException">Another waiter is parked here.</exception>
    internal bool TakeReadyOrArm(IPollWaiter mailbox)
    {
        while (true)
        {
            long seen = Volatile.Read(ref _word);
            switch (StateOf(seen))
            {
                case Empty:
                    if (!ReferenceEquals(_waiter, mailbox))
                    {
                        _waiter = mailbox;
                    }

                    if (TryPark(seen))
                    {
                        return false;
                    }

                    break;
                case Ready:
                    if (TryMove(seen, Empty))
                    {
                        return true;
                    }

                    break;
                case Parked when ReferenceEquals(_waiter, mailbox):
                    return false;
                default:
                    ThrowDoubleWait();
                    break;
            }
        }
    }

    /// <summary>Takes a waiter's own park back.</summary>
    /// <returns>False: it was not parked, or its signal is on the way.</returns>
    internal bool TryWithdraw(IPollWaiter waiter)
    {
        long seen = Volatile.Read(ref _word);
        if (StateOf(seen) != Parked || !ReferenceEquals(_waiter, waiter) || !TryMove(seen, Empty))
        {
            return false;
        }

        _waiter = null;
        return true;
    }

    /// <summary>Marks readiness, or ends a wait without any; takes out the waiter. Go: <c>netpollunblock</c>.</summary>
    /// <returns>The waiter that must now be made to run, if one was parked.</returns>
    internal IPollWaiter? Unblock(bool ioReady)
    {
        while (true)
        {
            long seen = Volatile.Read(ref _word);
            if (StateOf(seen) == Ready || (StateOf(seen) == Empty && !ioReady))
            {
                // An event never removes a pending readiness.
                return null;
            }

            IPollWaiter? waiter = StateOf(seen) == Parked ? _waiter : null;
            if (TryMove(seen, ioReady ? Ready : Empty))
            {
                return waiter;
            }
        }
    }

    /// <summary>For a descriptor that changes hands: forgets what there was, and asserts that nobody is parked.</summary>
    internal void Vacate(string phase)
    {
        long seen = Volatile.Read(ref _word);
        if (StateOf(seen) is Wait or Parked)
        {
            throw new PollerInvariantException($"A waiter is blocked on a {phase} descriptor ({this}).");
        }

        _waiter = null;
        Prepare();
    }

    /// <inheritdoc/>
    public override readonly string ToString() => StateOf(Volatile.Read(in _word)) switch
    {
        Empty => "none",
        Ready => nameof(Ready),
        Wait => nameof(Wait),
        _ => _waiter?.ToString() ?? "none",
    };

    private static long StateOf(long word) => word & StateMask;

    private static void ThrowDoubleWait() =>
        throw new InvalidOperationException("Double wait: somebody already waits in this direction of the descriptor.");

    private bool TryMove(long seen, long state) => Interlocked.CompareExchange(ref _word, (seen & ~StateMask) | state, seen) == seen;

    private bool TryPark(long seen) => Interlocked.CompareExchange(ref _word, ((seen & ~StateMask) + OnePark) | Parked, seen) == seen;
}
