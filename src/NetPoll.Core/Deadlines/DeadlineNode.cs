namespace NetPoll.Core.Deadlines;

/// <summary>Something that the wheel reminds when its time comes; it is its own list node, so arming it allocates nothing.</summary>
/// <remarks>
/// The links belong to the wheel and so to the poller's thread. A node may be reminded before the time it cares about (nodes are lazy:
/// moving a deadline to later only stores it) and arms itself again; it is never reminded later than the tick it was armed for.
/// </remarks>
internal abstract class DeadlineNode
{
    internal DeadlineNode? NextNode;
    internal DeadlineNode? PreviousNode;

    // The wheel's tick, or -1 while it is not in the wheel.
    internal long Tick = -1;
    internal int Bucket;

    internal bool IsInWheel => Tick >= 0;

    /// <summary>The node's time has come, or an earlier time that it was armed for. The poller's thread; it is out of the wheel.</summary>
    /// <param name="now">The clock, in nanoseconds.</param>
    /// <param name="ready">Where the waiters go that this frees; nothing runs here.</param>
    internal abstract void OnDue(long now, Descriptors.ReadyList ready);
}
