namespace NetPoll.Actors;

/// <summary>The deadlines of one phase of a connection's life, as before and after it has logged in. One call switches from one to the next.</summary>
/// <remarks>
/// Immutable: one object of each for all connections. A time that has passed is told once, with <see cref="DeadlineKind"/>; nothing of a
/// profile that was switched away is told any more.
/// </remarks>
public sealed record DeadlineProfile
{
    /// <summary>How long the first byte may take, from the switch on; above 0. Null, the default: for ever.</summary>
    public TimeSpan? FirstByte { get; init; }

    /// <summary>How long nothing may be received, above 0; null, the default: for ever. As <see cref="SetIdleTimeout"/>, which may still change it.</summary>
    public TimeSpan? Idle { get; init; }

    /// <summary>
    /// How long the peer may take nothing of what waits for it, above 0 or <see cref="Timeout.InfiniteTimeSpan"/>. Null, the default:
    /// <see cref="ConnectionOptions.WriteTimeout"/>.
    /// </summary>
    public TimeSpan? Write { get; init; }

    /// <summary>
    /// How old the connection may become in this phase, above 0; null, the default: as old as it likes. Counted from its first profile, so that
    /// switching does not prolong it: from its beginning with <see cref="ConnectionOptions.Deadlines"/>.
    /// </summary>
    public TimeSpan? Lifetime { get; init; }

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Require(FirstByte, nameof(FirstByte));
        Require(Idle, nameof(Idle));
        Require(Write == Timeout.InfiniteTimeSpan ? null : Write, nameof(Write));
        Require(Lifetime, nameof(Lifetime));
    }

    private static void Require(TimeSpan? time, string name)
    {
        if (time <= TimeSpan.Zero)
        {
            throw new ArgumentException($"{nameof(DeadlineProfile)}.{name} is {time}; expected more than 0, or null.", name);
        }
    }
}
