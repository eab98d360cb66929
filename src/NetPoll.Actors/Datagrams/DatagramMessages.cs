using System.Net.Sockets;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors;

// What a datagram socket tells the actor that handles it, or a peer's actor; and what may be sent to the socket's PID, by anybody.

/// <summary>A datagram has come.</summary>
/// <param name="Socket">The socket, whose PID takes <see cref="SendDatagram"/>.</param>
/// <param name="From">Who sent it.</param>
/// <param name="Bytes">A copy, which belongs to the one who receives this; it may be kept, changed, and sent on. Empty for a datagram without bytes.</param>
public sealed record Datagram(PID Socket, DatagramAddress From, Memory<byte> Bytes)
{
    /// <summary>Whether it was longer than <see cref="DatagramOptions.MaxDatagramBytes"/>; the rest is lost.</summary>
    public bool IsTruncated { get; init; }
}

/// <summary>To the PID of a datagram socket, whichever way it is handled: sends a datagram. That it arrives nobody promises.</summary>
/// <param name="Bytes">Belongs to the socket from here on: not to be changed any more.</param>
/// <param name="To">Whom to send to; the default value for a connected socket's peer.</param>
public sealed record SendDatagram(ReadOnlyMemory<byte> Bytes, DatagramAddress To = default);

/// <summary>The peer of a connected socket refuses what was sent to it; once for each refusal. The socket goes on as before.</summary>
/// <param name="Socket">The socket.</param>
/// <param name="Error">As a rule <see cref="SocketError.ConnectionRefused"/>: nobody listens there.</param>
public sealed record DatagramRefused(PID Socket, SocketError Error);

/// <summary>The system would not send a datagram. It concerns no other datagram.</summary>
/// <param name="Socket">The socket.</param>
/// <param name="To">Whom it was for.</param>
/// <param name="Error">Why: too long, no way to that network, no permission, or no such address for this socket.</param>
public sealed record DatagramFailed(PID Socket, DatagramAddress To, SocketError Error);

/// <summary>More was to be sent than the system takes and the socket keeps, and datagrams were dropped. See <see cref="DatagramOptions.DropPolicy"/>.</summary>
/// <param name="Socket">The socket.</param>
/// <param name="Count">How many since the last such message.</param>
public sealed record DatagramsDropped(PID Socket, long Count);
