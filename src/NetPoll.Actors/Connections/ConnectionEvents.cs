using System.Net;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors;

// What a connection tells the actor that handles it. Every event names its connection, since one actor may handle many; those of one
// connection arrive in the order in which they happened, ConnectionClosed last and exactly once.

/// <summary>The connection is there; bytes may be written to its PID.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="RemoteEndPoint">The peer's address.</param>
/// <param name="LocalEndPoint">Our side's address.</param>
public sealed record Connected(PID Connection, EndPoint? RemoteEndPoint, EndPoint? LocalEndPoint)
{
    /// <summary>The process on the other side of a Unix domain socket; null for TCP, and where the system does not tell.</summary>
    public PeerCredentials? PeerCredentials { get; init; }
}

/// <summary>Bytes have come: what one read found, without regard to frames.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="Bytes">A copy, which belongs to the one who receives this; it may be kept, changed, and sent on.</param>
public sealed record Received(PID Connection, Memory<byte> Bytes);

/// <summary>The peer has ended its side, after every byte that it sent; ours still works until <see cref="Close"/>.</summary>
/// <param name="Connection">The connection.</param>
public sealed record PeerClosed(PID Connection);

/// <summary>
/// The peer has ended its side while nothing is read: reading is suspended, a demand is used up, a rate is spent, or too much output waits.
/// Bytes before that end may be unread; when they are read <see cref="PeerClosed"/> follows them as ever. At most once.
/// </summary>
/// <param name="Connection">The connection.</param>
public sealed record PeerHungUp(PID Connection);

/// <summary>
/// A deadline has passed, and the handler decides what follows: <see cref="Close"/>, <see cref="Abort"/>, or more time. After the read
/// deadline nothing is received until it is moved; the write deadline gives another period by itself.
/// </summary>
/// <param name="Connection">The connection.</param>
/// <param name="Kind">Which.</param>
public sealed record DeadlineExceeded(PID Connection, DeadlineKind Kind)
{
    /// <summary>
    /// The profile that held when it passed, the same object as the handler set; null without one. A handler that has sent
    /// <see cref="SetDeadlines"/> meanwhile recognises by it what crossed its message.
    /// </summary>
    public DeadlineProfile? Profile { get; init; }
}

/// <summary>The answer to <see cref="SetDeadlines"/>: no <see cref="DeadlineExceeded"/> of an earlier profile comes after it.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="Profile">The profile that holds.</param>
public sealed record DeadlinesSet(PID Connection, DeadlineProfile Profile);

/// <summary>
/// More output waits than <see cref="ConnectionOptions.OutputHighWatermark"/>: write no more until <see cref="WritesResumed"/>. What is
/// written nevertheless is taken, up to <see cref="ConnectionOptions.MaxOutputBytes"/>.
/// </summary>
/// <param name="Connection">The connection.</param>
/// <param name="OutputBytes">Bytes that wait.</param>
public sealed record WritesSuspended(PID Connection, long OutputBytes);

/// <summary>Little enough output waits for more to be written. Only ever after <see cref="WritesSuspended"/>.</summary>
/// <param name="Connection">The connection.</param>
public sealed record WritesResumed(PID Connection);

/// <summary>Payloads were dropped because the peer takes too little; see <see cref="ConnectionOptions.SlowConsumerPolicy"/>.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="Dropped">What was dropped since the last such event.</param>
public sealed record OutputDropped(PID Connection, DroppedOutput Dropped);

/// <summary>
/// The answer to <see cref="SuspendReading"/>: no <see cref="Received"/> comes after it until reading is resumed, or the peer has reset the
/// connection: then what it sent before comes, and <see cref="ConnectionClosed"/>.
/// </summary>
/// <param name="Connection">The connection.</param>
public sealed record ReadingSuspended(PID Connection);

/// <summary>The server stops: the handler should finish what it does with this connection, and close it.</summary>
/// <param name="Connection">The connection.</param>
public sealed record ServerStopping(PID Connection);

/// <summary>The answer to a <see cref="Write"/> that asked for one; to its sender, or to the handler where it had none.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="Token">The write's token.</param>
/// <param name="Succeeded">False when the connection had ended or ended before: how much of it was sent is not known.</param>
public sealed record WriteAcknowledged(PID Connection, object? Token, bool Succeeded);
