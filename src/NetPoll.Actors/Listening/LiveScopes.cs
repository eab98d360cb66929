namespace NetPoll.Actors.Listening;

/// <summary>How many connections' scopes are not disposed yet, for a shutdown that waits for them. Any thread.</summary>
internal sealed class LiveScopes
{
    private TaskCompletionSource? _empty;
    private int _count;

    internal void Began() => Interlocked.Increment(ref _count);

    internal void Ended()
    {
        // Both are full fences: the last scope sees who waits, or who waits sees that it was the last.
        if (Interlocked.Decrement(ref _count) == 0)
        {
            Volatile.Read(ref _empty)?.TrySetResult();
        }
    }

    /// <summary>Completes when the last one has ended. When no more begin, once.</summary>
    internal Task WhenEmptyAsync()
    {
        TaskCompletionSource empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _empty, empty);
        if (Volatile.Read(ref _count) == 0)
        {
            empty.TrySetResult();
        }

        return empty.Task;
    }
}
