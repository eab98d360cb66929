using System.Net;
using Proto;

namespace NetPoll.Actors;

/// <summary>A UDP socket that an actor has.</summary>
/// <param name="Pid">
/// Its actor: can be watched and stopped, sends what it gets as <see cref="SendDatagram"/>, and answers <see cref="GetDatagramStatistics"/>.
/// Stopping it frees the address, after its peers' actors have stopped where it has such.
/// </param>
/// <param name="LocalEndPoint">Where it is bound, with the port that the system chose if none was given.</param>
public sealed record DatagramSocket(PID Pid, IPEndPoint LocalEndPoint)
{
    /// <summary>The only peer of a connected socket; otherwise null.</summary>
    public IPEndPoint? RemoteEndPoint { get; init; }
}

/// <summary>Asks the PID of a datagram socket for its figures; the answer is <see cref="DatagramStatistics"/>.</summary>
public sealed record GetDatagramStatistics
{
    /// <summary>The one message of this kind.</summary>
    public static GetDatagramStatistics Instance { get; } = new();
}

/// <summary>The figures of a datagram socket since it was bound; a restart of its actor does not reset them.</summary>
/// <param name="Received">Datagrams that the handler was given.</param>
/// <param name="Sent">Datagrams that the system took.</param>
public sealed record DatagramStatistics(long Received, long Sent)
{
    /// <summary>Bytes of what was received, without what was cut off.</summary>
    public long BytesReceived { get; init; }

    /// <summary>Bytes of what was sent.</summary>
    public long BytesSent { get; init; }

    /// <summary>Received datagrams that were longer than <see cref="DatagramOptions.MaxDatagramBytes"/>.</summary>
    public long Truncated { get; init; }

    /// <summary>Refusals that were reported. Of a connected socket only.</summary>
    public long Refused { get; init; }

    /// <summary>Datagrams that the system would not send.</summary>
    public long Failed { get; init; }

    /// <summary>Datagrams to be sent that were dropped because the queue was full; see <see cref="DatagramOptions.MaxQueuedDatagrams"/>.</summary>
    public long Dropped { get; init; }

    /// <summary>Datagrams that wait to be sent, now.</summary>
    public int Queued { get; init; }

    /// <summary>Peers that have an actor, now.</summary>
    public int Peers { get; init; }

    /// <summary>Received datagrams that were dropped because their sender would have been one peer too many; see <see cref="DatagramOptions.MaxPeers"/>.</summary>
    public long PeersRefused { get; init; }

    /// <summary>Received datagrams that were dropped because their peer's actor did not keep up; see <see cref="DatagramOptions.MaxQueuedPerPeer"/>.</summary>
    public long PeerDropped { get; init; }
}
