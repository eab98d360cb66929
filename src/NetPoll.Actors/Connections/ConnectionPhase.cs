namespace NetPoll.Actors.Connections;

/// <summary>Where a connection stands. It only ever goes down this list.</summary>
/// <remarks>
/// <code>
/// Open         -> ReadClosed     the peer's FIN was read
/// Open, ReadClosed -> Closing    the handler closes, or a limit does: what is queued is still sent, nothing new is taken
/// Closing      -> Lingering      all is sent, our FIN is out; the peer's bytes are thrown away until its FIN or the linger time
/// any          -> Closed         abort, error, stop; or the end of Closing when the peer's FIN was read, or of Lingering
/// </code>
/// </remarks>
internal enum ConnectionPhase : byte
{
    /// <summary>Both directions work.</summary>
    Open,

    /// <summary>The peer has ended its side; ours works.</summary>
    ReadClosed,

    /// <summary>Sending the rest.</summary>
    Closing,

    /// <summary>Waiting for the peer to end its side, so that a reset does not cost it the tail of what we sent.</summary>
    Lingering,

    /// <summary>The descriptor is gone, and the actor was told.</summary>
    Closed,
}
