namespace NetPoll.Actors.Connections;

/// <summary>What a connection has only when it asks for something out of the ordinary, or something out of the ordinary happens to it.</summary>
/// <remarks>One object for all of it, so that an idle connection pays for one reference. The poller's thread.</remarks>
internal sealed class ConnectionExtras
{
    /// <summary>The peer is gone, and what it sent before is being delivered.</summary>
    internal BrokenState? Broken { get; set; }

    /// <summary>The deadlines of its phases.</summary>
    internal PhaseTimer? Phase { get; set; }

    /// <summary>How its peer is asked for signs of life.</summary>
    internal HeartbeatTimer? Heartbeat { get; set; }
}

/// <summary>What is left to tell of a connection whose peer is gone.</summary>
/// <param name="Exception">What the system said.</param>
/// <param name="BytesUnsent">Bytes that waited for it.</param>
internal sealed record BrokenState(Exception Exception, long BytesUnsent);
