namespace NetPoll.Tests;

/// <summary>Bytes that the current thread allocates between two looks.</summary>
internal readonly struct AllocationCounter
{
    private readonly long _start;

    private AllocationCounter(long start) => _start = start;

    /// <summary>What this thread has allocated since <see cref="Start"/>; to be read on the same thread.</summary>
    public long Bytes => GC.GetAllocatedBytesForCurrentThread() - _start;

    public static AllocationCounter Start() => new(GC.GetAllocatedBytesForCurrentThread());

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
