namespace NetPoll.Core.Descriptors;

/// <summary>What parks in a descriptor's slot: an awaited operation or a mailbox.</summary>
/// <remarks>Whoever takes a waiter out of a slot owes it exactly one of the two calls. Go: a <c>g</c> and <c>netpollgoready</c>.</remarks>
internal interface IPollWaiter
{
    /// <summary>From the poller's loop, which runs nothing else meanwhile: user code may run inside.</summary>
    void Resume(PollSignals signals);

    /// <summary>From the poller's loop, when all of the batch were resumed: for one that was kept meanwhile, see <see cref="ReadyList.TryKeep"/>.</summary>
    void Continue() => throw new PollerInvariantException($"{this} was kept by somebody else.");

    /// <summary>From the poller's loop, when the waiter that ran there threw.</summary>
    /// <returns>True: it was meant for who waits, and is told there.</returns>
    bool TryFail(Exception exception) => false;

    /// <summary>From anywhere, with a lock of the caller's perhaps not far: notes the signals, queues itself, runs nothing.</summary>
    void Schedule(PollSignals signals);
}

/// <summary>Why a waiter was freed. A hint to look, never a promise: what holds is looked up when the waiter runs.</summary>
[Flags]
internal enum PollSignals
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The read slot became ready.</summary>
    Readable = 1,

    /// <summary>The write slot became ready.</summary>
    Writable = 2,

    /// <summary>The read deadline passed.</summary>
    ReadDeadline = 4,

    /// <summary>The write deadline passed.</summary>
    WriteDeadline = 8,

    /// <summary>The peer will send no more, or the connection is broken.</summary>
    Hangup = 16,

    /// <summary>The descriptor is being closed.</summary>
    Closed = 32,
}
