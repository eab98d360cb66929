using System.Net;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;

namespace NetPoll.Core;

/// <summary>A TCP connection on a poller. Every member may be called from any thread.</summary>
/// <remarks>
/// An awaited operation that was begun on a poller's thread comes back to that thread. At most one read and one write are in progress at a
/// time; others queue. A waiting operation holds no thread. Go: <c>net.TCPConn</c>.
/// </remarks>
public sealed class NetConnection : IAsyncDisposable, IDisposable
{
    private readonly NetFd _fd;

    internal NetConnection(NetFd fd) => _fd = fd;

    /// <summary>The poller that watches this connection.</summary>
    public Poller Poller => _fd.Poller;

    /// <summary>Our side's address.</summary>
    public IPEndPoint? LocalEndPoint => _fd.LocalEndPoint;

    /// <summary>The peer's address.</summary>
    public IPEndPoint? RemoteEndPoint => _fd.RemoteEndPoint;

    internal NetFd Fd => _fd;

    /// <summary>Reads what is there, or waits until something is.</summary>
    /// <param name="buffer">Not touched after the task has completed. An empty one completes at once.</param>
    /// <returns>Bytes read; 0 when the peer has ended its side.</returns>
    /// <exception cref="DeadlineExceededException">The read deadline has passed; nothing was consumed.</exception>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    /// <exception cref="IOException">The connection is broken; the inner exception has the system's error.</exception>
    public ValueTask<int> ReadAsync(Memory<byte> buffer) => _fd.ReadAsync(buffer);

    /// <summary>Writes all of the buffer, waiting while the peer does not take it.</summary>
    /// <param name="buffer">Must not change until the task has completed.</param>
    /// <exception cref="DeadlineExceededException">The write deadline has passed; it tells how many bytes had been written.</exception>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    /// <exception cref="IOException">The connection is broken; the inner exception has the system's error.</exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer) => _fd.WriteAsync(buffer);

    /// <summary>Reads what is there, without waiting.</summary>
    /// <returns>False when nothing is there, or another read is waiting.</returns>
    /// <inheritdoc cref="ReadAsync" path="/exception"/>
    public bool TryRead(Span<byte> buffer, out int bytesRead) => Finish(_fd.TryRead(buffer), "read", out bytesRead);

    /// <summary>Writes what the system takes at once, without waiting.</summary>
    /// <returns>False when it takes nothing, or another write is waiting.</returns>
    /// <inheritdoc cref="WriteAsync" path="/exception"/>
    public bool TryWrite(ReadOnlySpan<byte> buffer, out int bytesWritten) => Finish(_fd.TryWrite(buffer), "write", out bytesWritten);

    /// <summary>Sets when reads and writes stop waiting: those in progress and all later ones.</summary>
    /// <exception cref="ObjectDisposedException">The connection was closed.</exception>
    public void SetDeadline(Deadline deadline) => Set(PollMode.Both, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for reads.</summary>
    public void SetReadDeadline(Deadline deadline) => Set(PollMode.Read, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for writes.</summary>
    public void SetWriteDeadline(Deadline deadline) => Set(PollMode.Write, deadline);

    /// <summary>Sends the FIN: the peer reads the end of the stream, we may still read.</summary>
    public void CloseWrite()
    {
        OperationOutcome outcome = _fd.Shutdown(PollMode.Write);
        if (!outcome.IsSuccess)
        {
            throw _fd.ToException(outcome, "shut down");
        }
    }

    /// <summary>Whether small writes leave at once, which is the default here, or are gathered (Nagle).</summary>
    public void SetNoDelay(bool noDelay) => Set(SocketSetting.NoDelay, noDelay ? 1 : 0);

    /// <summary>Whether closing resets the connection and throws away what is unsent.</summary>
    public void SetResetOnClose(bool reset) => Set(SocketSetting.ResetOnClose, reset ? 1 : 0);

    /// <summary>Ends waiting operations as closed; completes when the descriptor's number is released. Harmless when closed.</summary>
    public Task CloseAsync() => _fd.CloseAsync();

    /// <summary>Begins to close and does not wait: the last operation in progress releases the number.</summary>
    public void Dispose() => _ = _fd.CloseAsync();

    /// <inheritdoc cref="CloseAsync"/>
    public ValueTask DisposeAsync() => new(_fd.CloseAsync());

    private bool Finish(OperationOutcome outcome, string operation, out int count)
    {
        count = outcome.Io.Count;
        if (outcome.IsSuccess)
        {
            return true;
        }

        return outcome.Io.WouldBlock ? false : throw _fd.ToException(outcome, operation);
    }

    private void Set(PollMode mode, Deadline deadline)
    {
        PollResult result = _fd.SetDeadline(mode, deadline);
        if (result != PollResult.Ready)
        {
            throw _fd.ToException(OperationOutcome.From(result), "set deadline");
        }
    }

    private void Set(SocketSetting setting, int value)
    {
        OperationOutcome outcome = _fd.SetOption(setting, value);
        if (!outcome.IsSuccess)
        {
            throw _fd.ToException(outcome, $"set {setting}");
        }
    }
}
