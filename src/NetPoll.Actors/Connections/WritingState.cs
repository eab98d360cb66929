namespace NetPoll.Actors.Connections;

/// <summary>What a connection knows of its output only when something out of the ordinary happened to it. The poller's thread.</summary>
internal sealed class WritingState
{
    private DroppedOutput _told;

    /// <summary>What was dropped over the connection's life.</summary>
    internal DroppedOutput Dropped { get; private set; }

    /// <summary>Counts what was dropped.</summary>
    internal void CountDropped(int payloads, long bytes) => Dropped = new DroppedOutput(Dropped.Payloads + payloads, Dropped.Bytes + bytes);

    /// <summary>What was dropped since this was last asked.</summary>
    /// <returns>False when that is nothing.</returns>
    internal bool TakeUntold(out DroppedOutput untold)
    {
        untold = new DroppedOutput(Dropped.Payloads - _told.Payloads, Dropped.Bytes - _told.Bytes);
        _told = Dropped;
        return untold.Payloads != 0;
    }
}
