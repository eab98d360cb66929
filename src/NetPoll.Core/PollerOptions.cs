using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NetPoll.Core.Backends;

namespace NetPoll.Core;

/// <summary>How the pollers of a group work.</summary>
public sealed class PollerOptions
{
    /// <summary>
    /// What tells the group from the others of the process in figures and logs. Default, null: <c>group-</c> and a number that no other group
    /// of the process has.
    /// </summary>
    public string? Name { get; set; }

    /// <summary>
    /// How the pollers learn what is ready. Default, <see cref="PollBackend.Auto"/>: by the environment variable <c>NETPOLL_BACKEND</c>, else
    /// epoll on Linux and the portable one elsewhere. Any other value beats the environment.
    /// </summary>
    public PollBackend Backend { get; set; } = PollBackend.Auto;

    /// <summary>Poller threads. Default: one per core that the process may use.</summary>
    public int PollerCount { get; set; } = Environment.ProcessorCount;

    /// <summary>
    /// Which poller gets a newcomer that may live on any. Default, <see cref="PollerPlacement.RoundRobin"/>. With
    /// <see cref="PollerPlacement.LeastLoaded"/> one poller accepts for all of a listener's: a hand-over between threads for each connection,
    /// and no poller that gets more than its share of those that last.
    /// </summary>
    public PollerPlacement Placement { get; set; } = PollerPlacement.RoundRobin;

    /// <summary>
    /// Whether each poller's thread is confined to one core of those that the process may use: poller 0 to the first, and so on; with more
    /// pollers than cores they share. Default false: the system moves threads where there is room. Where the backend cannot, as the portable
    /// one, that is logged once for each poller, and the threads stay free.
    /// </summary>
    public bool PinToCores { get; set; }

    /// <summary>The most events that one wait returns, 1 to 65,536. Default 128, as in Go. More means fewer waits and longer turns.</summary>
    public int EventsPerWait { get; set; } = 128;

    /// <summary>How many descriptors a poller takes at once; one more is refused with a resource error. Default: no limit of its own.</summary>
    public int MaxDescriptors { get; set; } = int.MaxValue;

    /// <summary>
    /// How long a poller runs queued work before it looks at its sockets again. Default 200 microseconds. Shorter favours sockets.
    /// </summary>
    public TimeSpan RunQueueBudget { get; set; } = TimeSpan.FromMicroseconds(200);

    /// <summary>
    /// How long a poller that was busy a moment ago goes on looking before it sleeps. Default 50 microseconds; zero for never. A thread
    /// that sleeps takes longer to wake than to look a few times, so request and answer between two programs get faster; it costs
    /// processor time, and nothing on an idle server, since only a poller whose last waits were about that short does it.
    /// </summary>
    public TimeSpan MaxSpin { get; set; } = TimeSpan.FromMicroseconds(50);

    /// <summary>
    /// How long one turn may hold a poller's thread before that is logged, with the name of what holds it, and once more when it is over, with the
    /// whole time: 1 ms to 1 day, or <see cref="Timeout.InfiniteTimeSpan"/> for never. Default 250 ms.
    /// </summary>
    public TimeSpan StallThreshold { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Whether code that awaits on a poller's thread gets back what it had in <see cref="AsyncLocal{T}"/> values, as the current activity of a
    /// trace, and whether what it starts from there inherits them. Default true, as everywhere in .NET. Without, such values are lost at
    /// every await there, and an awaited echo costs about 1% less; after an await such code finds what the thread happens to have, so what one
    /// connection's code sets there may be seen by another's. What is posted finds them empty, either way.
    /// </summary>
    public bool FlowExecutionContext { get; set; } = true;

    /// <summary>The clock of every deadline. Default: the system's. With another one the pollers sleep on the timers that it makes.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>
    /// Where the pollers report their start and what goes wrong on their threads. Default: nowhere. What it throws is swallowed, since those
    /// threads must go on.
    /// </summary>
    public ILogger Logger { get; set; } = NullLogger.Instance;

    /// <summary>The operating system as the pollers see it; tests script another one.</summary>
    internal PollPlatform? Platform { get; set; }

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    internal void Validate()
    {
        Require(Name is null || !string.IsNullOrWhiteSpace(Name), nameof(Name), $"'{Name}'", "a name, or null");
        Require(Enum.IsDefined(Backend), nameof(Backend), Backend, "Auto, Epoll or Portable");
        Require(Enum.IsDefined(Placement), nameof(Placement), Placement, "RoundRobin or LeastLoaded");
        Require(PollerCount is > 0 and <= 4096, nameof(PollerCount), PollerCount, "1 to 4,096");
        Require(EventsPerWait is > 0 and <= 65_536, nameof(EventsPerWait), EventsPerWait, "1 to 65,536");
        Require(MaxDescriptors > 0, nameof(MaxDescriptors), MaxDescriptors, "1 or more");
        Require(RunQueueBudget > TimeSpan.Zero && RunQueueBudget <= TimeSpan.FromSeconds(10), nameof(RunQueueBudget), RunQueueBudget, "above 0, up to 10 s");
        Require(MaxSpin >= TimeSpan.Zero && MaxSpin <= TimeSpan.FromMilliseconds(10), nameof(MaxSpin), MaxSpin, "0 to 10 ms");
        Require(
            (StallThreshold >= TimeSpan.FromMilliseconds(1) && StallThreshold <= TimeSpan.FromDays(1)) || StallThreshold == Timeout.InfiniteTimeSpan,
            nameof(StallThreshold),
            StallThreshold,
            "1 ms to 1 day, or infinite");
        ArgumentNullException.ThrowIfNull(TimeProvider);
        ArgumentNullException.ThrowIfNull(Logger);
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(PollerOptions)}.{name} is {value}; expected {expected}.", name);
        }
    }
}
