using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>What a connection and a listener of System.Net.Sockets have in common: life, seat at a backend, options.</summary>
internal abstract class PortableHandle : PollableSocket
{
    private const int TcpLevel = 6;
    private const int LinuxUserTimeout = 18;

    private readonly int _descriptor;

    // Ours to remove; null for TCP, for an abstract name, and for what was accepted.
    private readonly UnixPath? _path;
    private PortableWatch? _watch;
    private EndPoint? _remote;
    private int _isClosed;
    private bool _resetsOnClose;
    private bool _mayLinger;

    // For what the poller has to look for: whether somebody waits for it still. Any thread.
    private bool _wantsRoom;
    private bool _wantsReset;

    /// <param name="socket">Owned from here on, and made non-blocking.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="path">The path that it is bound to, if that goes with it.</param>
    protected PortableHandle(Socket socket, EndPoint? remote, UnixPath? path = null)
    {
        // Blocking is refused and not emulated, so no thread can be held.
        socket.Blocking = false;
        Socket = socket;
        _descriptor = (int)socket.Handle;
        _remote = remote;
        _path = path;
        IsUnix = socket.AddressFamily == AddressFamily.Unix;
    }

    protected Socket Socket { get; }

    /// <summary>Where news go; null while no backend watches. Read again after what made the news, so that they reach a new backend.</summary>
    protected PortableWatch? Watch => Volatile.Read(ref _watch);

    protected bool IsClosed => Volatile.Read(ref _isClosed) != 0;

    /// <summary>Whether a wait for room to write was begun and not given up.</summary>
    internal bool WantsRoom
    {
        get => Volatile.Read(ref _wantsRoom);
        set => Volatile.Write(ref _wantsRoom, value);
    }

    /// <summary>Whether somebody wants to know of a reset, who reads nothing that would tell him.</summary>
    internal bool WantsReset
    {
        get => Volatile.Read(ref _wantsReset);
        set => Volatile.Write(ref _wantsReset, value);
    }

    internal override int Descriptor => IsClosed ? -1 : _descriptor;

    /// <summary>Whether it is a Unix domain socket, and not one of TCP.</summary>
    protected bool IsUnix { get; }

    internal override EndPoint? RemoteEndPoint => _remote is IPEndPoint ip ? new IPEndPoint(ip.Address, ip.Port) : _remote;

    internal override EndPoint? LocalEndPoint
    {
        get
        {
            try
            {
                return Socket.LocalEndPoint is IPEndPoint local ? new IPEndPoint(local.Address, local.Port) : Socket.LocalEndPoint;
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return null;
            }
        }
    }

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => _remote = endPoint;

    /// <summary>Sits down at a backend, and so leaves the one where it sat. News of before are told again.</summary>
    internal void Attach(PortableWatch watch)
    {
        // Published before the look at what is there already: a completion that comes in between finds one or the other.
        Interlocked.Exchange(ref _watch, watch)?.Close();
        watch.Report(PendingNews());
    }

    /// <summary>Leaves the backend; harmless when it has sat down at another one meanwhile.</summary>
    internal void Detach(PortableBackend backend)
    {
        if (Watch is { } watch && watch.IsAt(backend) && ReferenceEquals(Interlocked.CompareExchange(ref _watch, null, watch), watch))
        {
            watch.Close();
        }
    }

    /// <summary>Asks for the next readiness of a direction. Any thread.</summary>
    internal abstract void Arm(PollMode mode);

    /// <summary>Nobody waits any more for what was armed last. Any thread.</summary>
    internal void Disarm(PollMode mode)
    {
        if ((mode & PollMode.Write) != 0)
        {
            WantsRoom = false;
        }
    }

    /// <summary>Asks for the next hang-up. The poller's thread.</summary>
    internal virtual void ArmHangup()
    {
    }

    /// <summary>Whether the system says so now. What cannot be asked any more counts as ready: the operation will tell.</summary>
    internal bool IsReady(SelectMode mode)
    {
        try
        {
            return Socket.Poll(0, mode);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            return true;
        }
    }

    internal override IoResult Shutdown(PollMode mode) => Try(() => Socket.Shutdown(mode switch
    {
        PollMode.Read => SocketShutdown.Receive,
        PollMode.Write => SocketShutdown.Send,
        PollMode.Both => SocketShutdown.Both,
        _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, "Expected Read, Write or Both."),
    }));

    internal sealed override bool CloseBlocks
    {
        get
        {
            LingerOption? linger = null;
            return Volatile.Read(ref _mayLinger) && Try(() => linger = Socket.LingerState).IsSuccess && linger is { Enabled: true, LingerTime: > 0 };
        }
    }

    internal sealed override void MayLinger() => Volatile.Write(ref _mayLinger, true);

    internal override IoResult SetOption(SocketSetting setting, int value)
    {
        if (IsUnix && IsOfTcp(setting))
        {
            // What TCP has to be told holds here by itself: nothing is gathered, and a peer that goes away is seen at once.
            return IoResult.Success;
        }

        if (setting == SocketSetting.LingerSeconds)
        {
            _resetsOnClose = value == 0;
            if (value > 0)
            {
                MayLinger();
            }

            return Try(() => Socket.LingerState = new LingerOption(value >= 0, Math.Clamp(value, 0, short.MaxValue)));
        }

        if (setting == SocketSetting.UserTimeoutMilliseconds)
        {
            // By its number on the one system where its unit and meaning are these; no other call names it.
            return OperatingSystem.IsLinux()
                ? Try(() => Socket.SetRawSocketOption(TcpLevel, LinuxUserTimeout, BitConverter.GetBytes(value)))
                : PortableErrors.ToResult(SocketError.ProtocolOption);
        }

        (SocketOptionLevel level, SocketOptionName name) = Option(setting);
        return Try(() => Socket.SetSocketOption(level, name, value));
    }

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        if (IsUnix && IsOfTcp(setting))
        {
            value = setting == SocketSetting.NoDelay ? 1 : 0;
            return IoResult.Success;
        }

        int found = 0;
        IoResult result;
        if (setting == SocketSetting.UserTimeoutMilliseconds)
        {
            result = OperatingSystem.IsLinux()
                ? Try(() =>
                {
                    byte[] raw = new byte[sizeof(int)];
                    Socket.GetRawSocketOption(TcpLevel, LinuxUserTimeout, raw);
                    found = BitConverter.ToInt32(raw);
                })
                : PortableErrors.ToResult(SocketError.ProtocolOption);
        }
        else
        {
            (SocketOptionLevel level, SocketOptionName name) = Option(setting);

            // NoDelay and KeepAlive come as a number of the system's choice: 1 here, whatever it was.
            result = Try(() => found = (int)Socket.GetSocketOption(level, name)!);
        }

        value = setting is SocketSetting.NoDelay or SocketSetting.KeepAlive ? Math.Sign(Math.Abs(found)) : found;
        return result;
    }

    internal override IoResult Close()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
        {
            throw new InvalidOperationException("A socket was closed twice; its number may belong to somebody else by now.");
        }

        if (!_resetsOnClose)
        {
            BeforePoliteClose();
        }

        _path?.RemoveOwn();
        Socket.Dispose();
        AfterClose();
        return IoResult.Success;
    }

    /// <summary>What was found while no backend watched.</summary>
    protected abstract PortableNews PendingNews();

    /// <summary>The socket is about to be closed, and not by a reset.</summary>
    protected virtual void BeforePoliteClose()
    {
    }

    /// <summary>The socket is closed: what was kept with it goes.</summary>
    protected virtual void AfterClose()
    {
    }

    /// <summary>Runs a call that tells its errors by exceptions. For what is not done per message.</summary>
    protected static IoResult Try(Action call)
    {
        try
        {
            call();
            return IoResult.Success;
        }
        catch (SocketException exception)
        {
            return PortableErrors.ToResult(exception.SocketErrorCode);
        }
        catch (ObjectDisposedException)
        {
            return IoResult.Gone;
        }
    }

    /// <summary>Starts a receive that takes nothing, whose completion is readiness.</summary>
    /// <param name="receiver">Its own event is raised if this returns true.</param>
    /// <param name="error">How it ended, if it has: aborted where the socket is closed.</param>
    /// <returns>Whether it is pending.</returns>
    protected bool StartReceive(SocketAsyncEventArgs receiver, out SocketError error)
    {
        try
        {
            bool isPending = Socket.ReceiveAsync(receiver);
            error = isPending ? SocketError.Success : receiver.SocketError;
            return isPending;
        }
        catch (ObjectDisposedException)
        {
            error = SocketError.OperationAborted;
            return false;
        }
    }

    /// <summary>Binds a Unix domain socket, whose path is nobody's business but this library's.</summary>
    protected static void BindUnix(Socket socket, UnixDomainSocketEndPoint endPoint) => socket.Bind(new UnownedEndPoint(endPoint));

    private static bool IsOfTcp(SocketSetting setting) => setting is SocketSetting.NoDelay or SocketSetting.KeepAlive or SocketSetting.KeepAliveTimeSeconds
        or SocketSetting.KeepAliveIntervalSeconds or SocketSetting.KeepAliveProbes or SocketSetting.UserTimeoutMilliseconds;

    private static (SocketOptionLevel Level, SocketOptionName Name) Option(SocketSetting setting) => setting switch
    {
        SocketSetting.NoDelay => (SocketOptionLevel.Tcp, SocketOptionName.NoDelay),
        SocketSetting.KeepAlive => (SocketOptionLevel.Socket, SocketOptionName.KeepAlive),
        SocketSetting.KeepAliveTimeSeconds => (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime),
        SocketSetting.KeepAliveIntervalSeconds => (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval),
        SocketSetting.KeepAliveProbes => (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount),
        SocketSetting.SendBufferBytes => (SocketOptionLevel.Socket, SocketOptionName.SendBuffer),
        SocketSetting.ReceiveBufferBytes => (SocketOptionLevel.Socket, SocketOptionName.ReceiveBuffer),
        _ => throw new ArgumentOutOfRangeException(nameof(setting), setting, "Expected a setting that is a plain number."),
    };

    /// <summary>The address of a Unix domain socket for a bind. .NET removes the path of its own kind with the socket, whosever it is by then.</summary>
    private sealed class UnownedEndPoint(UnixDomainSocketEndPoint endPoint) : EndPoint
    {
        public override AddressFamily AddressFamily => AddressFamily.Unix;

        public override SocketAddress Serialize() => endPoint.Serialize();

        public override EndPoint Create(SocketAddress socketAddress) => endPoint.Create(socketAddress);
    }
}
