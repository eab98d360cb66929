namespace NetPoll.Actors;

/// <summary>How a connector connects, and how it goes on after a failure.</summary>
/// <remarks>
/// The wait before an attempt doubles from <see cref="FirstDelay"/> to <see cref="MaxDelay"/>; a random part of it is left out, so that the
/// clients of a server that was away do not all come back at the same moment.
/// </remarks>
public sealed class ConnectorOptions
{
    /// <summary>Each attempt and its connection.</summary>
    public ConnectOptions Connect { get; set; } = new();

    /// <summary>The wait after the first failure, 1 ms to 1 day. Default 100 ms.</summary>
    public TimeSpan FirstDelay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>The longest wait, at least <see cref="FirstDelay"/>, up to 1 day. Default 30 s.</summary>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The part of each wait that chance may take away, 0 to 1. Default 0.5: between half of it and all.</summary>
    public double Jitter { get; set; } = 0.5;

    /// <summary>
    /// How long a connection must last to count as a success, after which the waits begin anew; 0 or more. Default 10 s. One that ends earlier
    /// counts as a failed attempt, so that a server which accepts and hangs up is not asked without pause.
    /// </summary>
    public TimeSpan StableAfter { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>After how many failed attempts in a row it gives up and stops, 1 or more. Default null: never.</summary>
    public int? MaxAttempts { get; set; }

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    public void Validate()
    {
        ArgumentNullException.ThrowIfNull(Connect);
        Connect.Validate();
        Require(FirstDelay >= TimeSpan.FromMilliseconds(1) && FirstDelay <= TimeSpan.FromDays(1), nameof(FirstDelay), FirstDelay, "1 ms to 1 day");
        Require(MaxDelay >= FirstDelay && MaxDelay <= TimeSpan.FromDays(1), nameof(MaxDelay), MaxDelay, $"{nameof(FirstDelay)} ({FirstDelay}) to 1 day");
        Require(Jitter is >= 0 and <= 1, nameof(Jitter), Jitter, "0 to 1");
        Require(StableAfter >= TimeSpan.Zero, nameof(StableAfter), StableAfter, "0 or more");
        Require(MaxAttempts is null or > 0, nameof(MaxAttempts), MaxAttempts!, "1 or more, or null");
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException(FormattableString.Invariant($"{nameof(ConnectorOptions)}.{name} is {value}; expected {expected}."), name);
        }
    }
}
