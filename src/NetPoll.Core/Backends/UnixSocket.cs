using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A Unix domain stream socket of libc, by path or by abstract name.</summary>
internal sealed class UnixSocket : LibcSocket
{
    // Ours to remove; null for an abstract name, and for what was accepted or adopted.
    private readonly UnixPath? _path;
    private EndPoint? _remote;

    internal UnixSocket(int descriptor, EndPoint? remoteEndPoint, UnixPath? path = null)
        : base(descriptor)
    {
        _remote = remoteEndPoint;
        _path = path;
    }

    internal override EndPoint? LocalEndPoint
    {
        get
        {
            Span<byte> address = stackalloc byte[SocketAddressLayout.MaxUnixSize];
            return Libc.LocalAddress(Descriptor, address, out int length) < 0 ? null : SocketAddressLayout.ReadUnix(address[..length]);
        }
    }

    internal override EndPoint? RemoteEndPoint => _remote;

    internal override PeerCredentials? PeerCredentials =>
        Kind == PollKind.Socket && Libc.GetPeerCredentials(Descriptor, out int process, out uint user, out uint group) >= 0
            ? new PeerCredentials(process, user, group)
            : null;

    // The system does not join what was sent with descriptors, or by several senders, into one read.
    internal override bool MayReadShort => true;

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => _remote = endPoint;

    /// <summary>Makes a socket, binds it and listens; a path that nobody listens on is replaced.</summary>
    /// <exception cref="IOException">What is at the path may not be replaced.</exception>
    internal static IoResult Listen(UnixDomainSocketEndPoint endPoint, int backlog, out PollableSocket? listener)
    {
        listener = null;
        int descriptor = Libc.StreamSocket(Libc.AF_UNIX);
        if (descriptor < 0)
        {
            return IoResult.From(descriptor);
        }

        LibcUnixPath? path = LibcUnixPath.Of(endPoint);
        IoResult result;
        try
        {
            result = BindAndListen(descriptor, endPoint, path, backlog);
        }
        catch
        {
            _ = Libc.Close(descriptor);
            throw;
        }

        if (!result.IsSuccess)
        {
            path?.RemoveOwn();
            _ = Libc.Close(descriptor);
            return result;
        }

        listener = new UnixSocket(descriptor, remoteEndPoint: null, path);
        return result;
    }

    /// <summary>Makes a socket and connects it.</summary>
    /// <returns>Success; would block, and no socket, when the listener's queue is full; or the error.</returns>
    internal static IoResult Connect(UnixDomainSocketEndPoint remote, UnixDomainSocketEndPoint? local, out PollableSocket? socket)
    {
        socket = null;
        int descriptor = Libc.StreamSocket(Libc.AF_UNIX);
        if (descriptor < 0)
        {
            return IoResult.From(descriptor);
        }

        LibcUnixPath? path = local is null ? null : LibcUnixPath.Of(local);
        IoResult result = local is null ? IoResult.Success : Bind(descriptor, local);
        if (result.IsSuccess)
        {
            path?.Own();
            result = Connect(descriptor, remote);
        }

        if (!result.IsSuccess)
        {
            path?.RemoveOwn();
            _ = Libc.Close(descriptor);
            return result;
        }

        socket = new UnixSocket(descriptor, remote, path);
        return result;
    }

    /// <summary>Tries whether somebody listens, who sees a connection that ends at once: refused when not.</summary>
    internal static IoResult ProbeListener(UnixDomainSocketEndPoint endPoint)
    {
        int descriptor = Libc.StreamSocket(Libc.AF_UNIX);
        if (descriptor < 0)
        {
            return IoResult.From(descriptor);
        }

        IoResult result = Connect(descriptor, endPoint);
        _ = Libc.Close(descriptor);
        return result;
    }

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxUnixSize];
        int result = Libc.Accept(Descriptor, address, out int length);
        accepted = result < 0 ? null : new UnixSocket(result, SocketAddressLayout.ReadUnix(address[..Math.Min(length, address.Length)]));
        return result < 0 ? IoResult.From(result) : IoResult.Success;
    }

    // What TCP has to be told holds here by itself: nothing is gathered, and a peer that goes away is seen at once.
    internal override IoResult SetOption(SocketSetting setting, int value) => IsOfTcp(setting) ? IoResult.Success : base.SetOption(setting, value);

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        value = setting == SocketSetting.NoDelay ? 1 : 0;
        return IsOfTcp(setting) ? IoResult.Success : base.GetOption(setting, out value);
    }

    private protected override IoResult Release(int descriptor)
    {
        _path?.RemoveOwn();
        return base.Release(descriptor);
    }

    private static bool IsOfTcp(SocketSetting setting) => setting is SocketSetting.NoDelay or SocketSetting.KeepAlive or SocketSetting.KeepAliveTimeSeconds
        or SocketSetting.KeepAliveIntervalSeconds or SocketSetting.KeepAliveProbes or SocketSetting.UserTimeoutMilliseconds;

    private static IoResult BindAndListen(int descriptor, UnixDomainSocketEndPoint endPoint, UnixPath? path, int backlog)
    {
        using IDisposable? folder = path?.Lock();
        IoResult result = Bind(descriptor, endPoint);
        if (path is not null && result.NativeError == Errno.EADDRINUSE)
        {
            path.RemoveStale(endPoint, isLocked: folder is not null);
            result = Bind(descriptor, endPoint);
        }

        if (!result.IsSuccess)
        {
            return result;
        }

        path?.Own();
        return IoResult.From(Libc.Listen(descriptor, backlog));
    }

    private static IoResult Bind(int descriptor, UnixDomainSocketEndPoint endPoint)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxUnixSize];
        int length = SocketAddressLayout.Write(endPoint, address);
        return IoResult.From(Libc.Bind(descriptor, address[..length]));
    }

    private static IoResult Connect(int descriptor, UnixDomainSocketEndPoint endPoint)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxUnixSize];
        int length = SocketAddressLayout.Write(endPoint, address);
        return IoResult.From(Libc.Connect(descriptor, address[..length]));
    }
}
