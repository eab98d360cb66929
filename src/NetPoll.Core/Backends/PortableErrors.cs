using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>.NET's errors in the numbers that the house sorts by, which are Linux's whatever the system is.</summary>
internal static class PortableErrors
{
    /// <param name="count">What .NET says was moved.</param>
    /// <param name="error">Its error.</param>
    internal static IoResult ToResult(int count, SocketError error) => error == SocketError.Success ? IoResult.Bytes(count) : ToResult(error);

    internal static IoResult ToResult(SocketError error) => error == SocketError.Success ? IoResult.Success : IoResult.Failure(ToErrno(error));

    /// <summary>The inverse of <see cref="Errno.ToSocketError"/>, as far as there is one.</summary>
    internal static int ToErrno(SocketError error) => error switch
    {
        SocketError.Success => 0,

        // Both are "comes later": what .NET has begun, and what has nothing to move now.
        SocketError.WouldBlock or SocketError.IOPending => Errno.EAGAIN,
        SocketError.InProgress => Errno.EINPROGRESS,
        SocketError.AlreadyInProgress => Errno.EALREADY,
        SocketError.Interrupted => Errno.EINTR,
        SocketError.AccessDenied => Errno.EACCES,
        SocketError.Fault => Errno.EFAULT,
        SocketError.InvalidArgument => Errno.EINVAL,
        SocketError.TooManyOpenSockets => Errno.EMFILE,
        SocketError.NotSocket or SocketError.OperationAborted => Errno.EBADF,
        SocketError.MessageSize => Errno.EMSGSIZE,
        SocketError.ProtocolOption => Errno.ENOPROTOOPT,
        SocketError.ProtocolNotSupported or SocketError.SocketNotSupported or SocketError.ProtocolType => Errno.EPROTONOSUPPORT,
        SocketError.OperationNotSupported => Errno.EOPNOTSUPP,
        SocketError.AddressFamilyNotSupported or SocketError.ProtocolFamilyNotSupported => Errno.EAFNOSUPPORT,
        SocketError.AddressAlreadyInUse => Errno.EADDRINUSE,
        SocketError.AddressNotAvailable => Errno.EADDRNOTAVAIL,
        SocketError.NetworkDown => Errno.ENETDOWN,
        SocketError.NetworkUnreachable => Errno.ENETUNREACH,
        SocketError.NetworkReset => Errno.ENETRESET,
        SocketError.ConnectionAborted => Errno.ECONNABORTED,
        SocketError.ConnectionReset or SocketError.Disconnecting => Errno.ECONNRESET,
        SocketError.NoBufferSpaceAvailable => Errno.ENOBUFS,
        SocketError.IsConnected => Errno.EISCONN,
        SocketError.NotConnected => Errno.ENOTCONN,
        SocketError.Shutdown => Errno.EPIPE,
        SocketError.TimedOut => Errno.ETIMEDOUT,
        SocketError.ConnectionRefused => Errno.ECONNREFUSED,
        SocketError.HostDown => Errno.EHOSTDOWN,
        SocketError.HostUnreachable => Errno.EHOSTUNREACH,
        _ => Errno.EIO,
    };
}
