using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using NetPoll.Core.Backends;
using NetPoll.Core.Diagnostics;
using NetPoll.Core.Scheduling;
using NetPoll.Core.Sockets;

namespace NetPoll.Core;

/// <summary>
/// Any descriptor on a poller: a pipe or FIFO, a terminal, an eventfd, a device, a socket of a kind of its own, a file. On Linux, with the epoll
/// backend. Every member may be called from any thread.
/// </summary>
/// <remarks>
/// What the system cannot watch, as a regular file or <c>/dev/null</c> (<see cref="IsPollable"/> is false), is read and written by threads of the
/// pool, never a poller's: such an operation ends when the system ends it, and there are no deadlines. Reads and writes queue as those of a
/// <see cref="NetConnection"/>. Go: <c>os.File</c>.
/// </remarks>
public sealed class NetDescriptor : IByteStream, IAsyncDisposable, IDisposable
{
    private readonly string _name;
    private readonly FileAccess _access;
    private readonly ILogger _logger;

    // One of the two.
    private readonly NetFd? _fd;
    private readonly BlockingFd? _file;

    private NetDescriptor(AdoptedFile adopted, ILogger logger, NetFd? fd)
    {
        _name = adopted.File.Name!;
        _access = adopted.Access;
        _logger = logger;
        _fd = fd;
        _file = fd is null ? new BlockingFd(adopted.File) { Owner = this } : null;
        if (fd is not null)
        {
            fd.Owner = this;
        }
    }

    /// <summary>Closes a descriptor that its user forgot.</summary>
    ~NetDescriptor()
    {
        Log.DescriptorForgotten(_logger, _name);
        _ = EndAsync();
    }

    /// <summary>The poller that watches it; null where <see cref="IsPollable"/> is false.</summary>
    public Poller? Poller => _fd?.Poller;

    /// <summary>Whether the system tells when it is ready. Otherwise there are no deadlines and no waits, and closing ends no operation.</summary>
    public bool IsPollable => _fd is not null;

    /// <summary>Whether it was opened for reading.</summary>
    public bool CanRead => _access.HasFlag(FileAccess.Read);

    /// <summary>Whether it was opened for writing.</summary>
    public bool CanWrite => _access.HasFlag(FileAccess.Write);

    /// <inheritdoc/>
    bool IByteStream.CanTimeout => IsPollable;

    /// <summary>Takes a descriptor over.</summary>
    /// <param name="handle">
    /// The descriptor's from here on: what it is open on gets another number, close-on-exec, and the handle is disposed, which closes the number
    /// that it owns, if it owns it. After an <see cref="ArgumentException"/> it still is the caller's.
    /// </param>
    /// <param name="group">Where it lives; null for the default group.</param>
    /// <exception cref="ArgumentException">The handle is closed or invalid, or nothing is open under its number, which the message names.</exception>
    /// <exception cref="IOException">The system refuses; what was open is closed.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend has none but sockets.</exception>
    /// <remarks>
    /// What is watched becomes non-blocking (O_NONBLOCK), which is a property of the open file: every process that shares it, as a parent that
    /// passed it on, finds its own reads and writes refused where they would wait. A terminal is spared that: it is opened anew where that is
    /// allowed. Go: <c>os.NewFile</c>.
    /// </remarks>
    public static NetDescriptor Adopt(SafeHandle handle, PollerGroup? group = null)
    {
        ArgumentNullException.ThrowIfNull(handle);
        group ??= PollerGroup.Default;
        group.Start();
        return Open(group, group.Platform.AdoptFile(handle));
    }

    /// <summary>Makes a pipe: what is written at one end is read at the other.</summary>
    /// <param name="group">Where both ends live; null for the default group.</param>
    /// <exception cref="IOException">The system is out of descriptors.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend has no pipes.</exception>
    public static (NetDescriptor Reader, NetDescriptor Writer) CreatePipe(PollerGroup? group = null)
    {
        group ??= PollerGroup.Default;
        group.Start();
        IoResult made = group.Platform.CreatePipe(out AdoptedFile reader, out AdoptedFile writer);
        if (!made.IsSuccess)
        {
            throw made.ToException("pipe");
        }

        NetDescriptor? first = null;
        try
        {
            first = Open(group, reader);
            return (first, Open(group, writer));
        }
        catch
        {
            if (first is null)
            {
                _ = writer.File.Close();
            }

            first?.Dispose();
            throw;
        }
    }

    /// <summary>Reads what is there, or waits until something is. An eventfd gives 8 bytes, its count, and fails for a smaller buffer.</summary>
    /// <param name="buffer">Not touched after the task has completed. An empty one completes at once.</param>
    /// <param name="cancellationToken">
    /// Ends this wait and touches nothing else; readiness that came first wins. A read of what is not pollable goes on once it has begun.
    /// </param>
    /// <returns>Bytes read; 0 at the end: of a file, or of a pipe that nobody has open for writing.</returns>
    /// <exception cref="DeadlineExceededException">The read deadline has passed; nothing was consumed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; nothing was consumed.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    /// <exception cref="NotSupportedException">It was not opened for reading.</exception>
    /// <exception cref="IOException">
    /// The system's error, as that of a pseudo terminal whose other side is closed (errno 5); the inner exception has it, the message names the
    /// descriptor.
    /// </exception>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowUnless(CanRead, "reading");
        return cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled<int>(cancellationToken)
            : _fd is not null ? _fd.ReadAsync(buffer, cancellationToken)
            : _file!.ReadAsync(buffer, cancellationToken);
    }

    /// <summary>Writes all of the buffer, waiting while there is no room. To an eventfd 8 bytes, which are added to its count.</summary>
    /// <param name="buffer">Must not change until the task has completed.</param>
    /// <param name="cancellationToken">Ends the wait; what was written before stays written.</param>
    /// <exception cref="DeadlineExceededException">The write deadline has passed; it tells how many bytes had been written.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; part may have been written.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    /// <exception cref="NotSupportedException">It was not opened for writing.</exception>
    /// <exception cref="WriteFailedException">
    /// The system's error, as that of a pipe that nobody reads any more (errno 32; no signal); it tells how many bytes had been written.
    /// </exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowUnless(CanWrite, "writing");
        return cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken)
            : _fd is not null ? _fd.WriteAsync(buffer, cancellationToken)
            : _file!.WriteAsync(new[] { buffer }, cancellationToken);
    }

    /// <summary>Writes several buffers in order, with nothing of another writer in this process in between.</summary>
    /// <param name="buffers">Neither the list nor the bytes may change until the task has completed.</param>
    /// <param name="cancellationToken">Ends the wait; what was written before stays written.</param>
    /// <inheritdoc cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)" path="/exception"/>
    public ValueTask WriteVectoredAsync(ReadOnlyMemory<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken = default)
    {
        ThrowUnless(CanWrite, "writing");
        return cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken)
            : _fd is not null ? _fd.WriteAsync(buffers, cancellationToken)
            : _file!.WriteAsync(buffers, cancellationToken);
    }

    /// <summary>Reads what is there, without waiting.</summary>
    /// <returns>False when nothing is there, or another read is waiting.</returns>
    /// <exception cref="NotSupportedException">It was not opened for reading, or is not pollable: nobody can tell whether it would wait.</exception>
    /// <inheritdoc cref="ReadAsync" path="/exception[@cref='T:System.ObjectDisposedException' or @cref='T:System.IO.IOException']"/>
    public bool TryRead(Span<byte> buffer, out int bytesRead)
    {
        ThrowUnless(CanRead, "reading");
        return Finish(Polled().TryRead(buffer), "read", null, out bytesRead);
    }

    /// <summary>Writes what the system takes at once, without waiting.</summary>
    /// <returns>False when it takes nothing, or another write is waiting.</returns>
    /// <exception cref="NotSupportedException">It was not opened for writing, or is not pollable: nobody can tell whether it would wait.</exception>
    /// <inheritdoc cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)" path="/exception[@cref='T:System.ObjectDisposedException' or @cref='T:NetPoll.Core.WriteFailedException']"/>
    public bool TryWrite(ReadOnlySpan<byte> buffer, out int bytesWritten)
    {
        ThrowUnless(CanWrite, "writing");
        return Finish(Polled().TryWrite(buffer), "write", 0, out bytesWritten);
    }

    /// <summary>Waits until a read will not wait. The end and an error count; so does, where it was opened for writing, that nobody reads it any more.</summary>
    /// <exception cref="NotSupportedException">It is not pollable.</exception>
    /// <inheritdoc cref="ReadAsync" path="/exception[@cref!='T:System.NotSupportedException']"/>
    public ValueTask WaitReadableAsync(CancellationToken cancellationToken = default) => WaitAsync(PollMode.Read, cancellationToken);

    /// <summary>Waits until a write will not wait.</summary>
    /// <exception cref="NotSupportedException">It is not pollable.</exception>
    /// <inheritdoc cref="ReadAsync" path="/exception[@cref!='T:System.NotSupportedException']"/>
    public ValueTask WaitWritableAsync(CancellationToken cancellationToken = default) => WaitAsync(PollMode.Write, cancellationToken);

    /// <inheritdoc/>
    ValueTask IByteStream.WaitReadableAsync(CancellationToken cancellationToken) =>
        IsPollable ? WaitReadableAsync(cancellationToken) : ValueTask.CompletedTask;

    /// <summary>Sets when reads and writes stop waiting: those in progress and all later ones. Go: <c>File.SetDeadline</c>.</summary>
    /// <exception cref="NotSupportedException">It is not pollable; nothing is kept. Go: <c>ErrNoDeadline</c>.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public void SetDeadline(Deadline deadline) => Set(PollMode.Both, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for reads.</summary>
    public void SetReadDeadline(Deadline deadline) => Set(PollMode.Read, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for writes.</summary>
    public void SetWriteDeadline(Deadline deadline) => Set(PollMode.Write, deadline);

    /// <summary>How long until a direction's deadline: null when it has none, zero when it has passed.</summary>
    /// <param name="mode">Read or Write.</param>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public TimeSpan? TimeLeft(PollMode mode)
    {
        TimeSpan? left = null;
        if (_fd is not null)
        {
            ThrowUnless(OperationOutcome.From(_fd.TimeLeft(mode, out left)), "look at the deadline of");
        }

        return left;
    }

    /// <summary>Calls somebody with the system's number, which stays this descriptor's for the length of the call. Go: <c>RawConn.Control</c>.</summary>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public void RawControl(Action<int> control)
    {
        ArgumentNullException.ThrowIfNull(control);
        ThrowUnless(_fd is not null ? _fd.RawControl(control) : _file!.RawControl(control), "control");
    }

    /// <summary>
    /// Calls somebody with the system's number until he returns true, waiting for readability in between. Go: <c>RawConn.Read</c>.
    /// </summary>
    /// <param name="attempt">
    /// One non-blocking attempt; false when it would block. Called on the caller's thread at first; after a wait there again if that is a poller's,
    /// else on the thread pool.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="NotSupportedException">It is not pollable.</exception>
    /// <inheritdoc cref="ReadAsync" path="/exception[@cref!='T:System.NotSupportedException']"/>
    public ValueTask RawReadAsync(Func<int, bool> attempt, CancellationToken cancellationToken = default) =>
        RawAsync(PollMode.Read, attempt, cancellationToken);

    /// <summary>As <see cref="RawReadAsync"/>, for writing. Go: <c>RawConn.Write</c>.</summary>
    public ValueTask RawWriteAsync(Func<int, bool> attempt, CancellationToken cancellationToken = default) =>
        RawAsync(PollMode.Write, attempt, cancellationToken);

    /// <summary>This descriptor as a stream, which closes it when it is disposed. It seeks nowhere and has no length, whatever is open.</summary>
    public Stream AsStream() => new NetConnectionStream(this);

    /// <summary>
    /// Ends waiting operations as closed; completes when the number is released. Where it is not pollable it waits for nobody: the last operation
    /// in progress releases the number. Harmless when closed.
    /// </summary>
    public Task CloseAsync() => DisposeAsync().AsTask();

    /// <summary>Begins to close and does not wait.</summary>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        _ = EndAsync();
    }

    /// <inheritdoc cref="CloseAsync"/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return new ValueTask(EndAsync());
    }

    /// <summary>The number and what is open under it, where the system tells: <c>descriptor 5 (pipe:[4711])</c>.</summary>
    public override string ToString() => _name;

    private static NetDescriptor Open(PollerGroup group, AdoptedFile adopted)
    {
        Poller poller;
        try
        {
            poller = group.Choose();
        }
        catch (ObjectDisposedException)
        {
            _ = adopted.File.Close();
            throw;
        }

        IoResult result = NetFd.Open(poller, adopted.File, out NetFd? fd);
        if (result.IsNotPollable)
        {
            return new NetDescriptor(adopted, poller.Logger, fd: null);
        }

        if (result.IsSuccess)
        {
            // Not before: what cannot be watched is left as it is, and nobody reads yet.
            result = adopted.File.SetNonBlocking();
            if (result.IsSuccess)
            {
                return new NetDescriptor(adopted, poller.Logger, fd);
            }

            _ = fd!.CloseAsync();
        }
        else
        {
            _ = adopted.File.Close();
        }

        throw result.ToException($"watch {adopted.File.Name}");
    }

    private Task EndAsync()
    {
        if (_fd is not null)
        {
            return _fd.CloseAsync();
        }

        _file!.Close();
        return Task.CompletedTask;
    }

    private NetFd Polled() => _fd ?? throw new NotSupportedException(
        $"{_name} cannot be watched, so it has neither deadlines nor waits: the system answers each read and write at its own time.");

    private bool Finish(OperationOutcome outcome, string operation, long? writtenBefore, out int count)
    {
        count = outcome.Io.Count;
        return outcome.IsSuccess || (outcome.Io.WouldBlock ? false : throw _fd!.ToException(outcome, operation, writtenBefore));
    }

    private async ValueTask WaitAsync(PollMode mode, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ThrowUnless(await Polled().WaitReadyAsync(mode, cancellationToken).BackToPoller(), "wait for", cancellationToken);
    }

    private async ValueTask RawAsync(PollMode mode, Func<int, bool> attempt, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(attempt);
        cancellationToken.ThrowIfCancellationRequested();
        OperationOutcome outcome = await Polled().RawAsync(mode, attempt, cancellationToken).BackToPoller();
        ThrowUnless(outcome, mode == PollMode.Read ? "read" : "write", cancellationToken);
    }

    private void Set(PollMode mode, Deadline deadline) => ThrowUnless(OperationOutcome.From(Polled().SetDeadline(mode, deadline)), "set deadline");

    private void ThrowUnless(bool isAllowed, string what)
    {
        if (!isAllowed)
        {
            throw new NotSupportedException($"{_name} was not opened for {what}.");
        }
    }

    private void ThrowUnless(OperationOutcome outcome, string operation, CancellationToken cancellationToken = default)
    {
        if (outcome.IsCancelled)
        {
            throw new OperationCanceledException(cancellationToken);
        }

        if (!outcome.IsSuccess)
        {
            throw outcome.ToException(operation, _name);
        }
    }
}
