using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A socket of libc: what those of every family have in common.</summary>
internal abstract class LibcSocket : LibcDescriptor
{
    private protected LibcSocket(int descriptor)
        : base(descriptor)
    {
    }

    internal override IoResult Read(Span<byte> buffer) => IoResult.From(Libc.Receive(Descriptor, buffer));

    internal override IoResult Write(ReadOnlySpan<byte> buffer) => IoResult.From(Libc.Send(Descriptor, buffer));

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => IoResult.From(IoVector.Send(Descriptor, buffers));

    internal override IoResult Shutdown(PollMode mode) => IoResult.From(Libc.Shutdown(Descriptor, mode switch
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
            if (value > 0)
            {
                MayLinger();
            }

            return IoResult.From(Libc.SetLinger(Descriptor, value >= 0, Math.Max(value, 0)));
        }

        (int level, int option) = Option(setting);
        return IoResult.From(Libc.SetOption(Descriptor, level, option, value));
    }

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        (int level, int option) = Option(setting);
        return IoResult.From(Libc.GetOption(Descriptor, level, option, out value));
    }

    internal override IoResult FinishConnect()
    {
        int result = Libc.GetOption(Descriptor, Libc.SOL_SOCKET, Libc.SO_ERROR, out int error);
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
        result = Libc.PeerAddress(Descriptor, address, out _);
        return result == -Errno.ENOTCONN ? IoResult.TryAgain : IoResult.From(result);
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
}
