namespace NetPoll.Core;

/// <summary>Which poller of a group gets a newcomer that may live on any of them.</summary>
public enum PollerPlacement
{
    /// <summary>One after the other; where the system spreads the connections of a listener over the pollers itself, it does.</summary>
    RoundRobin,

    /// <summary>The one that watches the fewest descriptors; of several, one after the other.</summary>
    LeastLoaded,
}
