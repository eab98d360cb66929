using System.IO.Pipelines;
using System.Net;
using System.Runtime.InteropServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Diagnostics;
using NetPoll.Core.Scheduling;
using NetPoll.Core.Sockets;

namespace NetPoll.Core;

/// <summary>A TCP or Unix domain connection on a poller. Every member may be called from any thread.</summary>
/// <remarks>
/// An awaited operation that was begun on a poller's thread comes back to that thread. At most one read and one write are in progress at a
/// time; others queue. A waiting operation holds no thread, and keeps the connection alive; one that is forgotten and waits for nothing is
/// closed when it is collected, and that is reported. Go: <c>net.TCPConn</c>.
/// </remarks>
public sealed class NetConnection : IByteStream, IAsyncDisposable, IDisposable
{
    // What Linux takes: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT.
    private const int MaxSeconds = 32767;
    private const int MaxProbes = 127;

    private readonly NetFd _fd;

    internal NetConnection(NetFd fd)
    {
        _fd = fd;
        fd.Owner = this;
    }

    /// <summary>Closes a connection that its user forgot.</summary>
    ~NetConnection()
    {
        Log.ConnectionForgotten(_fd.Poller.Logger, _fd.LocalEndPoint, _fd.RemoteEndPoint);
        _ = _fd.CloseAsync();
    }

    /// <summary>The poller that watches this connection.</summary>
    public Poller Poller => _fd.Poller;

    /// <summary>Our side's address.</summary>
    public EndPoint? LocalEndPoint => _fd.LocalEndPoint;

    /// <summary>The peer's address: a Unix domain socket that was not bound has an empty one.</summary>
    public EndPoint? RemoteEndPoint => _fd.RemoteEndPoint;

    /// <summary>The process that connected to a Unix domain socket, or listens on it; null for TCP, and where the system does not tell.</summary>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    public PeerCredentials? PeerCredentials
    {
        get
        {
            ThrowUnless(_fd.GetPeerCredentials(out PeerCredentials? credentials), "look at");
            return credentials;
        }
    }

    internal NetFd Fd => _fd;

    /// <inheritdoc/>
    bool IByteStream.CanRead => true;

    /// <inheritdoc/>
    bool IByteStream.CanWrite => true;

    /// <inheritdoc/>
    bool IByteStream.CanTimeout => true;

    /// <summary>Takes over a connected TCP or Unix domain socket that somebody else has made.</summary>
    /// <param name="handle">
    /// The connection's from here on: its open file gets another number, close-on-exec, and is made non-blocking, and the handle is disposed.
    /// After an <see cref="ArgumentException"/> it still is the caller's. Of .NET's own sockets only one on which nobody waits, see the guide.
    /// </param>
    /// <param name="group">Where it lives; null for the default group.</param>
    /// <exception cref="ArgumentException">The handle is closed, or is no such socket; the message names it and tells what it is.</exception>
    /// <exception cref="IOException">The system refuses; the socket is closed.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend adopts no sockets.</exception>
    /// <remarks>Go: <c>net.FileConn</c>, which leaves the file to its caller.</remarks>
    public static NetConnection Adopt(SafeHandle handle, PollerGroup? group = null)
    {
        ArgumentNullException.ThrowIfNull(handle);
        group ??= PollerGroup.Default;
        group.Start();
        NetFd fd = NetFd.OpenOrClose(group, group.Platform.AdoptSocket(handle, PollKind.Socket));
        _ = fd.SetOption(SocketSetting.NoDelay, 1);
        return new NetConnection(fd);
    }

    /// <summary>Reads what is there, or waits until something is.</summary>
    /// <param name="buffer">Not touched after the task has completed. An empty one completes at once.</param>
    /// <param name="cancellationToken">Ends this wait and touches nothing else; readiness that came first wins.</param>
    /// <returns>Bytes read; 0 when the peer has ended its side.</returns>
    /// <exception cref="DeadlineExceededException">The read deadline has passed; nothing was consumed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; nothing was consumed.</exception>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    /// <exception cref="IOException">The connection is broken; the inner exception has the system's error.</exception>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<int>(cancellationToken)
            : _fd.ReadAsync(buffer, cancellationToken);

    /// <summary>Writes all of the buffer, waiting while the peer does not take it.</summary>
    /// <param name="buffer">Must not change until the task has completed.</param>
    /// <param name="cancellationToken">Ends the wait; what was written before stays written.</param>
    /// <exception cref="DeadlineExceededException">The write deadline has passed; it tells how many bytes had been written.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; part may have been written.</exception>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    /// <exception cref="WriteFailedException">
    /// The connection is broken; it tells how many bytes had been written, and the inner exception has the system's error.
    /// </exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : _fd.WriteAsync(buffer, cancellationToken);

    /// <summary>Writes several buffers in order, with as few system calls as it takes and nothing of another writer in between.</summary>
    /// <param name="buffers">Neither the list nor the bytes may change until the task has completed.</param>
    /// <param name="cancellationToken">Ends the wait; what was written before stays written.</param>
    /// <inheritdoc cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)" path="/exception"/>
    public ValueTask WriteVectoredAsync(ReadOnlyMemory<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : _fd.WriteAsync(buffers, cancellationToken);

    /// <summary>Reads what is there, without waiting.</summary>
    /// <returns>False when nothing is there, or another read is waiting.</returns>
    /// <inheritdoc cref="ReadAsync" path="/exception"/>
    public bool TryRead(Span<byte> buffer, out int bytesRead) => Finish(_fd.TryRead(buffer), "read", null, out bytesRead);

    /// <summary>Writes what the system takes at once, without waiting.</summary>
    /// <returns>False when it takes nothing, or another write is waiting.</returns>
    /// <inheritdoc cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)" path="/exception"/>
    public bool TryWrite(ReadOnlySpan<byte> buffer, out int bytesWritten) =>
        Finish(_fd.TryWrite(buffer), "write", 0, out bytesWritten);

    /// <summary>Waits until a read will not block, without holding a buffer meanwhile. The end of the stream and an error count.</summary>
    /// <inheritdoc cref="ReadAsync" path="/exception"/>
    public ValueTask WaitReadableAsync(CancellationToken cancellationToken = default) => WaitAsync(PollMode.Read, cancellationToken);

    /// <summary>Waits until a write will not block.</summary>
    /// <inheritdoc cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)" path="/exception"/>
    public ValueTask WaitWritableAsync(CancellationToken cancellationToken = default) => WaitAsync(PollMode.Write, cancellationToken);

    /// <summary>Sets when reads and writes stop waiting: those in progress and all later ones. Go: <c>SetDeadline</c>.</summary>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    public void SetDeadline(Deadline deadline) => Set(PollMode.Both, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for reads.</summary>
    public void SetReadDeadline(Deadline deadline) => Set(PollMode.Read, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for writes.</summary>
    public void SetWriteDeadline(Deadline deadline) => Set(PollMode.Write, deadline);

    /// <summary>How long until a direction's deadline: null when it has none, zero when it has passed.</summary>
    /// <param name="mode">Read or Write.</param>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    public TimeSpan? TimeLeft(PollMode mode)
    {
        ThrowUnless(OperationOutcome.From(_fd.TimeLeft(mode, out TimeSpan? left)), "look at the deadline of");
        return left;
    }

    /// <summary>Sends the FIN: the peer reads the end of the stream, we may still read.</summary>
    public void CloseWrite() => Shutdown(PollMode.Write);

    /// <summary>Later reads find the end of the stream.</summary>
    public void CloseRead() => Shutdown(PollMode.Read);

    /// <summary>Whether small writes leave at once, which is the default here, or are gathered (Nagle). Unix domain sockets gather nothing.</summary>
    public void SetNoDelay(bool noDelay) => Set(SocketSetting.NoDelay, noDelay ? 1 : 0);

    /// <summary>
    /// Whether the system probes an idle connection, and when it gives up. Does nothing on a Unix domain socket, whose peer cannot vanish unseen.
    /// </summary>
    /// <param name="keepAlive">Null for no probes.</param>
    public void SetKeepAlive(KeepAlive? keepAlive)
    {
        if (keepAlive is { } wanted)
        {
            // Refused before anything is changed.
            int time = Seconds(wanted.Time, nameof(wanted.Time));
            int interval = Seconds(wanted.Interval, nameof(wanted.Interval));
            ArgumentOutOfRangeException.ThrowIfLessThan(wanted.Probes, 1, nameof(wanted.Probes));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(wanted.Probes, MaxProbes, nameof(wanted.Probes));
            Set(SocketSetting.KeepAliveTimeSeconds, time);
            Set(SocketSetting.KeepAliveIntervalSeconds, interval);
            Set(SocketSetting.KeepAliveProbes, wanted.Probes);
        }

        Set(SocketSetting.KeepAlive, keepAlive is null ? 0 : 1);
    }

    /// <summary>
    /// How long sent bytes may stay unacknowledged before the system gives the connection up (TCP_USER_TIMEOUT). Does nothing on a Unix domain
    /// socket, whose bytes arrive when they are sent.
    /// </summary>
    /// <param name="timeout">Null for the system's default, which is about a quarter of an hour; else 1 ms or more.</param>
    public void SetUserTimeout(TimeSpan? timeout)
    {
        if (timeout is { } value)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.FromMilliseconds(1), nameof(timeout));
        }

        Set(SocketSetting.UserTimeoutMilliseconds, (int)Math.Min(timeout?.TotalMilliseconds ?? 0, int.MaxValue));
    }

    /// <summary>What closing does with unsent bytes.</summary>
    /// <param name="linger">
    /// Null, the default: the system sends them. Zero: they are thrown away, and the peer sees a reset. More: the system gives up after so long,
    /// in whole seconds, rounded up, 32767 at most, and <see cref="CloseAsync"/> completes when all is acknowledged or that is over; a thread of the
    /// thread pool waits for it. Less than zero is refused, <see cref="Timeout.InfiniteTimeSpan"/> too: taken for zero it would throw bytes away.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The time is less than zero.</exception>
    public void SetLinger(TimeSpan? linger)
    {
        if (linger is { } value && value < TimeSpan.Zero)
        {
            throw new ArgumentOutOfRangeException(nameof(linger), value, "Expected zero or more, or null for what the system does by itself.");
        }

        Set(SocketSetting.LingerSeconds, linger is null ? -1 : linger == TimeSpan.Zero ? 0 : Seconds(linger.Value, nameof(linger)));
    }

    /// <summary>Asks for a size of the system's send buffer, in bytes.</summary>
    public void SetSendBuffer(int bytes) => Set(SocketSetting.SendBufferBytes, Positive(bytes));

    /// <summary>Asks for a size of the system's receive buffer, in bytes.</summary>
    public void SetReceiveBuffer(int bytes) => Set(SocketSetting.ReceiveBufferBytes, Positive(bytes));

    /// <summary>Calls somebody with the system's number, which stays this connection's for the length of the call. Go: <c>RawConn.Control</c>.</summary>
    public void RawControl(Action<int> control)
    {
        ArgumentNullException.ThrowIfNull(control);
        ThrowUnless(_fd.RawControl(control), "control");
    }

    /// <summary>
    /// Calls somebody with the system's number until he returns true, waiting for readability in between. Go: <c>RawConn.Read</c>.
    /// </summary>
    /// <param name="attempt">
    /// One non-blocking attempt; false when it would block. Called on the caller's thread at first; after a wait there again if that is a poller's,
    /// else on the thread pool.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <inheritdoc cref="ReadAsync" path="/exception"/>
    public ValueTask RawReadAsync(Func<int, bool> attempt, CancellationToken cancellationToken = default) =>
        RawAsync(PollMode.Read, attempt, cancellationToken);

    /// <summary>As <see cref="RawReadAsync"/>, for writing. Go: <c>RawConn.Write</c>.</summary>
    public ValueTask RawWriteAsync(Func<int, bool> attempt, CancellationToken cancellationToken = default) =>
        RawAsync(PollMode.Write, attempt, cancellationToken);

    /// <summary>This connection as a stream, which closes it when it is disposed.</summary>
    public Stream AsStream() => new NetConnectionStream(this);

    /// <summary>This connection as a pair of pipes. Completing the output sends the FIN; completing both closes the connection.</summary>
    /// <remarks>
    /// What the output has not flushed is sent before the FIN: <c>CompleteAsync</c> waits for that and tells how it ended, <c>Complete</c> blocks. On a
    /// poller's thread <c>Complete</c> returns at once, and the rest follows as the peer takes it; should that fail, as by the write deadline, the
    /// connection is reset: the peer must not take a part for all, and our own input tells of it.
    /// </remarks>
    public IDuplexPipe AsPipe() => new NetConnectionPipe(this);

    /// <summary>Ends waiting operations as closed; completes when the descriptor's number is released. Harmless when closed.</summary>
    public Task CloseAsync() => DisposeAsync().AsTask();

    /// <summary>Begins to close and does not wait: the last operation in progress releases the number.</summary>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        _ = _fd.CloseAsync();
    }

    /// <inheritdoc cref="CloseAsync"/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return new ValueTask(_fd.CloseAsync());
    }

    /// <summary>Ends this connection and gives its open socket to a layer above; null when it is closed already.</summary>
    internal Task<PollableSocket?> DetachAsync()
    {
#pragma warning disable CA1816 // It ends here, as by a dispose.
        GC.SuppressFinalize(this);
#pragma warning restore CA1816
        return _fd.DetachAsync();
    }

    private static int Seconds(TimeSpan value, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero, name);
        return (int)Math.Min(Math.Ceiling(value.TotalSeconds), MaxSeconds);
    }

    private static int Positive(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        return bytes;
    }

    private bool Finish(OperationOutcome outcome, string operation, long? writtenBefore, out int count)
    {
        count = outcome.Io.Count;
        if (outcome.IsSuccess)
        {
            return true;
        }

        return outcome.Io.WouldBlock ? false : throw _fd.ToException(outcome, operation, writtenBefore);
    }

    private async ValueTask WaitAsync(PollMode mode, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ThrowUnless(await _fd.WaitReadyAsync(mode, cancellationToken).BackToPoller(), "wait for", cancellationToken);
    }

    private async ValueTask RawAsync(PollMode mode, Func<int, bool> attempt, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(attempt);
        cancellationToken.ThrowIfCancellationRequested();
        OperationOutcome outcome = await _fd.RawAsync(mode, attempt, cancellationToken).BackToPoller();
        ThrowUnless(outcome, mode == PollMode.Read ? "read" : "write", cancellationToken);
    }

    private void Shutdown(PollMode mode) => ThrowUnless(_fd.Shutdown(mode), "shut down");

    private void Set(PollMode mode, Deadline deadline) => ThrowUnless(OperationOutcome.From(_fd.SetDeadline(mode, deadline)), "set deadline");

    private void Set(SocketSetting setting, int value) => ThrowUnless(_fd.SetOption(setting, value), $"set {setting}");

    private void ThrowUnless(OperationOutcome outcome, string operation, CancellationToken cancellationToken = default)
    {
        if (outcome.IsCancelled)
        {
            throw new OperationCanceledException(cancellationToken);
        }

        if (!outcome.IsSuccess)
        {
            throw _fd.ToException(outcome, operation);
        }
    }
}

/// <summary>How the system probes an idle connection.</summary>
/// <param name="Time">Silence before the first probe, in whole seconds, rounded up, 32767 at most.</param>
/// <param name="Interval">Time between probes, in whole seconds, rounded up, 32767 at most.</param>
/// <param name="Probes">Probes without an answer before the system gives the connection up, 1 to 127.</param>
public readonly record struct KeepAlive(TimeSpan Time, TimeSpan Interval, int Probes);
