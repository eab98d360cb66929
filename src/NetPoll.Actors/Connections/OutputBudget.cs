namespace NetPoll.Actors.Connections;

/// <summary>The bytes of output that wait in the whole process, and how many may. Any thread.</summary>
/// <remarks>Touched only where output must wait, or waited and left: what the system takes at once costs nothing here.</remarks>
internal sealed class OutputBudget
{
    private long _taken;
    // Word     bytes that wait, and for a moment those that were refused.
    // Writers  pollers: TryTake adds before the bytes are kept, Give subtracts when they have left.
    // Race     two takers that reach the limit at once.
    // Order    each adds first and looks at the sum that its own addition made, so what is kept never exceeds the limit; both may be refused
    //          where one of them would have fitted.
    // Proof    OutputBudgetTests.

    internal OutputBudget(long limit) => Limit = limit;

    /// <summary>How many bytes may wait.</summary>
    internal long Limit { get; }

    /// <summary>How many bytes wait.</summary>
    internal long Taken => Volatile.Read(ref _taken);

    /// <summary>Counts bytes in that are to wait.</summary>
    /// <returns>False when there is no room for them; nothing was counted then.</returns>
    internal bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= Limit)
        {
            return true;
        }

        Give(bytes);
        return false;
    }

    /// <summary>Counts bytes in that wait already, limit or not: a piece of a stream, of which there are two a connection at most.</summary>
    internal void Take(long bytes) => Interlocked.Add(ref _taken, bytes);

    /// <summary>Bytes that waited have left, or were thrown away.</summary>
    internal void Give(long bytes)
    {
        long left = Interlocked.Add(ref _taken, -bytes);
        System.Diagnostics.Debug.Assert(left >= 0, "What is given back was taken before.");
    }
}
