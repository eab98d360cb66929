using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <summary>The bits that a connection's mailbox knows: those of its descriptor, and its own above them.</summary>
internal static class ConnectionSignals
{
    internal const int Readable = (int)PollSignals.Readable;
    internal const int ReadDeadline = (int)PollSignals.ReadDeadline;
    internal const int WriteDeadline = (int)PollSignals.WriteDeadline;
    internal const int Hangup = (int)PollSignals.Hangup;
    internal const int Closed = (int)PollSignals.Closed;

    /// <summary>Kept input is to be offered again, or reading to go on, after a handler's task has ended.</summary>
    internal const int InputPending = 1 << 8;

    /// <summary>Nothing was received for the idle timeout.</summary>
    internal const int IdlePassed = 1 << 9;

    /// <summary>The peer did not end its side in the linger time.</summary>
    internal const int LingerPassed = 1 << 10;

    /// <summary>The connection is to be closed for the reason that was noted.</summary>
    internal const int CloseRequested = 1 << 11;

    /// <summary>The server stops: the handler is to be told.</summary>
    internal const int ShutdownRequested = 1 << 12;

    /// <summary>The handler is to be told what has become of its output.</summary>
    internal const int OutputNotice = 1 << 13;

    /// <summary>A deadline of the phase may have passed.</summary>
    internal const int PhasePassed = 1 << 14;

    /// <summary>The peer may have to be asked for a sign of life.</summary>
    internal const int HeartbeatDue = 1 << 15;

    /// <summary>The handler is to be told that it lives on another poller.</summary>
    internal const int Moved = 1 << 16;

    /// <summary>Another handler has the place of one that failed.</summary>
    internal const int Restarted = 1 << 17;

    /// <summary>What the handler is told as soon as it can be told anything.</summary>
    internal const int Notices = OutputNotice | Moved | Restarted | Hangup;

    /// <summary>Times that bytes which have come already may save.</summary>
    internal const int SavedByBytes = IdlePassed | PhasePassed | HeartbeatDue;

    /// <summary>What waits for the turn after a handler's await. A read deadline that has passed is looked up, not remembered.</summary>
    internal const int Deferrable = WriteDeadline | SavedByBytes | ShutdownRequested | Notices;
}

/// <summary>The one message by which a connection's signals reach its actor; the bits themselves lie in the connection.</summary>
internal sealed class ConnectionSignal
{
    internal static ConnectionSignal Instance { get; } = new();
}
