using System.Net;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A TCP socket of libc.</summary>
internal sealed class TcpSocket : LibcSocket
{
    private CompactEndPoint _remote;

    internal TcpSocket(int descriptor, IPEndPoint? remoteEndPoint)
        : base(descriptor) => _remote = new CompactEndPoint(remoteEndPoint);

    internal override IPEndPoint? RemoteEndPoint => _remote.ToEndPoint();

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => _remote = new CompactEndPoint(endPoint);

    internal override IPEndPoint? LocalEndPoint
    {
        get
        {
            Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
            return Libc.LocalAddress(Descriptor, address, out int length) < 0 ? null : SocketAddressLayout.Read(address[..length]);
        }
    }

    /// <summary>Makes a socket, binds it and listens.</summary>
    internal static IoResult Listen(IPEndPoint endPoint, int backlog, bool sharePort, out PollableSocket? listener)
    {
        listener = null;
        int descriptor = Libc.StreamSocket(SocketAddressLayout.Family(endPoint));
        if (descriptor < 0)
        {
            return IoResult.From(descriptor);
        }

        int result = PrepareListener(descriptor, endPoint, backlog, sharePort);
        if (result < 0)
        {
            _ = Libc.Close(descriptor);
            return IoResult.From(result);
        }

        listener = new TcpSocket(descriptor, remoteEndPoint: null);
        return IoResult.Success;
    }

    /// <summary>Makes a socket and begins to connect it.</summary>
    /// <returns>Success, would block for an attempt that goes on, or the error; no socket is left then.</returns>
    internal static IoResult Connect(IPEndPoint remote, IPEndPoint? local, out PollableSocket? socket)
    {
        socket = null;
        int descriptor = Libc.StreamSocket(SocketAddressLayout.Family(remote));
        if (descriptor < 0)
        {
            return IoResult.From(descriptor);
        }

        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        int result = 0;
        if (local is not null)
        {
            int localLength = SocketAddressLayout.Write(local, address);
            result = Libc.Bind(descriptor, address[..localLength]);
        }

        if (result >= 0)
        {
            int length = SocketAddressLayout.Write(remote, address);
            result = Libc.Connect(descriptor, address[..length]);
        }

        // Interrupted is under way as well; calling connect(2) again would be an error.
        bool isUnderWay = result is -Errno.EINPROGRESS or -Errno.EALREADY or -Errno.EINTR;
        if (result < 0 && !isUnderWay && result != -Errno.EISCONN)
        {
            _ = Libc.Close(descriptor);
            return IoResult.From(result);
        }

        socket = new TcpSocket(descriptor, remote);
        return isUnderWay ? IoResult.TryAgain : IoResult.Success;
    }

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        int result = Libc.Accept(Descriptor, address, out int length);
        accepted = result < 0 ? null : new TcpSocket(result, SocketAddressLayout.Read(address[..Math.Min(length, address.Length)]));
        if (IsSaidToLinger)
        {
            // Of an adopted listener: the accepted socket inherits what is set there.
            accepted?.MayLinger();
        }

        return result < 0 ? IoResult.From(result) : IoResult.Success;
    }

    private static int PrepareListener(int descriptor, IPEndPoint endPoint, int backlog, bool sharePort)
    {
        int result = Libc.SetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEADDR, 1);
        if (result >= 0 && sharePort)
        {
            result = Libc.SetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEPORT, 1);
        }

        if (result >= 0 && endPoint.Address.Equals(IPAddress.IPv6Any))
        {
            // Dual stack, whatever the system's default is.
            result = Libc.SetOption(descriptor, Libc.IPPROTO_IPV6, Libc.IPV6_V6ONLY, 0);
        }

        if (result < 0)
        {
            return result;
        }

        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        int length = SocketAddressLayout.Write(endPoint, address);
        result = Libc.Bind(descriptor, address[..length]);
        return result < 0 ? result : Libc.Listen(descriptor, backlog);
    }
}
