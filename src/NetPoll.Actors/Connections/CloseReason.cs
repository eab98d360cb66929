using Proto;

namespace NetPoll.Actors;

/// <summary>Why a connection ended.</summary>
public enum CloseReason
{
    /// <summary>The handler closed it, after its output was sent.</summary>
    Local,

    /// <summary>The peer ended its side, and the handler had no more to say.</summary>
    Peer,

    /// <summary>The handler reset it; unsent output was thrown away.</summary>
    Aborted,

    /// <summary>The peer reset it, or vanished.</summary>
    Reset,

    /// <summary>A deadline passed, and the handler did not object.</summary>
    DeadlineExceeded,

    /// <summary>The handler threw, or the system reported an error; the event carries it.</summary>
    Error,

    /// <summary>The server stops, or the actor was stopped from outside.</summary>
    Shutdown,

    /// <summary>The peer took its output too slowly: more waited for it than the limit allows.</summary>
    SlowConsumer,

    /// <summary>The peer's heartbeat did not come.</summary>
    HeartbeatMissed,

    /// <summary>The actor that handled the connection has stopped.</summary>
    HandlerStopped,
}

/// <summary>The one event that ends every connection.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Exception">What went wrong, where something did.</param>
/// <param name="BytesReceived">Bytes that the handler was given over the connection's life.</param>
/// <param name="BytesSent">Bytes that the system took.</param>
/// <param name="BytesUnsent">Bytes that were to be sent and are lost.</param>
public sealed record ConnectionClosed(CloseReason Reason, Exception? Exception, long BytesReceived, long BytesSent, long BytesUnsent)
{
    /// <summary>Which connection, for an actor that handles many.</summary>
    public PID? Connection { get; init; }
}

/// <summary>Which deadline passed.</summary>
public enum DeadlineKind
{
    /// <summary>The read deadline: no bytes are delivered until it is moved or cleared.</summary>
    Read,

    /// <summary>The write deadline, which the connection sets itself: the peer took nothing of the waiting output for too long.</summary>
    Write,

    /// <summary>Nothing was received for the idle timeout. What is sent does not count.</summary>
    Idle,

    /// <summary>Nothing was received since the phase began: <see cref="DeadlineProfile.FirstByte"/>.</summary>
    FirstByte,

    /// <summary>The connection is older than its phase allows: <see cref="DeadlineProfile.Lifetime"/>.</summary>
    Lifetime,
}
