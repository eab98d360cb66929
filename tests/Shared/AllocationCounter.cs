namespace NetPoll.Tests;

/// <summary>Bytes that the current thread allocates between two looks.</summary>
internal readonly struct AllocationCounter
{
    // What the runtime hands to a thread at a time.
    private const long Quantum = 8 * 1024;

    private readonly long _start;
    private readonly int _collections;

    private AllocationCounter(long start, int collections)
    {
        _start = start;
        _collections = collections;
    }

    /// <summary>What this thread has allocated since <see cref="Start"/>; to be read on the same thread.</summary>
    /// <remarks>
    /// A collection, which another thread may cause, takes back what the thread has been handed and not used yet, and that counts as
    /// allocated; once, since a thread that allocates nothing is handed nothing new.
    /// </remarks>
    public long Bytes
    {
        get
        {
            long bytes = GC.GetAllocatedBytesForCurrentThread() - _start;
            return GC.CollectionCount(0) == _collections ? bytes : Math.Max(0, bytes - Quantum);
        }
    }

    public static AllocationCounter Start()
    {
        int collections = GC.CollectionCount(0);
        return new(GC.GetAllocatedBytesForCurrentThread(), collections);
    }

    /// <summary>Runs it often enough to be compiled for good, then once more and counts.</summary>
    public static long BytesOf(Action action, int warmUps = 3)
    {
        for (int round = 0; round < warmUps; round++)
        {
            action();
        }

        AllocationCounter counter = Start();
        action();
        return counter.Bytes;
    }
}
