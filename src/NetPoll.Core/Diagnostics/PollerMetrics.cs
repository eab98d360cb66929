using System.Diagnostics.Metrics;

namespace NetPoll.Core.Diagnostics;

/// <summary>The meter <c>NetPoll.Core</c>: what every poller of the process does, read when somebody listens.</summary>
/// <remarks>Each figure has the tag <c>netpoll.group</c>, and those of a poller <c>netpoll.poller</c>.</remarks>
internal static class PollerMetrics
{
    private static readonly Meter Meter = new("NetPoll.Core");
    private static readonly Lock Gate = new();
    private static readonly List<Poller> Live = [];

    private static readonly Counter<long> Shed = Meter.CreateCounter<long>(
        "netpoll.listener.shed", "{connection}", "Connections closed unserved because the process was out of descriptors");

    private static readonly Counter<long> Stalls = Meter.CreateCounter<long>(
        "netpoll.poller.stalls", "{stall}", "Times that something held a poller's thread for too long");

    static PollerMetrics()
    {
        Gauge("netpoll.poller.descriptors", "{descriptor}", "Descriptors that are watched", static snapshot => snapshot.Monitored);
        Gauge("netpoll.poller.descriptors.opening", "{descriptor}", "Descriptors that the system does not watch yet", static snapshot => snapshot.Opening);
        Gauge("netpoll.poller.descriptors.closing", "{descriptor}", "Descriptors that are closed and still have users", static snapshot => snapshot.Closing);
        Gauge("netpoll.poller.operations", "{operation}", "Reads and writes in progress that are not parked", static snapshot => snapshot.InOperation);
        Gauge("netpoll.poller.readers", "{waiter}", "Waiters parked for reading", static snapshot => snapshot.ReadersParked);
        Gauge("netpoll.poller.writers", "{waiter}", "Waiters parked for writing", static snapshot => snapshot.WritersParked);
        Gauge("netpoll.poller.run_queue.length", "{work}", "Work that waits for the poller's thread", static snapshot => snapshot.Runnable);
        Gauge("netpoll.deadlines.armed", "{deadline}", "Deadlines that are set and have not passed", static snapshot => snapshot.DeadlinesArmed);
        Count("netpoll.deadlines.fired", "{deadline}", "Deadlines that have passed", static snapshot => snapshot.DeadlinesFired);
        Count("netpoll.poller.waits", "{wait}", "Waits on the system", static snapshot => snapshot.Waits);
        Count("netpoll.poller.events", "{event}", "Events that the waits returned", static snapshot => snapshot.EventsReturned);
        Count("netpoll.poller.stale_events", "{event}", "Events of descriptors that had changed hands", static snapshot => snapshot.StaleEvents);
        Count("netpoll.poller.spurious_wakeups", "{wakeup}", "Wake-ups after which nothing was there", static snapshot => snapshot.SpuriousWakeups);
        Count("netpoll.poller.wakeups", "{wakeup}", "Wake-ups of a sleeping poller by another thread", static snapshot => snapshot.WakeupsSent);
        Count("netpoll.poller.wakeups.coalesced", "{wakeup}", "Posts that needed no wake-up", static snapshot => snapshot.WakeupsCoalesced);
        _ = Meter.CreateObservableGauge(
            "netpoll.poller.turn.max",
            static () => Measure(static snapshot => snapshot.LongestTurn.TotalSeconds),
            "s",
            "The longest time between two waits");
    }

    internal static void Add(Poller poller)
    {
        lock (Gate)
        {
            Live.Add(poller);
        }
    }

    internal static void Remove(Poller poller)
    {
        lock (Gate)
        {
            Live.Remove(poller);
        }
    }

    internal static void ConnectionShed(string group) => Shed.Add(1, Tag(group));

    internal static void Stalled(Poller poller) => Stalls.Add(1, Tag(poller.Group), Tag(poller));

    private static void Gauge(string name, string unit, string description, Func<PollerSnapshot, long> figure) =>
        _ = Meter.CreateObservableUpDownCounter(name, () => Measure(figure), unit, description);

    private static void Count(string name, string unit, string description, Func<PollerSnapshot, long> figure) =>
        _ = Meter.CreateObservableCounter(name, () => Measure(figure), unit, description);

    private static IEnumerable<Measurement<T>> Measure<T>(Func<PollerSnapshot, T> figure)
        where T : struct
    {
        Poller[] pollers;
        lock (Gate)
        {
            pollers = [.. Live];
        }

        return pollers.Select(poller => new Measurement<T>(figure(poller.Snapshot()), Tag(poller.Group), Tag(poller)));
    }

    private static KeyValuePair<string, object?> Tag(string group) => new("netpoll.group", group);

    private static KeyValuePair<string, object?> Tag(Poller poller) => new("netpoll.poller", poller.Name);
}
