using System.Net;
using NetPoll.Core;

namespace NetPoll.Actors;

/// <summary>How a listener accepts, whom it refuses, and the limits of its connections. Not to be changed once it listens.</summary>
public sealed class ListenerOptions
{
    /// <summary>How many connections may wait to be accepted, on each poller. Default 4,096; the system caps it at its own limit.</summary>
    public int Backlog { get; set; } = NetListener.DefaultBacklog;

    /// <summary>How many connections may be open at once, 1 or more; who comes after is refused. Default: no limit.</summary>
    public int MaxConnections { get; set; } = int.MaxValue;

    /// <summary>What one network may do. Every limit holds by itself. Default: none.</summary>
    public IList<AddressLimit> AddressLimits { get; } = [];

    /// <summary>Networks that <see cref="AddressLimits"/> do not hold for: monitoring, your own gateways. They count as connections all the same.</summary>
    public IList<IPNetwork> ExemptNetworks { get; } = [];

    /// <summary>Set for a listener behind proxies that tell by the PROXY protocol whose connection they pass on. Default: null, none.</summary>
    public ProxyProtocolOptions? ProxyProtocol { get; set; }

    /// <summary>
    /// Gives the bytes that a refused peer is sent before its connection is closed; empty for none. Null, the default: nobody is sent anything.
    /// Called on a poller's thread, so it must not block. A few hundred bytes at most: what the system does not take at once is not sent.
    /// </summary>
    public Func<Refusal, ReadOnlyMemory<byte>>? Farewell { get; set; }

    /// <summary>The limits of each connection.</summary>
    public ConnectionOptions Connections { get; set; } = new();

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    public void Validate()
    {
        Require(Backlog > 0, nameof(Backlog), Backlog);
        Require(MaxConnections > 0, nameof(MaxConnections), MaxConnections);
        foreach (AddressLimit limit in AddressLimits)
        {
            ArgumentNullException.ThrowIfNull(limit, nameof(AddressLimits));
            limit.Validate();
        }

        ProxyProtocol?.Validate();
        ArgumentNullException.ThrowIfNull(Connections);
        Connections.Validate();
    }

    private static void Require(bool holds, string name, int value)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(ListenerOptions)}.{name} is {value}; expected 1 or more.", name);
        }
    }
}
