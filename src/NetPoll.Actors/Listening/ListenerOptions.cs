using NetPoll.Core;

namespace NetPoll.Actors;

/// <summary>How a listener accepts, and the limits of its connections.</summary>
public sealed class ListenerOptions
{
    /// <summary>How many connections may wait to be accepted, on each poller. Default 4,096; the system caps it at its own limit.</summary>
    public int Backlog { get; set; } = NetListener.DefaultBacklog;

    /// <summary>The limits of each connection.</summary>
    public ConnectionOptions Connections { get; set; } = new();

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    public void Validate()
    {
        if (Backlog <= 0)
        {
            throw new ArgumentException($"{nameof(ListenerOptions)}.{nameof(Backlog)} is {Backlog}; expected 1 or more.", nameof(Backlog));
        }

        ArgumentNullException.ThrowIfNull(Connections);
        Connections.Validate();
    }
}
