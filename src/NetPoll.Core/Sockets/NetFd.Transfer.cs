using NetPoll.Core.Backends;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Sockets;

/// <content>Reading and writing, in the form that tries and the form that waits.</content>
internal sealed partial class NetFd
{
    // One operation object a direction is kept; a second one lives only where a new operation starts before the last result was taken.
    private ReadOperation? _idleRead;
    private WriteOperation? _idleWrite;

    // Under the read lock: the last read found the end of what was there, so the next one may park without asking the system. An edge
    // that comes after that read is latched in the slot, since nothing prepares the slot in between.
    private bool _isDrained;

    /// <summary>Reads what is there, or waits for it. Go: <c>FD.Read</c>.</summary>
    /// <returns>Bytes; 0 at the end of the stream or for an empty buffer.</returns>
    internal ValueTask<int> ReadAsync(Memory<byte> buffer) => _mutex.TryLock(PollMode.Read) ? ReadLocked(buffer) : ReadWhenLocked(buffer);

    /// <summary>Reads what is there.</summary>
    /// <returns>WouldBlock when nothing is there, or another read is in progress.</returns>
    internal OperationOutcome TryRead(Span<byte> buffer)
    {
        if (!_mutex.TryLock(PollMode.Read))
        {
            return Occupied();
        }

        try
        {
            PollResult prepared = buffer.IsEmpty ? PollResult.Ready : Descriptor.Prepare(PollMode.Read);
            return prepared != PollResult.Ready ? OperationOutcome.From(prepared)
                : OperationOutcome.From(buffer.IsEmpty ? IoResult.Success : ReadOnce(buffer));
        }
        finally
        {
            Unlock(PollMode.Read);
        }
    }

    /// <summary>Writes all of it, waiting where need be. Writes of several callers never mix. Go: <c>FD.Write</c>.</summary>
    internal ValueTask WriteAsync(ReadOnlyMemory<byte> buffer) => _mutex.TryLock(PollMode.Write) ? WriteLocked(buffer) : WriteWhenLocked(buffer);

    /// <summary>Writes what the system takes now.</summary>
    /// <returns>WouldBlock when it takes nothing, or another write is in progress.</returns>
    internal OperationOutcome TryWrite(ReadOnlySpan<byte> buffer)
    {
        if (!_mutex.TryLock(PollMode.Write))
        {
            return Occupied();
        }

        try
        {
            PollResult prepared = Descriptor.Prepare(PollMode.Write);
            return prepared != PollResult.Ready
                ? OperationOutcome.From(prepared)
                : OperationOutcome.From(_socket.Write(buffer));
        }
        finally
        {
            Unlock(PollMode.Write);
        }
    }

    /// <summary>One read, under the read lock.</summary>
    internal IoResult ReadOnce(Span<byte> buffer)
    {
        IoResult result = _socket.Read(buffer);

        // A short read is the end only while no hang-up was reported: otherwise the FIN that came with these bytes would be lost.
        _isDrained = result.WouldBlock || (result.Count > 0 && result.Count < buffer.Length && !Descriptor.HangupSeen);
        return result;
    }

    /// <summary>Writes until all is taken or the system takes no more, under the write lock.</summary>
    /// <returns>Success when all is taken; WouldBlock to come back; else the error, with <paramref name="written"/> telling how far it got.</returns>
    /// <exception cref="IOException">The system contradicts itself: it took more than it was offered, or nothing without an error.</exception>
    internal IoResult WriteAll(ReadOnlySpan<byte> buffer, ref int written)
    {
        do
        {
            IoResult result = _socket.Write(buffer[written..]);
            if (!result.IsSuccess)
            {
                return result;
            }

            if (result.Count > buffer.Length - written)
            {
                throw new IOException($"The system took {result.Count} bytes where {buffer.Length - written} were offered.");
            }

            if (result.Count == 0 && buffer.Length > 0)
            {
                throw new EndOfStreamException($"The system took no more after {written} of {buffer.Length} bytes, and told no error.");
            }

            written += result.Count;
        }
        while (written < buffer.Length);

        return IoResult.Success;
    }

    internal void ReturnReadOperation(ReadOperation operation) => Volatile.Write(ref _idleRead, operation);

    internal void ReturnWriteOperation(WriteOperation operation) => Volatile.Write(ref _idleWrite, operation);

    private ValueTask<int> ReadLocked(Memory<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            Unlock(PollMode.Read);
            return new ValueTask<int>(0);
        }

        if (!_isDrained)
        {
            OperationOutcome outcome = ReadFirst(buffer);
            if (!outcome.Io.WouldBlock)
            {
                Unlock(PollMode.Read);
                return outcome.IsSuccess
                    ? new ValueTask<int>(outcome.Io.Count)
                    : ValueTask.FromException<int>(ToException(outcome, "read"));
            }
        }

        ReadOperation operation = Interlocked.Exchange(ref _idleRead, null) ?? new ReadOperation(this);
        return operation.Begin(buffer);
    }

    private OperationOutcome ReadFirst(Memory<byte> buffer)
    {
        PollResult prepared = Descriptor.Prepare(PollMode.Read);
        if (prepared != PollResult.Ready)
        {
            return OperationOutcome.From(prepared);
        }

        try
        {
            return OperationOutcome.From(ReadOnce(buffer.Span));
        }
#pragma warning disable CA1031 // The exception is the caller's, who gets it with the result, after the lock was left.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    private async ValueTask<int> ReadWhenLocked(Memory<byte> buffer)
    {
        if (!await LockAsync(PollMode.Read))
        {
            throw ToException(OperationOutcome.From(PollResult.Closing), "read");
        }

        return await ReadLocked(buffer);
    }

    private ValueTask WriteLocked(ReadOnlyMemory<byte> buffer)
    {
        int written = 0;
        OperationOutcome outcome = WriteFirst(buffer, ref written);
        if (outcome.Io.WouldBlock)
        {
            WriteOperation operation = Interlocked.Exchange(ref _idleWrite, null) ?? new WriteOperation(this);
            return operation.Begin(buffer, written);
        }

        Unlock(PollMode.Write);
        return outcome.IsSuccess ? ValueTask.CompletedTask : ValueTask.FromException(ToException(outcome, "write", written));
    }

    private OperationOutcome WriteFirst(ReadOnlyMemory<byte> buffer, ref int written)
    {
        PollResult prepared = Descriptor.Prepare(PollMode.Write);
        if (prepared != PollResult.Ready)
        {
            return OperationOutcome.From(prepared);
        }

        try
        {
            return OperationOutcome.From(WriteAll(buffer.Span, ref written));
        }
#pragma warning disable CA1031 // As for reads.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    private async ValueTask WriteWhenLocked(ReadOnlyMemory<byte> buffer)
    {
        if (!await LockAsync(PollMode.Write))
        {
            throw ToException(OperationOutcome.From(PollResult.Closing), "write");
        }

        await WriteLocked(buffer);
    }

    // The lock was not free: closed, or somebody else's for now.
    private OperationOutcome Occupied()
    {
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        RemoveReference();
        return OperationOutcome.From(IoResult.Failure(Errno.EAGAIN));
    }
}
