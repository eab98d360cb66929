using System.Net;

namespace NetPoll.Actors;

/// <summary>How an outbound connection is made, and its limits.</summary>
public sealed class ConnectOptions
{
    /// <summary>
    /// How long a whole attempt may take, the look-up of a name included; above 0, or <see cref="Timeout.InfiniteTimeSpan"/> for as long as the
    /// system tries. Default 30 s.
    /// </summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the attempt at one address of a host has for itself before the next is tried beside it, 0 or more. Default 250 ms.</summary>
    public TimeSpan FallbackDelay { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>The address to come from, of the same kind as that to connect to. Default null: the system's choice.</summary>
    public EndPoint? LocalEndPoint { get; set; }

    /// <summary>
    /// On which poller the connection lives. Default null: on the poller that the caller runs on, so that a connection which makes another
    /// one shares its thread; otherwise one after the other.
    /// </summary>
    public PollerChoice? Poller { get; set; }

    /// <summary>Turns a host's name into addresses. Default null: the system does.</summary>
    public Func<string, CancellationToken, Task<IPAddress[]>>? Resolver { get; set; }

    /// <summary>The limits of the connection.</summary>
    public ConnectionOptions Connections { get; set; } = new();

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    public void Validate()
    {
        Require(ConnectTimeout > TimeSpan.Zero || ConnectTimeout == Timeout.InfiniteTimeSpan, nameof(ConnectTimeout), ConnectTimeout, "above 0, or infinite");
        Require(FallbackDelay >= TimeSpan.Zero && FallbackDelay <= TimeSpan.FromDays(1), nameof(FallbackDelay), FallbackDelay, "0 to 1 day");
        ArgumentNullException.ThrowIfNull(Connections);
        Connections.Validate();
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(ConnectOptions)}.{name} is {value}; expected {expected}.", name);
        }
    }
}
