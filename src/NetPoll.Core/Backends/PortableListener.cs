using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>A listening socket, of TCP or Unix domain, by System.Net.Sockets alone.</summary>
/// <remarks>
/// Only an accept tells that somebody waits, and it takes him out of the system's queue: he is kept here until he is asked for. Beyond him the
/// queue is emptied by non-blocking accepts, each behind a look, since one that finds nothing throws.
/// </remarks>
#pragma warning disable CA1001 // Nothing of the system's is in the source of tokens, and it may be cancelled after the close.
internal sealed class PortableListener : PortableHandle
#pragma warning restore CA1001
{
    private readonly CancellationTokenSource _ending = new();

    // What accepts in flight brought. Two at most: one can come while the other has not been taken yet.
    private readonly ConcurrentQueue<(Socket? Socket, SocketError Error)> _arrived = new();

    // Whether an accept is in flight. Any thread sets it (Exchange), its completion clears it after it has queued what it brought.
    private int _isInFlight;

    private PortableListener(Socket socket, UnixPath? path = null)
        : base(socket, remote: null, path)
    {
    }

    /// <summary>Makes a socket, binds it and listens.</summary>
    internal static IoResult Listen(IPEndPoint endPoint, int backlog, out PollableSocket? listener)
    {
        listener = null;
        Socket? socket = null;
        IoResult result = Try(() =>
        {
            socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (endPoint.Address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            if (OperatingSystem.IsWindows())
            {
                // Elsewhere nobody can take an address that is in use; and an address that was in use a minute ago is free, as .NET sees to.
                socket.ExclusiveAddressUse = true;
            }

            socket.Bind(endPoint);
            socket.Listen(backlog);
        });
        if (result.IsSuccess)
        {
            listener = new PortableListener(socket!);
        }
        else
        {
            socket?.Dispose();
        }

        return result;
    }

    /// <summary>Makes a Unix domain socket, binds it and listens; a path that nobody listens on is replaced.</summary>
    /// <exception cref="IOException">What is at the path may not be replaced.</exception>
    internal static IoResult ListenUnix(UnixDomainSocketEndPoint endPoint, int backlog, out PollableSocket? listener)
    {
        listener = null;
        PortableUnixPath? path = PortableUnixPath.Of(endPoint);
        Socket? socket = null;
        PortableListener? made = null;
        IoResult result = Try(() => socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified));
        if (!result.IsSuccess)
        {
            return result;
        }

        try
        {
            using IDisposable? folder = path?.Lock();
            result = Try(() => BindUnix(socket!, endPoint));
            if (path is not null && result.NativeError == Interop.Errno.EADDRINUSE)
            {
                path.RemoveStale(endPoint, isLocked: folder is not null);
                result = Try(() => BindUnix(socket!, endPoint));
            }

            if (result.IsSuccess)
            {
                path?.Own();
                result = Try(() =>
                {
                    socket!.Listen(backlog);
                    made = new PortableListener(socket, path);
                });
                if (!result.IsSuccess)
                {
                    path?.RemoveOwn();
                }
            }
        }
        finally
        {
            if (made is null)
            {
                socket!.Dispose();
            }
        }

        listener = made;
        return result;
    }

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        accepted = null;
        if (_arrived.TryDequeue(out (Socket? Socket, SocketError Error) kept))
        {
            if (kept.Socket is not null)
            {
                return Wrap(kept.Socket, out accepted);
            }

            // Descriptors may have come back since: who waits in the queue is asked for anew. With nobody there the error stands, since the next
            // accept, which may fail the same way, would be begun at once.
            IoResult failed = PortableErrors.ToResult(kept.Error);
            if (!failed.IsOutOfDescriptors || !IsReady(SelectMode.SelectRead))
            {
                return failed;
            }
        }

        Socket? socket = null;
        IoResult result = IsReady(SelectMode.SelectRead) ? Try(() => socket = Socket.Accept()) : IoResult.TryAgain;
        return socket is null ? result : Wrap(socket, out accepted);
    }

    internal override bool FinishAccepting()
    {
        _ending.Cancel();
        return Volatile.Read(ref _isInFlight) == 0 && _arrived.IsEmpty;
    }

    internal override void Arm(PollMode mode)
    {
        if (!_arrived.IsEmpty || (_ending.IsCancellationRequested && Volatile.Read(ref _isInFlight) == 0))
        {
            Watch?.Report(PortableNews.Read);
        }
        else if (!_ending.IsCancellationRequested && Interlocked.Exchange(ref _isInFlight, 1) == 0)
        {
            _ = AcceptInFlightAsync();
        }
    }

    internal override IoResult Read(Span<byte> buffer) => PortableErrors.ToResult(SocketError.NotConnected);

    internal override IoResult Write(ReadOnlySpan<byte> buffer) => PortableErrors.ToResult(SocketError.NotConnected);

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => PortableErrors.ToResult(SocketError.NotConnected);

    internal override IoResult FinishConnect() => PortableErrors.ToResult(SocketError.NotConnected);

    internal override IoResult Probe(PollMode mode) =>
        !_arrived.IsEmpty || IsReady(mode == PollMode.Read ? SelectMode.SelectRead : SelectMode.SelectWrite) ? IoResult.Success : IoResult.TryAgain;

    protected override PortableNews PendingNews() => _arrived.IsEmpty ? PortableNews.None : PortableNews.Read;

    protected override void AfterClose()
    {
        _ending.Cancel();
        DropArrived();
    }

    private async Task AcceptInFlightAsync()
    {
        (Socket? Socket, SocketError Error) brought = default;
        try
        {
            brought.Socket = await Socket.AcceptAsync(_ending.Token).ConfigureAwait(false);
        }
        catch (SocketException exception)
        {
            brought.Error = exception.SocketErrorCode;
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
        {
            brought.Error = SocketError.OperationAborted;
        }

        if (brought.Error != SocketError.OperationAborted)
        {
            _arrived.Enqueue(brought);
        }

        Interlocked.Exchange(ref _isInFlight, 0);
        Watch?.Report(PortableNews.Read);
        if (IsClosed)
        {
            DropArrived();
        }
    }

    // As the system resets what waits in the queue of a listener that is closed.
    private void DropArrived()
    {
        while (_arrived.TryDequeue(out (Socket? Socket, SocketError Error) kept))
        {
            kept.Socket?.Close(timeout: 0);
        }
    }

    private static IoResult Wrap(Socket socket, out PollableSocket? accepted)
    {
        PollableSocket? made = null;
        IoResult result = Try(() => made = new PortableSocket(socket, socket.RemoteEndPoint));
        accepted = made;
        if (made is null)
        {
            // The peer is gone already, and its address with it.
            socket.Dispose();
            return PortableErrors.ToResult(SocketError.ConnectionAborted);
        }

        return result;
    }
}
