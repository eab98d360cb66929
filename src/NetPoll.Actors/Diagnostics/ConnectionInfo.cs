using System.Net;
using Proto;

namespace NetPoll.Actors;

/// <summary>A connection's figures at one moment.</summary>
/// <param name="Pid">Its PID.</param>
/// <param name="Listener">The id of the listener's PID that it belongs to.</param>
/// <param name="Poller">The poller that it lives on.</param>
/// <param name="RemoteEndPoint">The peer's address.</param>
/// <param name="IsClosing">It has begun to close: nothing more is delivered, and what waits is still sent.</param>
/// <param name="BytesReceived">Bytes that the handler was given.</param>
/// <param name="BytesSent">Bytes that the system took.</param>
/// <param name="MessagesReceived">Frames that the handler was given; where it takes bytes, how often it was given some.</param>
/// <param name="MessagesSent">How often it sent something: a frame, a payload, bytes.</param>
/// <param name="OutputBytes">Bytes that wait to be sent.</param>
/// <param name="OldestUnsent">How long the oldest of these has waited, as far as is known: bytes of up to 16 KiB are counted as one.</param>
/// <param name="LastReceived">When bytes last came; before the first ones, when the connection was made.</param>
/// <param name="IdleFor">How long ago that is.</param>
/// <param name="QueuedMessages">Messages of other actors that wait in its mailbox.</param>
public sealed record ConnectionInfo(
    PID Pid,
    string Listener,
    PID Poller,
    EndPoint? RemoteEndPoint,
    bool IsClosing,
    long BytesReceived,
    long BytesSent,
    long MessagesReceived,
    long MessagesSent,
    long OutputBytes,
    TimeSpan OldestUnsent,
    DateTimeOffset LastReceived,
    TimeSpan IdleFor,
    int QueuedMessages);

/// <summary>What a table of connections is sorted by; the largest comes first.</summary>
public enum ConnectionOrder
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary><see cref="ConnectionInfo.OutputBytes"/>.</summary>
    OutputBytes,

    /// <summary><see cref="ConnectionInfo.OldestUnsent"/>.</summary>
    OldestUnsent,

    /// <summary><see cref="ConnectionInfo.IdleFor"/>.</summary>
    IdleFor,

    /// <summary><see cref="ConnectionInfo.BytesReceived"/>.</summary>
    BytesReceived,

    /// <summary><see cref="ConnectionInfo.BytesSent"/>.</summary>
    BytesSent,

    /// <summary><see cref="ConnectionInfo.MessagesReceived"/>.</summary>
    MessagesReceived,

    /// <summary><see cref="ConnectionInfo.MessagesSent"/>.</summary>
    MessagesSent,

    /// <summary><see cref="ConnectionInfo.QueuedMessages"/>.</summary>
    QueuedMessages,
}
