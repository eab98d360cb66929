using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NetPoll.Core;

namespace NetPoll.Actors;

/// <summary>How NetPoll works in an actor system.</summary>
public sealed class NetPollOptions
{
    /// <summary>The poller threads.</summary>
    public PollerOptions Pollers { get; set; } = new();

    /// <summary>
    /// Where connections and listeners report what goes wrong, and the pollers too unless they have a logger of their own. Default: nowhere. What
    /// it throws is swallowed, since the pollers' threads must go on.
    /// </summary>
    public ILogger Logger { get; set; } = NullLogger.Instance;

    /// <summary>
    /// How long the connections may take to finish when NetPoll is disposed or stops with its host. Default 5 s; 0 resets them at once.
    /// </summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How many bytes of unsent output all connections together keep at most. Null, the default: a quarter of the memory that the process may
    /// use. Where it is reached, the connection of the same poller for whose peer most waits gives way, by its own
    /// <see cref="ConnectionOptions.SlowConsumerPolicy"/>. What the system takes at once does not count.
    /// </summary>
    public long? MaxOutputBytes { get; set; }

    /// <summary>
    /// How connections are moved from busy pollers to idle ones (<see cref="MoveConnection"/>). Null, the default: not at all.
    /// </summary>
    public BalancingOptions? Balancing { get; set; }

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    public void Validate()
    {
        ArgumentNullException.ThrowIfNull(Pollers);
        ArgumentNullException.ThrowIfNull(Logger);
        Pollers.Validate();
        Balancing?.Validate();
        if (DrainTimeout < TimeSpan.Zero || DrainTimeout > TimeSpan.FromDays(1))
        {
            throw new ArgumentException($"{nameof(NetPollOptions)}.{nameof(DrainTimeout)} is {DrainTimeout}; expected 0 to 1 day.", nameof(DrainTimeout));
        }

        if (MaxOutputBytes <= 0)
        {
            throw new ArgumentException($"{nameof(NetPollOptions)}.{nameof(MaxOutputBytes)} is {MaxOutputBytes}; expected 1 or more, or null.", nameof(MaxOutputBytes));
        }
    }
}
