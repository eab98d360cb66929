using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>A connection, of TCP or Unix domain, or an attempt at one, by System.Net.Sockets alone.</summary>
internal sealed class PortableSocket : PortableHandle
{
    // Socket.Send goes on until all is taken: with a peer that reads as fast, one call of a large buffer would hold the poller.
    private const int MaxSend = 128 * 1024;

    // What several buffers are gathered in: .NET's own vectored send takes a list and pins and allocates for it.
    private const int GatherSize = 64 * 1024;

    [ThreadStatic]
    private static byte[]? _gather;

    private Receiver? _receiver;
    private int _armed;
    // Word     what is armed: Armed bits. InFlight from the start of a receive until its completion; the others who waits for it.
    // Writers  any thread arms (Or); who completes takes all (Exchange).
    // Race     an arming while a receive completes.
    // Order    arm: Or, and only who added InFlight starts a receive. complete: Exchange, then tell those whose bit was there. An arming
    //          before the exchange is told by it, one after it starts its own receive, which sees the present state.
    // Proof    PortableBackendTests.

    // What a completion found: the next operation's.
    private HeldError _heldError;

    private int _connecting;

    // The end of the stream was seen; from then on a receive would complete at once, for ever.
    private bool _sawEnd;
    private bool _isReadShut;

    internal PortableSocket(Socket socket, EndPoint? remote, UnixPath? path = null)
        : base(socket, remote, path)
    {
    }

    // The system does not join what was sent with descriptors, or by several senders, into one read.
    internal override bool MayReadShort => IsUnix;

    internal override PeerCredentials? PeerCredentials => IsUnix && OperatingSystem.IsLinux() ? ReadCredentials() : null;

    /// <summary>Makes a socket and begins to connect it.</summary>
    /// <returns>Success, would block for an attempt that goes on, or the error; no socket is left then.</returns>
    internal static IoResult Connect(IPEndPoint remote, IPEndPoint? local, out PollableSocket? connecting)
    {
        connecting = null;
        Socket? socket = null;
        PortableSocket? made = null;
        IoResult result = Try(() =>
        {
            socket = new Socket(remote.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (remote.Address.IsIPv4MappedToIPv6)
            {
                socket.DualMode = true;
            }

            made = new PortableSocket(socket, remote);
            if (local is not null)
            {
                socket.Bind(local);
            }
        });
        if (result.IsSuccess)
        {
            result = made!.BeginConnect(remote);
        }

        if (result.IsSuccess || result.WouldBlock)
        {
            connecting = made;
            return result;
        }

        socket?.Dispose();
        return result;
    }

    /// <summary>Makes a Unix domain socket and connects it.</summary>
    /// <returns>Success; would block, and no socket, when the listener's queue is full, as on Linux; or the error.</returns>
    internal static IoResult ConnectUnix(UnixDomainSocketEndPoint remote, UnixDomainSocketEndPoint? local, out PollableSocket? connecting)
    {
        connecting = null;
        PortableUnixPath? path = local is null ? null : PortableUnixPath.Of(local);
        _ = PortableUnixPath.Of(remote);
        Socket? socket = null;
        PortableSocket? made = null;
        IoResult result = Try(() =>
        {
            socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            if (local is not null)
            {
                BindUnix(socket, local);
                path?.Own();
            }

            made = new PortableSocket(socket, remote, path);
            if (!OperatingSystem.IsWindows())
            {
                // Non-blocking, and done at once or not at all: .NET's waiting form would wait for room in a full queue, on a thread.
                socket.Connect(remote);
            }
        });
        if (result.IsSuccess && OperatingSystem.IsWindows())
        {
            result = made!.BeginConnect(remote);
        }

        if (result.IsSuccess || (result.WouldBlock && OperatingSystem.IsWindows()))
        {
            connecting = made;
            return result;
        }

        path?.RemoveOwn();
        socket?.Dispose();
        return result;
    }

    internal override IoResult Read(Span<byte> buffer)
    {
        if (_heldError.TryTake(out IoResult held))
        {
            return held;
        }

        try
        {
            int count = Socket.Receive(buffer, SocketFlags.None, out SocketError error);
            if (error == SocketError.Success)
            {
                if (count == 0 && !buffer.IsEmpty)
                {
                    if ((Volatile.Read(ref _armed) & Armed.InFlight) != 0 || _heldError.IsHeld)
                    {
                        if (_heldError.TryTake(out held))
                        {
                            return held;
                        }

                        // It may be a reset whose error the receive in flight has just been given: its completion tells. Not after our own end
                        // of reading: what is armed then is told at once, and would come back here until the completion has run.
                        if (!_isReadShut)
                        {
                            return IoResult.TryAgain;
                        }
                    }

                    _sawEnd = true;
                }

                return IoResult.Bytes(count);
            }

            // After our own end of reading some systems say so, and some that nothing is there.
            return _isReadShut && error is SocketError.WouldBlock or SocketError.Shutdown ? IoResult.Bytes(0) : PortableErrors.ToResult(error);
        }
        catch (ObjectDisposedException)
        {
            return IoResult.Gone;
        }
    }

    internal override IoResult Write(ReadOnlySpan<byte> buffer)
    {
        if (_heldError.TryTake(out IoResult held))
        {
            return held;
        }

        try
        {
            int count = Socket.Send(buffer[..Math.Min(buffer.Length, MaxSend)], SocketFlags.None, out SocketError error);
            return PortableErrors.ToResult(count, error);
        }
        catch (ObjectDisposedException)
        {
            return IoResult.Gone;
        }
    }

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers)
    {
        while (!buffers.IsEmpty && buffers[0].IsEmpty)
        {
            buffers = buffers[1..];
        }

        if (buffers.Length < 2 || buffers[0].Length >= GatherSize)
        {
            return Write(buffers.IsEmpty ? default : buffers[0].Span);
        }

        byte[] gather = _gather ??= GC.AllocateUninitializedArray<byte>(GatherSize);
        int used = 0;
        foreach (ReadOnlyMemory<byte> buffer in buffers)
        {
            int fits = Math.Min(buffer.Length, GatherSize - used);
            buffer.Span[..fits].CopyTo(gather.AsSpan(used));
            used += fits;
            if (fits < buffer.Length)
            {
                break;
            }
        }

        return Write(gather.AsSpan(0, used));
    }

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        accepted = null;
        return PortableErrors.ToResult(SocketError.OperationNotSupported);
    }

    internal override IoResult Shutdown(PollMode mode)
    {
        IoResult result = base.Shutdown(mode);
        if (result.IsSuccess && (mode & PollMode.Read) != 0)
        {
            // Not every system ends a receive in flight by that.
            _isReadShut = true;
            Watch?.Report(PortableNews.Read);
        }

        return result;
    }

    internal override IoResult FinishConnect()
    {
        switch (Volatile.Read(ref _connecting))
        {
            case Connecting.InFlight:
                return IoResult.TryAgain;
            case Connecting.Done:
                Volatile.Write(ref _connecting, Connecting.Told);
                return IoResult.Success;
        }

        if (_heldError.TryTake(out IoResult held))
        {
            return held;
        }

        // No attempt, but the question whether there still is a peer.
        int error = 0;
        IoResult asked = Try(() => error = (int)Socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!);
        if (!asked.IsSuccess || error != 0)
        {
            return asked.IsSuccess ? PortableErrors.ToResult((SocketError)error) : asked;
        }

        SocketError peeked = Peek();
        return peeked is SocketError.Success or SocketError.WouldBlock ? IoResult.Success : PortableErrors.ToResult(peeked);
    }

    internal override IoResult Probe(PollMode mode)
    {
        bool isReady = _heldError.IsHeld || (mode == PollMode.Read && _isReadShut)
            || IsReady(mode == PollMode.Read ? SelectMode.SelectRead : SelectMode.SelectWrite) || IsReady(SelectMode.SelectError);
        return isReady ? IoResult.Success : IoResult.TryAgain;
    }

    internal override void Arm(PollMode mode)
    {
        if (Volatile.Read(ref _connecting) == Connecting.InFlight)
        {
            // Its end tells both directions.
            return;
        }

        if ((mode & PollMode.Write) != 0)
        {
            WantsRoom = true;
            Watch?.Report(Volatile.Read(ref _connecting) == Connecting.Done || _heldError.IsHeld
                ? PortableNews.Write
                : PortableNews.LookForRoom);
        }

        if ((mode & PollMode.Read) != 0)
        {
            WantsReset = false;
            if (_isReadShut || _heldError.IsHeld)
            {
                Watch?.Report(PortableNews.Read);
            }
            else
            {
                ArmReceive(Armed.Read);
            }
        }
    }

    internal override void ArmHangup()
    {
        if (Watch is not { } watch || Volatile.Read(ref _connecting) == Connecting.InFlight)
        {
            return;
        }

        WantsReset = true;
        if (watch.Look(SelectMode.SelectError).IsListed)
        {
            return;
        }

        if (_sawEnd || _isReadShut)
        {
            // What can still come is a reset.
            watch.Report(PortableNews.LookForReset);
        }
        else
        {
            ArmReceive(Armed.Hangup);
        }
    }

    protected override PortableNews PendingNews() =>
        (Volatile.Read(ref _connecting) == Connecting.Done || _heldError.IsHeld ? PortableNews.Read | PortableNews.Write : PortableNews.None)
        | (_sawEnd ? PortableNews.Read | PortableNews.ReadHangup : PortableNews.None);

    // .NET resets a connection that is closed with a receive in flight, unless our end was told before: what is unsent would be lost.
    protected override void BeforePoliteClose()
    {
        if (Volatile.Read(ref _armed) != 0)
        {
            _ = Try(() => Socket.Shutdown(SocketShutdown.Send));
        }
    }

    protected override void AfterClose() => _receiver?.Dispose();

    // By its number on the one system where it is this; no other call names it. Process, user and group, 32 bits each.
    private PeerCredentials? ReadCredentials()
    {
        const int SocketLevel = 1;
        const int LinuxPeerCredentials = 17;
        byte[] raw = new byte[3 * sizeof(int)];
        int length = 0;
        IoResult result = Try(() => length = Socket.GetRawSocketOption(SocketLevel, LinuxPeerCredentials, raw));
        return result.IsSuccess && length == raw.Length
            ? new PeerCredentials(BitConverter.ToInt32(raw), BitConverter.ToUInt32(raw, sizeof(int)), BitConverter.ToUInt32(raw, 2 * sizeof(int)))
            : null;
    }

    private IoResult BeginConnect(EndPoint remote)
    {
        Volatile.Write(ref _connecting, Connecting.InFlight);
#pragma warning disable CA2000 // Its completion disposes of it.
        Connector connector = new(this) { RemoteEndPoint = remote };
#pragma warning restore CA2000
        bool isPending = false;
        IoResult result = Try(() => isPending = Socket.ConnectAsync(connector));
        if (isPending)
        {
            return IoResult.TryAgain;
        }

        SocketError error = connector.SocketError;
        connector.Dispose();
        Volatile.Write(ref _connecting, Connecting.Told);
        return result.IsSuccess ? PortableErrors.ToResult(error) : result;
    }

    private void ConnectCompleted(Connector connector)
    {
        SocketError error = connector.SocketError;
        connector.Dispose();
        if (error != SocketError.Success)
        {
            _heldError.Hold(error);
        }

        Interlocked.Exchange(ref _connecting, error == SocketError.Success ? Connecting.Done : Connecting.Told);
        Watch?.Report(PortableNews.Read | PortableNews.Write);
    }

    private void ArmReceive(int who)
    {
        if ((Interlocked.Or(ref _armed, Armed.InFlight | who) & Armed.InFlight) != 0)
        {
            return;
        }

        Receiver receiver = _receiver ??= new Receiver(this);
        if (!StartReceive(receiver, out SocketError error))
        {
            ReceiveCompleted(error);
        }
    }

    // A thread of the pool, or the caller of an arming that found something at once.
    private void ReceiveCompleted(SocketError error)
    {
        if (error is not (SocketError.Success or SocketError.OperationAborted))
        {
            // The system has told it and will not again: the next read or write is to hear of it.
            _heldError.Hold(error);
        }

        int armed = Interlocked.Exchange(ref _armed, Armed.Nothing);
        PortableNews news = (armed & Armed.Read) != 0 ? PortableNews.Read : PortableNews.None;
        if ((armed & Armed.Hangup) != 0 && error != SocketError.OperationAborted)
        {
            news |= LookBehind(error);

            // What was seen, then where it is told: a backend at which the socket sits down meanwhile finds the one or gets the other.
            Interlocked.MemoryBarrier();
        }

        Watch?.Report(news);
    }

    // Somebody waits for a hang-up alone: whether that is what came, and not bytes.
    private PortableNews LookBehind(SocketError received) => (received == SocketError.Success ? Peek() : received) switch
    {
        SocketError.Success when _sawEnd => PortableNews.Read | PortableNews.ReadHangup,
        SocketError.Success or SocketError.WouldBlock => PortableNews.LookForReset,
        _ => PortableNews.Read | PortableNews.Write | PortableNews.Error,
    };

    // Takes nothing, but an error, which is kept.
    private SocketError Peek()
    {
        try
        {
            Span<byte> one = stackalloc byte[1];
            int count = Socket.Receive(one, SocketFlags.Peek, out SocketError error);
            if (error == SocketError.Success)
            {
                _sawEnd |= count == 0;
            }
            else if (error != SocketError.WouldBlock)
            {
                _heldError.Hold(error);
            }

            return error;
        }
        catch (ObjectDisposedException)
        {
            return SocketError.OperationAborted;
        }
    }

    private static class Armed
    {
        internal const int Nothing = 0;
        internal const int InFlight = 1;
        internal const int Read = 2;
        internal const int Hangup = 4;
    }

    // How far an attempt to connect is: none or over and told, going on, made and not yet told.
    private static class Connecting
    {
        internal const int Told = 0;
        internal const int InFlight = 1;
        internal const int Done = 2;
    }

    private sealed class Receiver : SocketAsyncEventArgs
    {
        private readonly PortableSocket _socket;

        internal Receiver(PortableSocket socket)
            : base(true)
        {
            _socket = socket;
            SetBuffer(Array.Empty<byte>(), 0, 0);
        }

        protected override void OnCompleted(SocketAsyncEventArgs e) => _socket.ReceiveCompleted(SocketError);
    }

    private sealed class Connector : SocketAsyncEventArgs
    {
        private readonly PortableSocket _socket;

        internal Connector(PortableSocket socket)
            : base(true) => _socket = socket;

        protected override void OnCompleted(SocketAsyncEventArgs e) => _socket.ConnectCompleted(this);
    }
}
