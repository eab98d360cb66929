namespace NetPoll.Actors.Datagrams;

/// <summary>What the datagram sockets of one poller have moved since the start. Plain fields: its poller's thread writes them, anybody may read.</summary>
internal sealed class DatagramTraffic
{
    internal int Sockets { get; set; }

    internal int Peers { get; set; }

    internal long Received { get; set; }

    internal long BytesReceived { get; set; }

    internal long Sent { get; set; }

    internal long BytesSent { get; set; }

    /// <summary>To be sent, and dropped: the queue was full.</summary>
    internal long QueueDropped { get; set; }

    /// <summary>To be sent, and the system would not.</summary>
    internal long Failed { get; set; }

    /// <summary>Received, and dropped: one peer too many.</summary>
    internal long PeersRefused { get; set; }

    /// <summary>Received, and dropped: the peer's actor did not keep up.</summary>
    internal long PeerDropped { get; set; }
}
