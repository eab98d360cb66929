using System.Net;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A socket of libc, known by its number.</summary>
internal sealed class LibcSocket : PollableSocket
{
    // Constant until Close, which the last user calls; -1 afterwards, so that a late call meets EBADF and never somebody else's socket.
    private int _descriptor;

    internal LibcSocket(int descriptor, IPEndPoint? remoteEndPoint)
    {
        _descriptor = descriptor;
        RemoteEndPoint = remoteEndPoint;
    }

    internal override int Descriptor => _descriptor;

    internal override IPEndPoint? RemoteEndPoint { get; }

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

    internal override IoResult SetOption(SocketSetting setting, int value) => IoResult.From(setting switch
    {
        SocketSetting.NoDelay => Libc.SetOption(_descriptor, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, value),
        SocketSetting.KeepAlive => Libc.SetOption(_descriptor, Libc.SOL_SOCKET, Libc.SO_KEEPALIVE, value),
        SocketSetting.UserTimeoutMilliseconds => Libc.SetOption(_descriptor, Libc.IPPROTO_TCP, Libc.TCP_USER_TIMEOUT, value),
        SocketSetting.ResetOnClose => Libc.SetLinger(_descriptor, value != 0, seconds: 0),
        _ => throw new ArgumentOutOfRangeException(nameof(setting), setting, "Expected a SocketSetting."),
    });

    internal override IoResult Close()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        return descriptor < 0
            ? throw new InvalidOperationException("A socket was closed twice; its number may belong to somebody else by now.")
            : IoResult.From(Libc.Close(descriptor));
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
