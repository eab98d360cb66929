namespace NetPoll.Actors;

/// <summary>How connections are moved from busy pollers to idle ones.</summary>
/// <remarks>
/// Once a period the pollers' busy shares are compared, where 1 is a thread that never waits. If the busiest one is ahead of the idlest by
/// <see cref="MinDifference"/> in two periods in a row, connections that together make up no more than half of that move over, those first that have most
/// to do. So a move never turns the difference round, a connection that is a poller's whole load stays where it is, and one that was moved stays for
/// ten periods.
/// </remarks>
public sealed record BalancingOptions
{
    /// <summary>Between two looks: 10 ms or more. Default 5 s.</summary>
    public TimeSpan Period { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The difference of busy shares that is left alone: above 0, to 1. Default 0.25.</summary>
    public double MinDifference { get; init; } = 0.25;

    /// <summary>Connections that move in one period at most, 1 or more. Default 8.</summary>
    public int MaxMoves { get; init; } = 8;

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Require(Period >= TimeSpan.FromMilliseconds(10) && Period <= TimeSpan.FromDays(1), nameof(Period), Period, "10 ms to 1 day");
        Require(MinDifference is > 0 and <= 1, nameof(MinDifference), MinDifference, "above 0, to 1");
        Require(MaxMoves > 0, nameof(MaxMoves), MaxMoves, "1 or more");
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException(FormattableString.Invariant($"{nameof(BalancingOptions)}.{name} is {value}; expected {expected}."), name);
        }
    }
}
