using Proto;

namespace NetPoll.Actors;

/// <summary>How often the actor of a connection whose handler threw is restarted, with the connection kept. Immutable; one object for all.</summary>
/// <remarks>See <see cref="ConnectionOptions.Restart"/>.</remarks>
public sealed record RestartPolicy
{
    private ISupervisorStrategy? _strategy;

    /// <summary>Restarts within <see cref="Within"/>, 1 or more; one failure more closes the connection. Default 3.</summary>
    public int MaxRestarts { get; init; } = 3;

    /// <summary>How long a failure counts: above 0, or <see cref="Timeout.InfiniteTimeSpan"/> for the connection's life. Default 1 minute.</summary>
    public TimeSpan Within { get; init; } = TimeSpan.FromMinutes(1);

    // Two threads may make it at once: they are the same. What counts failures belongs to the actor.
    internal ISupervisorStrategy Strategy => _strategy ??= new OneForOneStrategy(
        static (_, _) => SupervisorDirective.Restart, MaxRestarts, Within == Timeout.InfiniteTimeSpan ? null : Within);

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Require(MaxRestarts > 0, nameof(MaxRestarts), MaxRestarts, "1 or more");
        Require(Within > TimeSpan.Zero || Within == Timeout.InfiniteTimeSpan, nameof(Within), Within, "above 0, or infinite");
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(RestartPolicy)}.{name} is {value}; expected {expected}.", name);
        }
    }
}
