using System.Net;
using NetPoll.Core;

namespace NetPoll.Actors;

/// <summary>How a datagram socket receives and sends, and the limits of its peers' actors. Not to be changed once it is bound.</summary>
public sealed class DatagramOptions
{
    /// <summary>How long a datagram may be, 1 to 65,535 bytes; of a longer one the rest is lost, which is told. Longer ones can be sent. Default 2,048.</summary>
    public int MaxDatagramBytes { get; set; } = 2048;

    /// <summary>How many datagrams may wait while the system takes none, 0 or more. Default 1,024.</summary>
    public int MaxQueuedDatagrams { get; set; } = 1024;

    /// <summary>Which datagram is dropped when one too many waits. Default: the newest.</summary>
    public DatagramDropPolicy DropPolicy { get; set; }

    /// <summary>Whether others may bind the same address, as the members of a multicast group on one machine do. Default false.</summary>
    public bool ShareAddress { get; set; }

    /// <summary>Whether it may send to broadcast addresses. Default false.</summary>
    public bool Broadcast { get; set; }

    /// <summary>Multicast groups whose datagrams it receives, too. Default: none.</summary>
    public IList<IPAddress> MulticastGroups { get; } = [];

    /// <summary>The interface of <see cref="MulticastGroups"/>, and by which multicast leaves, by its index. Default 0: the system's choice.</summary>
    public int MulticastInterface { get; set; }

    /// <summary>How many networks a multicast datagram may cross, 0 to 255. Default: null, the system's, which is 1.</summary>
    public int? MulticastTimeToLive { get; set; }

    /// <summary>Whether what is sent to a group comes back to its members on this machine. Default true.</summary>
    public bool MulticastLoopback { get; set; } = true;

    /// <summary>The system's receive buffer in bytes, 1 or more: what comes when it is full is lost. Default: null, the system's.</summary>
    public int? ReceiveBufferBytes { get; set; }

    /// <summary>The system's send buffer in bytes, 1 or more. Default: null, the system's.</summary>
    public int? SendBufferBytes { get; set; }

    /// <summary>How many peers may have an actor at once, 1 or more, where each has one of its own. Default 10,000.</summary>
    public int MaxPeers { get; set; } = 10_000;

    /// <summary>What becomes of a peer that is one too many. Default: its datagrams are dropped.</summary>
    public PeerOverflow PeerOverflow { get; set; }

    /// <summary>
    /// How long a peer may send nothing before its actor is stopped, above 0; null for ever. What is sent to it does not count. When it sends
    /// again it gets a new actor. Default 1 minute.
    /// </summary>
    public TimeSpan? PeerIdleTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How many datagrams may wait for a peer's actor, 1 or more; what comes then is dropped. Default 256.</summary>
    public int MaxQueuedPerPeer { get; set; } = 256;

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    public void Validate()
    {
        Require(MaxDatagramBytes is > 0 and <= DatagramBatch.LongestDatagram, nameof(MaxDatagramBytes), MaxDatagramBytes, "1 to 65535");
        Require(MaxQueuedDatagrams >= 0, nameof(MaxQueuedDatagrams), MaxQueuedDatagrams, "0 or more");
        Require(Enum.IsDefined(DropPolicy), nameof(DropPolicy), DropPolicy, "DropNewest or DropOldest");
        Require(MulticastInterface >= 0, nameof(MulticastInterface), MulticastInterface, "0 or more");
        Require(MulticastTimeToLive is null or (>= 0 and <= 255), nameof(MulticastTimeToLive), MulticastTimeToLive, "0 to 255");
        Require(ReceiveBufferBytes is null or > 0, nameof(ReceiveBufferBytes), ReceiveBufferBytes, "1 or more");
        Require(SendBufferBytes is null or > 0, nameof(SendBufferBytes), SendBufferBytes, "1 or more");
        Require(MaxPeers > 0, nameof(MaxPeers), MaxPeers, "1 or more");
        Require(Enum.IsDefined(PeerOverflow), nameof(PeerOverflow), PeerOverflow, "DropNewcomer or ReplaceIdlest");
        Require(PeerIdleTimeout is null || PeerIdleTimeout > TimeSpan.Zero, nameof(PeerIdleTimeout), PeerIdleTimeout, "more than 0");
        Require(MaxQueuedPerPeer > 0, nameof(MaxQueuedPerPeer), MaxQueuedPerPeer, "1 or more");
        foreach (IPAddress group in MulticastGroups)
        {
            ArgumentNullException.ThrowIfNull(group, nameof(MulticastGroups));
            Require(NetDatagramSocket.IsMulticast(group), nameof(MulticastGroups), group, "addresses of 224.0.0.0/4 or ff00::/8");
        }
    }

    private static void Require(bool holds, string name, object? value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(DatagramOptions)}.{name} is {value}; expected {expected}.", name);
        }
    }
}

/// <summary>Which datagram is dropped when more are to be sent than the system takes and may wait.</summary>
public enum DatagramDropPolicy
{
    /// <summary>The one that is to be sent now, as the system's own buffers do.</summary>
    DropNewest,

    /// <summary>The one that has waited longest: for what is worth less the older it is.</summary>
    DropOldest,
}

/// <summary>What becomes of a peer that is one more than <see cref="DatagramOptions.MaxPeers"/>.</summary>
public enum PeerOverflow
{
    /// <summary>Its datagrams are dropped until another peer's actor has ended: those who are there are served.</summary>
    DropNewcomer,

    /// <summary>The peer that has sent nothing for longest loses its actor. Whoever can forge addresses can so drive out everybody.</summary>
    ReplaceIdlest,
}
