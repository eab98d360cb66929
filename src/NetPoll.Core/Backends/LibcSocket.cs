using System.Net;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A socket of libc, known by its number.</summary>
internal sealed class LibcSocket : PollableSocket
{
    // Constant until Close, which the last user calls; -1 afterwards, so that a late call meets EBADF and never somebody else's socket.
    private int _descriptor;
    private CompactEndPoint _remote;

    internal LibcSocket(int descriptor, IPEndPoint? remoteEndPoint)
    {
        _descriptor = descriptor;
        _remote = new CompactEndPoint(remoteEndPoint);
    }

    internal override int Descriptor => _descriptor;

    internal override IPEndPoint? RemoteEndPoint => _remote.ToEndPoint();

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => _remote = new CompactEndPoint(endPoint);

    internal override IPEndPoint? LocalEndPoint
    {
        get
        {
            Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
            return Libc.LocalAddress(_descriptor, address, out int length) < 0 ? null : SocketAddressLayout.Read(address[..length]);
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

        listener = new LibcSocket(descriptor, remoteEndPoint: null);
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

        socket = new LibcSocket(descriptor, remote);
        return isUnderWay ? IoResult.TryAgain : IoResult.Success;
    }

    internal override IoResult Read(Span<byte> buffer) => IoResult.From(Libc.Receive(_descriptor, buffer));

    internal override IoResult Write(ReadOnlySpan<byte> buffer) => IoResult.From(Libc.Send(_descriptor, buffer));

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => IoResult.From(IoVector.Send(_descriptor, buffers));

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        int result = Libc.Accept(_descriptor, address, out int length);
        accepted = result < 0 ? null : new LibcSocket(result, SocketAddressLayout.Read(address[..Math.Min(length, address.Length)]));
        return result < 0 ? IoResult.From(result) : IoResult.Success;
    }

    internal override IoResult Shutdown(PollMode mode) => IoResult.From(Libc.Shutdown(_descriptor, mode switch
    {
        PollMode.Read => Libc.SHUT_RD,
        PollMode.Write => Libc.SHUT_WR,
        PollMode.Both => Libc.SHUT_RDWR,
        _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, "Expected Read, Write or Both."),
    }));

    internal override IoResult SetOption(SocketSetting setting, int value)
    {
        if (setting == SocketSetting.LingerSeconds)
        {
            return IoResult.From(Libc.SetLinger(_descriptor, value >= 0, Math.Max(value, 0)));
        }

        (int level, int option) = Option(setting);
        return IoResult.From(Libc.SetOption(_descriptor, level, option, value));
    }

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        (int level, int option) = Option(setting);
        return IoResult.From(Libc.GetOption(_descriptor, level, option, out value));
    }

    internal override IoResult FinishConnect()
    {
        int result = Libc.GetOption(_descriptor, Libc.SOL_SOCKET, Libc.SO_ERROR, out int error);
        if (result < 0)
        {
            return IoResult.From(result);
        }

        if (error is Errno.EINPROGRESS or Errno.EALREADY or Errno.EINTR)
        {
            return IoResult.TryAgain;
        }

        if (error is not (0 or Errno.EISCONN))
        {
            return IoResult.Failure(error);
        }

        // No error is no success: the edge may be an old one. Only a peer is.
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        result = Libc.PeerAddress(_descriptor, address, out _);
        return result == -Errno.ENOTCONN ? IoResult.TryAgain : IoResult.From(result);
    }

    internal override IoResult Probe(PollMode mode)
    {
        int result = Libc.PollNow(_descriptor, mode == PollMode.Read ? Libc.POLLIN : Libc.POLLOUT);
        return result == 0 ? IoResult.TryAgain : result < 0 ? IoResult.From(result) : IoResult.Success;
    }

    internal override IoResult Close()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        return descriptor < 0
            ? throw new InvalidOperationException("A socket was closed twice; its number may belong to somebody else by now.")
            : IoResult.From(Libc.Close(descriptor));
    }

    private static (int Level, int Option) Option(SocketSetting setting) => setting switch
    {
        SocketSetting.NoDelay => (Libc.IPPROTO_TCP, Libc.TCP_NODELAY),
        SocketSetting.KeepAlive => (Libc.SOL_SOCKET, Libc.SO_KEEPALIVE),
        SocketSetting.KeepAliveTimeSeconds => (Libc.IPPROTO_TCP, Libc.TCP_KEEPIDLE),
        SocketSetting.KeepAliveIntervalSeconds => (Libc.IPPROTO_TCP, Libc.TCP_KEEPINTVL),
        SocketSetting.KeepAliveProbes => (Libc.IPPROTO_TCP, Libc.TCP_KEEPCNT),
        SocketSetting.SendBufferBytes => (Libc.SOL_SOCKET, Libc.SO_SNDBUF),
        SocketSetting.ReceiveBufferBytes => (Libc.SOL_SOCKET, Libc.SO_RCVBUF),
        SocketSetting.UserTimeoutMilliseconds => (Libc.IPPROTO_TCP, Libc.TCP_USER_TIMEOUT),
        _ => throw new ArgumentOutOfRangeException(nameof(setting), setting, "Expected a setting that is a plain number."),
    };

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
