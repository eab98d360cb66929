namespace NetPoll.Actors.Listening;

/// <summary>How many of something are alive, and who waits until none is. Any thread.</summary>
internal sealed class LiveCount
{
    private long _live;
    // Word     how many are alive.
    // Writers  any thread: up by CAS, so that the last place is given once; down by decrement.
    // Readers  whoever waits for none: he publishes a source by CAS, his own or the one that is there, then reads.
    // Race     the last one ends while somebody begins to wait.
    // Order    end: decrement, then read the source. wait: CAS the source in, then read this. Both are full fences between the two, so
    //          at least one sees the other.
    // Proof    LiveCountTests.

    private TaskCompletionSource? _none;

    /// <summary>A moment old.</summary>
    internal long Live => Volatile.Read(ref _live);

    /// <summary>Counts one in, unless as many as the limit are alive.</summary>
    internal bool TryEnter(long limit = long.MaxValue)
    {
        long seen = Volatile.Read(ref _live);
        while (seen < limit)
        {
            long found = Interlocked.CompareExchange(ref _live, seen + 1, seen);
            if (found == seen)
            {
                return true;
            }

            seen = found;
        }

        return false;
    }

    /// <summary>Counts one out.</summary>
    internal void Leave()
    {
        if (Interlocked.Decrement(ref _live) == 0)
        {
            Volatile.Read(ref _none)?.TrySetResult();
        }
    }

    /// <summary>Completes when none is alive.</summary>
    internal Task WhenNoneAsync()
    {
        // One source for all who wait at the same time.
        TaskCompletionSource fresh = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource none;
        TaskCompletionSource? seen;
        do
        {
            seen = Volatile.Read(ref _none);
            none = seen is { Task.IsCompleted: false } ? seen : fresh;
        }
        while (!ReferenceEquals(Interlocked.CompareExchange(ref _none, none, seen), seen));

        if (Live == 0)
        {
            none.TrySetResult();
        }

        return none.Task;
    }
}
