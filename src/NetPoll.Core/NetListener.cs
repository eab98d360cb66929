using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Diagnostics;
using NetPoll.Core.Scheduling;
using NetPoll.Core.Sockets;

namespace NetPoll.Core;

/// <summary>A TCP or Unix domain listener on a poller. Every member may be called from any thread.</summary>
/// <remarks>Go: <c>net.TCPListener</c>.</remarks>
public sealed class NetListener : IAsyncDisposable, IDisposable
{
    /// <summary>How many connections may wait to be accepted, unless told otherwise; the system caps it at its own limit.</summary>
    public const int DefaultBacklog = 4096;

    private readonly NetFd _fd;
    private readonly PollerGroup _group;
    private readonly DescriptorReserve _reserve;

    private NetListener(NetFd fd, PollerGroup group)
    {
        _fd = fd;
        _group = group;
        _reserve = new DescriptorReserve(group.Platform);
        fd.Owner = this;
    }

    /// <summary>Closes a listener that its user forgot.</summary>
    ~NetListener()
    {
        Log.ListenerForgotten(_fd.Poller.Logger, _fd.LocalEndPoint);
        _ = _fd.CloseAsync();
    }

    /// <summary>Where it listens, with the port that the system chose if none was given.</summary>
    public EndPoint LocalEndPoint => _fd.LocalEndPoint!;

    /// <summary>The poller that watches this listener.</summary>
    public Poller Poller => _fd.Poller;

    internal NetFd Fd => _fd;

    /// <summary>Begins to listen. On <see cref="IPAddress.IPv6Any"/> it accepts IPv4 as well.</summary>
    /// <param name="endPoint">
    /// An <see cref="IPEndPoint"/>, whose port 0 lets the system choose; or a <see cref="UnixDomainSocketEndPoint"/>, a path or an abstract name; or a
    /// <see cref="HandleEndPoint"/>, for which see <see cref="Adopt(SafeHandle, PollerGroup?)"/>.
    /// </param>
    /// <param name="group">Where the listener and its connections live; null for the default group.</param>
    /// <param name="backlog">How many connections may wait to be accepted, 1 or more. A socket that listens already keeps what it has.</param>
    /// <remarks>
    /// A path at which a socket was left behind, on which nobody listens, is replaced; anything else there is left alone and is an error. While
    /// it is looked at, the folder is locked (flock) against others who do the same. Closing the listener removes the path if it still is this
    /// listener's. Who may connect is the file system's matter: the folder's and the socket's permissions.
    /// </remarks>
    /// <exception cref="ArgumentException">Another kind of end point.</exception>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend has no such sockets.</exception>
    public static NetListener Listen(EndPoint endPoint, PollerGroup? group = null, int backlog = DefaultBacklog)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(backlog);
        group ??= PollerGroup.Default;
        group.Start();
        IoResult result = group.Platform.ListenStream(endPoint, backlog, out PollableSocket? socket);
        NetFd? fd = null;
        if (result.IsSuccess)
        {
            result = NetFd.OpenOrClose(group, socket!, out fd);
        }

        return result.IsSuccess ? new NetListener(fd!, group) : throw OperationOutcome.From(result).ToException("listen on", endPoint);
    }

    /// <summary>Takes over a socket that listens already, as one of <see cref="SocketActivation"/>.</summary>
    /// <param name="handle">
    /// The listener's from here on: its open file gets another number, close-on-exec, and is made non-blocking, and the handle is disposed.
    /// After an <see cref="ArgumentException"/> it still is the caller's.
    /// </param>
    /// <param name="group">Where the listener and its connections live; null for the default group.</param>
    /// <exception cref="ArgumentException">The handle is closed, or is no TCP or Unix domain socket that listens; the message tells what it is.</exception>
    /// <exception cref="IOException">The system refuses; the socket is closed.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend adopts no sockets.</exception>
    /// <remarks>
    /// Closing it removes no path: who bound the socket does that. While another process has the socket open, connections wait in its queue
    /// after the close. Go: <c>net.FileListener</c>, which leaves the file to its caller.
    /// </remarks>
    public static NetListener Adopt(SafeHandle handle, PollerGroup? group = null)
    {
        ArgumentNullException.ThrowIfNull(handle);
        return Listen(new HandleEndPoint(handle), group);
    }

    /// <summary>Waits for a connection.</summary>
    /// <param name="cancellationToken">Ends this wait; queued connections stay queued.</param>
    /// <remarks>
    /// When the process or the system is out of descriptors or buffers it logs that, closes one waiting connection if the descriptors are
    /// what lacks, and tries again by a timer until it succeeds. A connection that was accepted on a poller's thread lives on that poller,
    /// others are spread over the group.
    /// </remarks>
    /// <exception cref="DeadlineExceededException">The listener's deadline has passed; queued connections stay queued.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The listener was closed.</exception>
    public async ValueTask<NetConnection> AcceptAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        AcceptBackoff backoff = default;
        while (true)
        {
            AcceptResult accepted = await _fd.AcceptAsync(cancellationToken).BackToPoller();
            OperationOutcome outcome = TakeIn(accepted, out NetConnection? connection);
            if (connection is not null)
            {
                return connection;
            }

            if (outcome.Poll == PollResult.Ready && PollErrors.ClassifyAccept(outcome.Io.NativeError) == PollErrorClass.Resource)
            {
                outcome = await BackOffAsync(outcome.Io, backoff.Delay, cancellationToken).BackToPoller();
                backoff.Lengthen();
            }

            if (!outcome.IsSuccess)
            {
                throw outcome.IsCancelled ? new OperationCanceledException(cancellationToken) : outcome.ToException("accept on", LocalEndPoint);
            }
        }
    }

    /// <summary>Takes a connection that waits already.</summary>
    /// <returns>False when none waits, or another accept is waiting.</returns>
    /// <exception cref="IOException">The system is out of descriptors or buffers, or reports another error.</exception>
    /// <inheritdoc cref="AcceptAsync" path="/exception[@cref='T:System.ObjectDisposedException']"/>
    public bool TryAccept(out NetConnection? connection)
    {
        OperationOutcome outcome = TakeIn(_fd.TryAccept(), out connection);
        return connection is not null || (outcome.Io.WouldBlock && outcome.Poll == PollResult.Ready
            ? false
            : throw outcome.ToException("accept on", LocalEndPoint));
    }

    /// <summary>Waits for a connection and takes those that wait behind it, too.</summary>
    /// <param name="batch">Where they go, from the first place on.</param>
    /// <param name="cancellationToken">Ends this wait.</param>
    /// <returns>How many, 1 to all places.</returns>
    /// <inheritdoc cref="AcceptAsync" path="/exception"/>
    public async ValueTask<int> AcceptBatchAsync(Memory<NetConnection> batch, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfZero(batch.Length);
        NetConnection first = await AcceptAsync(cancellationToken).BackToPoller();
        batch.Span[0] = first;
        int count = 1;
        while (count < batch.Length)
        {
#pragma warning disable CA2000 // The caller's, once it is in the batch.
            _ = TakeIn(_fd.TryAccept(), out NetConnection? connection);
#pragma warning restore CA2000
            if (connection is null)
            {
                // Nothing waits, or an error that the next accept meets again.
                break;
            }

            batch.Span[count++] = connection;
        }

        return count;
    }

    /// <summary>Sets when <see cref="AcceptAsync"/> stops waiting. Go: <c>TCPListener.SetDeadline</c>.</summary>
    /// <exception cref="ObjectDisposedException">The listener was closed.</exception>
    public void SetDeadline(Deadline deadline)
    {
        PollResult result = _fd.SetDeadline(PollMode.Read, deadline);
        if (result != PollResult.Ready)
        {
            throw OperationOutcome.From(result).ToException("set deadline of", LocalEndPoint);
        }
    }

    /// <summary>Calls somebody with the system's number until he returns true, waiting in between. Go: <c>RawConn.Read</c>.</summary>
    /// <param name="attempt">
    /// One non-blocking attempt; false when it would block. Called on the caller's thread at first; after a wait there again if that is a poller's,
    /// else on the thread pool.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask RawReadAsync(Func<int, bool> attempt, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(attempt);
        OperationOutcome outcome = await _fd.RawAsync(PollMode.Read, attempt, cancellationToken).BackToPoller();
        if (!outcome.IsSuccess)
        {
            throw outcome.IsCancelled ? new OperationCanceledException(cancellationToken) : outcome.ToException("read", LocalEndPoint);
        }
    }

    /// <summary>Ends waiting accepts as closed; completes when the address is free again. Harmless when closed.</summary>
    public Task CloseAsync() => DisposeAsync().AsTask();

    /// <summary>Begins to close and does not wait.</summary>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        _reserve.Dispose();
        _ = _fd.CloseAsync();
    }

    /// <inheritdoc cref="CloseAsync"/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _reserve.Dispose();
        return new ValueTask(_fd.CloseAsync());
    }

    // Gives an accepted socket its poller; on failure the new socket is given up, never the listener.
    private OperationOutcome TakeIn(AcceptResult accepted, out NetConnection? connection)
    {
        connection = null;
        if (!accepted.Outcome.IsSuccess)
        {
            return accepted.Outcome;
        }

        IoResult opened;
        NetFd? fd;
        try
        {
            opened = NetFd.OpenOrClose(_group, accepted.Socket!, out fd);
        }
        catch (ObjectDisposedException)
        {
            // The group has stopped since.
            return OperationOutcome.From(PollResult.Closing);
        }

        if (opened.IsSuccess)
        {
            _ = fd!.SetOption(SocketSetting.NoDelay, 1);
            connection = new NetConnection(fd);
        }

        return OperationOutcome.From(opened);
    }

    // No edge will come for the connections that already wait: only a timer brings us back.
    private ValueTask<OperationOutcome> BackOffAsync(IoResult failure, TimeSpan delay, CancellationToken cancellationToken)
    {
        Log.AcceptFailed(_fd.Poller.Logger, LocalEndPoint, failure.Error, failure.NativeError, delay);
        if (failure.IsOutOfDescriptors && _reserve.TryShed(() => _fd.TryAccept().Socket))
        {
            PollerMetrics.ConnectionShed(_group.Name);
        }

        return _fd.PauseAcceptAsync(delay, _fd.Poller.TimeProvider, cancellationToken);
    }
}
