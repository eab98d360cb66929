namespace NetPoll.Core.Scheduling;

/// <summary>Whether a poller sleeps, and whether somebody has already set out to wake it. A part of one poller: never copied.</summary>
/// <remarks>Go: <c>netpollWakeSig</c>, but the wake-up is only sent to a poller that sleeps or is about to.</remarks>
internal struct SleepState
{
    private const int Awake = 0;
    private const int Sleeping = 1;
    private const int Notified = 2;

    private int _state;
    // Word     Awake | Sleeping | Notified.
    // Writers  the poller's thread: Awake -> Sleeping before it blocks, anything -> Awake after. Any thread: Sleeping -> Notified.
    // Race     work that is pushed while the poller goes to sleep.
    // Order    poller: Exchange Sleeping in, then look into the inbox. producer: push (CAS), then CAS Sleeping -> Notified here.
    //          A failed CAS here is no fence by itself, but the push before it was a successful read-modify-write and so is one:
    //          either the poller sees the node, or the producer sees Sleeping. After the wait the backend has read the wake-up
    //          before the poller stores Awake, and the inbox is drained after that: read, clear, drain.
    // Proof    SleepStateTests.

    /// <summary>Announces the sleep. The inbox must be looked at afterwards, and <see cref="Wake"/> called if it is not empty.</summary>
    internal void FallAsleep() => Interlocked.Exchange(ref _state, Sleeping);

    /// <summary>The poller's thread is up again.</summary>
    internal void Wake() => Interlocked.Exchange(ref _state, Awake);

    /// <summary>After something was pushed: whether the caller is the one that has to send the wake-up.</summary>
    internal bool MustNotify() =>
        Volatile.Read(ref _state) == Sleeping && Interlocked.CompareExchange(ref _state, Notified, Sleeping) == Sleeping;
}
