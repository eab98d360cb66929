using NetPoll.Core;
using Proto;

namespace NetPoll.Actors;

// What may be sent to the PID of a connection that a plain actor handles. Anybody may send them; those of one sender keep their order. After
// the connection has ended they are dead letters.

/// <summary>Sends bytes to the peer.</summary>
/// <param name="Bytes">Belongs to the connection from here on: not to be changed any more.</param>
/// <param name="Acknowledge">Whether and when <see cref="WriteAcknowledged"/> is the answer.</param>
/// <param name="Token">Comes back with the acknowledgement.</param>
public sealed record Write(ReadOnlyMemory<byte> Bytes, Acknowledge Acknowledge = Acknowledge.Never, object? Token = null);

/// <summary>Sends several pieces to the peer, in order and with nobody's bytes between them.</summary>
/// <param name="Pieces">Belong to the connection from here on: not to be changed any more.</param>
/// <param name="Acknowledge">Whether and when <see cref="WriteAcknowledged"/> is the answer, once for all.</param>
/// <param name="Token">Comes back with the acknowledgement.</param>
public sealed record WriteBatch(IReadOnlyList<ReadOnlyMemory<byte>> Pieces, Acknowledge Acknowledge = Acknowledge.Never, object? Token = null);

/// <summary>When a write is acknowledged.</summary>
public enum Acknowledge
{
    /// <summary>Not at all; <see cref="ConnectionClosed.BytesUnsent"/> tells at the end what was lost.</summary>
    Never,

    /// <summary>When the connection has taken it: sent, or waiting for its turn.</summary>
    Queued,

    /// <summary>When the operating system has taken all of it. It may still be lost on its way to the peer.</summary>
    Sent,
}

/// <summary>Nothing is received any more once <see cref="ReadingSuspended"/> has come back, to the sender or the handler.</summary>
public sealed record SuspendReading
{
    /// <summary>The one message of this kind.</summary>
    public static SuspendReading Instance { get; } = new();
}

/// <summary>Bytes are received again, as they come.</summary>
public sealed record ResumeReading
{
    /// <summary>The one message of this kind.</summary>
    public static ResumeReading Instance { get; } = new();
}

/// <summary>
/// Receives on demand from now on: so many more events, or so many more bytes, and then nothing until more is asked for. Demands of one
/// unit add up; <see cref="ResumeReading"/> goes back to receiving as it comes.
/// </summary>
/// <param name="Count">1 or more.</param>
/// <param name="Unit">What is counted.</param>
public sealed record Demand(long Count, DemandUnit Unit = DemandUnit.Messages);

/// <summary>What a demand counts.</summary>
public enum DemandUnit
{
    /// <summary>Events with bytes; in a framed connection actor frames.</summary>
    Messages,

    /// <summary>Bytes; never more than asked for are delivered.</summary>
    Bytes,
}

/// <summary>Sets, moves or clears (<see cref="Core.Deadline.None"/>) the read deadline.</summary>
/// <param name="Deadline">When.</param>
public sealed record SetDeadline(Deadline Deadline);

/// <summary>Sets how long nothing may be received before <see cref="DeadlineExceeded"/> comes.</summary>
/// <param name="Timeout">Above 0; null for ever.</param>
public sealed record SetIdleTimeout(TimeSpan? Timeout);

/// <summary>Begins a phase with other deadlines. <see cref="DeadlinesSet"/> is the answer to a sender who waits for one.</summary>
/// <param name="Profile">First byte, idle time, write timeout and lifetime; one object for all connections.</param>
public sealed record SetDeadlines(DeadlineProfile Profile);

/// <summary>Sets how the peer is asked for signs of life.</summary>
/// <param name="Heartbeat">Null for not at all.</param>
public sealed record SetHeartbeat(Heartbeat? Heartbeat);

/// <summary>Sends what a stream gives, in its place among the writes: read on the thread pool, no faster than the peer takes it.</summary>
/// <param name="Stream">Belongs to the connection from here on, which disposes it.</param>
/// <param name="Length">How many bytes of it, 0 or more; null for all.</param>
/// <param name="Token">Comes back with <see cref="WriteAcknowledged"/>, which is always the answer: when the system has taken all of it, or it failed.</param>
#pragma warning disable CA1711 // A verb, and no stream.
public sealed record SendStream(Stream Stream, long? Length = null, object? Token = null);
#pragma warning restore CA1711

/// <summary>Sends a file or a part of it; see <see cref="SendStream"/>.</summary>
/// <param name="Path">The file.</param>
/// <param name="Offset">Where to begin, 0 or more.</param>
/// <param name="Length">How many bytes, 0 or more; null for all to the end.</param>
/// <param name="Token">Comes back with the answer.</param>
public sealed record SendFile(string Path, long Offset = 0, long? Length = null, object? Token = null);

/// <summary>Sets how fast the connection may be.</summary>
/// <param name="Limits">Null for as fast as it can.</param>
public sealed record SetRateLimits(RateLimits? Limits);

/// <summary>What was received is an answer to a ping, where the heartbeat leaves that to the handler (<see cref="HeartbeatAnswer.Explicit"/>).</summary>
public sealed record HeartbeatAnswered
{
    /// <summary>The one message of this kind.</summary>
    public static HeartbeatAnswered Instance { get; } = new();
}

/// <summary>Sends what waits, then ends the connection. Nothing more is received or can be sent.</summary>
public sealed record Close
{
    /// <summary>The one message of this kind.</summary>
    public static Close Instance { get; } = new();
}

/// <summary>Sends what waits, then ends our side, and goes on receiving until the peer has ended its own.</summary>
public sealed record ConfirmedClose
{
    /// <summary>The one message of this kind.</summary>
    public static ConfirmedClose Instance { get; } = new();
}

/// <summary>Resets the connection; what waits is thrown away.</summary>
public sealed record Abort
{
    /// <summary>The one message of this kind.</summary>
    public static Abort Instance { get; } = new();
}

/// <summary>Another actor handles the connection from here on: it gets <see cref="Connected"/>, and every event after it.</summary>
/// <remarks>
/// For connections that a plain actor handles, as by <see cref="NetPollExtension.ListenAsync(string, System.Net.EndPoint, PID, ListenerOptions?)"/>. A
/// <see cref="ConnectionActor"/> handles its connection as long as both live: it gets this as any other message.
/// </remarks>
/// <param name="Handler">The new handler.</param>
public sealed record SetHandler(PID Handler);
