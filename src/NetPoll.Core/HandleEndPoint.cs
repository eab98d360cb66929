using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NetPoll.Core;

/// <summary>
/// Something that is open already, in the place of an address: a socket that listens for whoever takes an end point to listen on, and what carries a
/// stream of bytes (a connected socket, a pipe, a terminal) for the connection actors that take an end point to connect to.
/// </summary>
/// <remarks>
/// For one use: whoever begins to listen or to connect takes the handle over, as <see cref="NetListener.Adopt"/> tells. A listener's end point is
/// then the socket's own address. See <see cref="SocketActivation"/> for sockets that a service manager has opened.
/// </remarks>
public sealed class HandleEndPoint : EndPoint
{
    /// <summary>An end point for something open.</summary>
    /// <param name="handle">Looked at when it is used.</param>
    public HandleEndPoint(SafeHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        Handle = handle;
    }

    /// <summary>What is open; closed once it was taken over.</summary>
    public SafeHandle Handle { get; }

    /// <inheritdoc/>
    /// <remarks>None; a listener's end point has the socket's own.</remarks>
    public override AddressFamily AddressFamily => AddressFamily.Unspecified;

    /// <inheritdoc/>
    public override string ToString() => Handle.IsClosed ? "a descriptor that was taken over" : $"descriptor {Handle.DangerousGetHandle()}";
}
