namespace NetPoll.Actors.Diagnostics;

/// <summary>What the connections of one poller have moved since the start. Plain fields: its poller's thread writes them, anybody may read.</summary>
internal sealed class Traffic
{
    internal long BytesReceived { get; set; }

    internal long BytesSent { get; set; }

    internal long MessagesReceived { get; set; }

    internal long MessagesSent { get; set; }

    /// <summary>Connections that came from another poller.</summary>
    internal long Moves { get; set; }

    /// <summary>Bytes that wait to be sent, now.</summary>
    internal long QueuedBytes { get; set; }
}
