using Proto;

namespace NetPoll.Actors;

/// <summary>Tells a poller's PID to finish with its connections, for good; the answer, when it is done, is a <see cref="PollerDrained"/>.</summary>
/// <remarks>
/// The poller takes no new connection from then on: its listeners' sockets are closed after what waited in their queues was accepted, and
/// listeners go on through the other pollers. Its connections are told (<c>OnShutdown</c>); those that have not ended when the time is over
/// are reset. It still answers, and other actors that live on it go on. Several may be sent: each is answered, and the shortest time counts.
/// </remarks>
public sealed record DrainPoller
{
    /// <param name="time">How long the connections may take; 0 resets them at once, <see cref="Timeout.InfiniteTimeSpan"/> waits for ever.</param>
    /// <exception cref="ArgumentOutOfRangeException">Below 0, and not infinite.</exception>
    public DrainPoller(TimeSpan time)
    {
        if (time < TimeSpan.Zero && time != Timeout.InfiniteTimeSpan)
        {
            throw new ArgumentOutOfRangeException(nameof(time), time, "Expected 0 or more, or infinite.");
        }

        Time = time;
    }

    /// <summary>How long the connections may take.</summary>
    public TimeSpan Time { get; }
}

/// <summary>A poller has no connections any more, and takes no new ones.</summary>
/// <param name="Poller">The poller's PID.</param>
/// <param name="Reset">Connections that had not ended in time, and were reset.</param>
public sealed record PollerDrained(PID Poller, int Reset);
