namespace NetPoll.Core;

/// <summary>A poller's figures at one moment; they may be a moment old, and are never negative.</summary>
/// <param name="Group">The name of the poller's group.</param>
/// <param name="Poller">The poller's name.</param>
/// <param name="Monitored">Descriptors that are taken in, those included that are just being opened or closed.</param>
/// <param name="Opening">Of these, the ones that the system does not watch yet.</param>
/// <param name="Closing">Of these, the ones that are closed and still have users.</param>
/// <param name="InOperation">Reads and writes of connections in progress that are not parked.</param>
/// <param name="ReadersParked">Waiters in read slots.</param>
/// <param name="WritersParked">Waiters in write slots.</param>
/// <param name="Runnable">Work in the run queue.</param>
/// <param name="DeadlinesArmed">Deadlines that are set and have not passed.</param>
/// <param name="DeadlinesFired">Deadlines that have passed since the start; one that was set in the past fires nothing.</param>
/// <param name="Waits">Waits on the system since the start.</param>
/// <param name="EventsReturned">Events that the waits returned.</param>
/// <param name="StaleEvents">Events dropped because their descriptor had changed hands.</param>
/// <param name="SpuriousWakeups">Wake-ups after which the system had nothing.</param>
/// <param name="WakeupsSent">Wake-ups written to the sleeping poller.</param>
/// <param name="WakeupsCoalesced">Posts that needed none, because the poller was awake or being woken.</param>
/// <param name="LongestTurn">The longest time between two waits.</param>
/// <remarks>Go: <c>netpollWaiters</c> and the counts around it.</remarks>
public sealed record PollerSnapshot(
    string Group,
    string Poller,
    int Monitored,
    int Opening,
    int Closing,
    int InOperation,
    int ReadersParked,
    int WritersParked,
    int Runnable,
    int DeadlinesArmed,
    long DeadlinesFired,
    long Waits,
    long EventsReturned,
    long StaleEvents,
    long SpuriousWakeups,
    long WakeupsSent,
    long WakeupsCoalesced,
    TimeSpan LongestTurn)
{
    /// <summary>The core that the thread is confined to by <see cref="PollerOptions.PinToCores"/>; null while it is free.</summary>
    public int? Core { get; init; }

    /// <summary>How long the poller has done anything but wait since the start, spinning not counted: two snapshots tell its busy share.</summary>
    public TimeSpan Busy { get; init; }
}
