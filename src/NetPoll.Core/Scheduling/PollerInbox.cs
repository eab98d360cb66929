namespace NetPoll.Core.Scheduling;

/// <summary>Work from other threads: many producers, one consumer, no lock and no allocation.</summary>
/// <remarks>
/// A stack that is taken whole and turned round. A push is one compare-and-swap that both links and publishes, so there is no moment
/// in which a node is in but not linked, and an inbox that looks empty is empty. Taking everything at once leaves no room for ABA.
/// </remarks>
internal sealed class PollerInbox
{
    private static readonly IPollerWork Closed = new ClosedMark();

    private IPollerWork? _head;
    // Word     null | the newest node | Closed for ever.
    // Writers  any thread pushes (CAS); the poller's thread takes all (Exchange) and, at its end, closes (Exchange).
    // Readers  the poller's thread before it sleeps.
    // Race     a push that lands between the poller's last look and its sleep.
    // Order    push: CAS here, then look at the sleep state. sleep: Exchange the sleep state, then look here. Both are full fences, so
    //          at least one side sees the other. See SleepState.
    // Proof    PollerInboxTests, SleepStateTests.

    internal bool IsEmpty => Volatile.Read(ref _head) is null;

    /// <summary>Adds work. Any thread.</summary>
    /// <returns>False when the poller has stopped: the work was not taken.</returns>
    internal bool TryPush(IPollerWork work)
    {
        while (true)
        {
            IPollerWork? head = Volatile.Read(ref _head);
            if (ReferenceEquals(head, Closed))
            {
                return false;
            }

            work.Next = head;
            if (ReferenceEquals(Interlocked.CompareExchange(ref _head, work, head), head))
            {
                return true;
            }
        }
    }

    /// <summary>Moves everything to the run queue, oldest first. The poller's thread only.</summary>
    internal void DrainTo(RunQueue queue)
    {
        if (!IsEmpty && !ReferenceEquals(Volatile.Read(ref _head), Closed))
        {
            Append(Interlocked.Exchange(ref _head, null), queue);
        }
    }

    /// <summary>Takes what is left and refuses everything later. The poller's thread only, once.</summary>
    internal void Close(RunQueue queue) => Append(Interlocked.Exchange(ref _head, Closed), queue);

    private static void Append(IPollerWork? newest, RunQueue queue)
    {
        IPollerWork? oldest = null;
        while (newest is not null)
        {
            IPollerWork? next = newest.Next;
            newest.Next = oldest;
            oldest = newest;
            newest = next;
        }

        while (oldest is not null)
        {
            IPollerWork? next = oldest.Next;

            // Free to be posted again, by the very run that follows, and a chain keeps nothing alive.
            oldest.Next = null;
            queue.Enqueue(oldest);
            oldest = next;
        }
    }

    private sealed class ClosedMark : IPollerWork
    {
        public IPollerWork? Next { get; set; }

        public void Run() => throw new InvalidOperationException("The mark of a closed inbox is not work.");
    }
}
