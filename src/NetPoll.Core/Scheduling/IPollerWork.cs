namespace NetPoll.Core.Scheduling;

/// <summary>One unit of work for a poller's thread; it is its own node in the inbox, so posting it allocates nothing.</summary>
/// <remarks>In at most one queue at a time: whoever queues it owns the right to, by a state of the work's own.</remarks>
internal interface IPollerWork
{
    /// <summary>The inbox's link; nobody else's business.</summary>
    IPollerWork? Next { get; set; }

    /// <summary>Does the work, on the poller's thread (on the thread pool after the poller has stopped).</summary>
    void Run();
}
