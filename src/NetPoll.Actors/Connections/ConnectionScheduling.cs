namespace NetPoll.Actors;

/// <summary>Where the handlers of a connection actor run.</summary>
public enum ConnectionScheduling
{
    /// <summary>On the poller's thread, the fast way: nothing there may block.</summary>
    Poller,

    /// <summary>
    /// On the thread pool, one at a time and in order, because they block. Reading and writing stay on the poller: while a handler runs, or awaits,
    /// its connection reads nothing, and the others go on. What the connection offers may be used on any thread: sends are posted to the poller,
    /// other calls wait until it has done them. Costs a copy of the bytes and two changes of threads for each call.
    /// </summary>
    ThreadPool,
}
