using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NetPoll.Core;

/// <summary>A socket that listens already, in the place of an address: to whoever takes an end point to listen on it can be given.</summary>
/// <remarks>
/// For one listener: whoever begins to listen takes the handle over, as <see cref="NetListener.Adopt"/> tells, and that listener's end point is
/// the socket's own address. See <see cref="SocketActivation"/> for sockets that a service manager has opened.
/// </remarks>
public sealed class HandleEndPoint : EndPoint
{
    /// <summary>An end point for a socket.</summary>
    /// <param name="handle">A TCP or Unix domain socket that listens. Looked at when it is listened on.</param>
    public HandleEndPoint(SafeHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        Handle = handle;
    }

    /// <summary>The socket; closed once somebody listens on it.</summary>
    public SafeHandle Handle { get; }

    /// <inheritdoc/>
    /// <remarks>Of no family, until somebody listens on it.</remarks>
    public override AddressFamily AddressFamily => AddressFamily.Unspecified;

    /// <inheritdoc/>
    public override string ToString() => Handle.IsClosed ? "an inherited socket that was taken" : $"the inherited socket {Handle.DangerousGetHandle()}";
}
