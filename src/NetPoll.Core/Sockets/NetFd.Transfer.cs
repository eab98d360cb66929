using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Sockets;

/// <content>Reading and writing, in the form that tries and the form that waits.</content>
internal sealed partial class NetFd
{
    // One operation of each kind is kept, and used again and again; a second one lives only where a new operation starts before the last result
    // was taken. Written under the direction's lock, once.
    private ReadOperation? _read;
    private WriteOperation? _write;
    private VectoredWriteOperation? _vectoredWrite;

    // Under the read lock: the last read found the end of what was there, so the next one may park without asking the system. An edge
    // that comes after that read is latched in the slot, since nothing prepares the slot in between.
    private bool _isDrained;

    /// <summary>Reads what is there, or waits for it. Go: <c>FD.Read</c>.</summary>
    /// <returns>Bytes; 0 at the end of the stream or for an empty buffer.</returns>
    internal ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => _mutex.TryLock(PollMode.Read)
        ? ReadLocked(buffer, cancellationToken)
        : ReadWhenLocked(buffer, cancellationToken);

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
                : OperationOutcome.From(buffer.IsEmpty ? IoResult.Success : ReadApart(buffer));
        }
        finally
        {
            Unlock(PollMode.Read);
        }
    }

    /// <summary>Writes all of it, waiting where need be. Writes of several callers never mix. Go: <c>FD.Write</c>.</summary>
    internal ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => _mutex.TryLock(PollMode.Write)
        ? WriteLocked(buffer, cancellationToken)
        : WriteWhenLocked(buffer, cancellationToken);

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
                : OperationOutcome.From(WriteApart(buffer));
        }
        finally
        {
            Unlock(PollMode.Write);
        }
    }

    /// <summary>The next read asks the system before it waits. Under the read lock.</summary>
    internal void ForgetDrained() => _isDrained = false;

    /// <summary>One read, under the read lock.</summary>
    internal IoResult ReadOnce(Span<byte> buffer)
    {
        // Asked before the call and not after it: where a system call empties the translation buffers, the answer would be waited for. A
        // hang-up that is reported in between marks the slot too, so the next read does not park. For that the slot's preparation must be
        // seen before this look; on the poller's thread, where hang-ups are reported, it always is.
        // Proof: NetFdTests, A_hang_up_that_is_reported_while_a_short_read_runs_is_not_lost.
        if (!Poller.IsCurrent)
        {
            Interlocked.MemoryBarrier();
        }

        bool mayReadShort = Descriptor.MayReadShort;
        IoResult result = _socket.Read(buffer);

        // A short read is the end only while no hang-up was reported, or the FIN that came with these bytes would be lost, and no urgent
        // mark, at which the system stops though more is there.
        _isDrained = result.WouldBlock || (result.Count > 0 && result.Count < buffer.Length && !mayReadShort);
        return result;
    }

    /// <summary>Writes until all is taken or the system takes no more, under the write lock.</summary>
    /// <returns>
    /// Success when all is taken; WouldBlock or Unfinished to come back; else the error, with <paramref name="written"/> telling how far it got.
    /// </returns>
    /// <exception cref="WriteFailedException">The system contradicts itself: it took more than it was offered, or nothing without an error.</exception>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal IoResult WriteAll(ReadOnlySpan<byte> buffer, ref int written) => WriteAll(buffer, ref written, inThisTurn: 0);

    private IoResult WriteAll(ReadOnlySpan<byte> buffer, ref int written, int inThisTurn)
    {
        // A peer that reads as fast as we write would hold the poller's thread until the last byte.
        bool isShared = buffer.Length > Poller.BytesPerShare && Poller.IsCurrent;
        long limit = isShared ? written - inThisTurn + (long)Poller.BytesPerShare : long.MaxValue;
        do
        {
            if (written >= limit)
            {
                return IoResult.Unfinished;
            }

            IoResult result = _socket.Write(buffer[written..]);
            if (!result.IsSuccess)
            {
                return result;
            }

            Take(result, buffer.Length, ref written);
        }
        while (written < buffer.Length);

        return IoResult.Success;
    }

    private static void Take(IoResult result, int length, ref int written)
    {
        if (result.Count > length - written)
        {
            throw WriteFailedException.TookTooMuch(result.Count, length - written, written);
        }

        if (result.Count == 0 && length > 0)
        {
            throw WriteFailedException.TookNothing(written);
        }

        written += result.Count;
    }

    /// <summary>As the other form, for several buffers.</summary>
    internal IoResult WriteAll(ref VectorCursor cursor)
    {
        long limit = Poller.IsCurrent ? cursor.Consumed + Poller.BytesPerShare : long.MaxValue;
        while (!cursor.IsAtEnd)
        {
            if (cursor.Consumed >= limit)
            {
                return IoResult.Unfinished;
            }

            IoResult result = cursor.WriteOnce(_socket);
            if (!result.IsSuccess)
            {
                return result;
            }
        }

        return IoResult.Success;
    }

    /// <summary>Writes several buffers, in order and with nothing of another caller between. Go: <c>FD.Writev</c>.</summary>
    internal async ValueTask WriteAsync(ReadOnlyMemory<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken)
    {
        if (!_mutex.TryLock(PollMode.Write) && !await LockAsync(PollMode.Write, cancellationToken).BackToPoller())
        {
            throw ToException(OperationOutcome.From(PollResult.Closing), "write");
        }

        VectorCursor cursor = new(buffers);
        OperationOutcome outcome = Poller.IsShareSpent ? OperationOutcome.From(IoResult.Unfinished) : WriteFirst(ref cursor);
        if (outcome.Io.WouldBlock || outcome.Io.IsUnfinished)
        {
            VectoredWriteOperation operation = _vectoredWrite is { } kept && kept.TryLend() ? kept : SocketOperation.Lend(ref _vectoredWrite, new VectoredWriteOperation(this));
            await operation.Begin(cursor, outcome.Io.IsUnfinished, cancellationToken).BackToPoller();
            return;
        }

        Poller.Spend(cursor.Consumed);
        Unlock(PollMode.Write);
        if (!outcome.IsSuccess)
        {
            throw ToException(outcome, "write", cursor.Consumed);
        }
    }

    /// <summary>Waits until a direction is ready, without a buffer. The end of the stream and an error count as ready.</summary>
    internal ValueTask<OperationOutcome> WaitReadyAsync(PollMode mode, CancellationToken cancellationToken) =>
        RawAsync(mode, static (socket, mode) => socket.Probe(mode).IsSuccess, mode, cancellationToken);

    /// <summary>
    /// Calls somebody with the system's number until he says that he is done, and waits for readiness in between. Go: <c>FD.RawRead</c>,
    /// <c>FD.RawWrite</c>.
    /// </summary>
    internal ValueTask<OperationOutcome> RawAsync(PollMode mode, Func<int, bool> attempt, CancellationToken cancellationToken) =>
        RawAsync(
            mode,
            static (socket, attempt) =>
            {
                socket.MayLinger();
                return attempt(socket.Descriptor);
            },
            attempt,
            cancellationToken);

    private ValueTask<int> ReadLocked(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (buffer.IsEmpty)
        {
            Unlock(PollMode.Read);
            return new ValueTask<int>(0);
        }

        bool isPostponed = !_isDrained && Poller.IsShareSpent;
        if (!_isDrained && !isPostponed)
        {
            OperationOutcome outcome = ReadFirst(buffer);
            if (!outcome.Io.WouldBlock)
            {
                Poller.Spend(outcome.Io.Count);
                Unlock(PollMode.Read);
                return outcome.IsSuccess
                    ? new ValueTask<int>(outcome.Io.Count)
                    : ValueTask.FromException<int>(ToException(outcome, "read"));
            }
        }

        ReadOperation operation = _read is { } kept && kept.TryLend() ? kept : SocketOperation.Lend(ref _read, new ReadOperation(this));
        return operation.Begin(buffer, isPostponed, cancellationToken);
    }

    // The first attempts of reads and writes have no handler for exceptions, so that the system call is a part of their code: Libc.Receive
    // tells why. A socket tells errors by its result, and an array's bytes are there; only somebody's own memory may throw, and has a way of
    // its own.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private OperationOutcome ReadFirst(Memory<byte> buffer)
    {
        if (!MemoryMarshal.TryGetArray(buffer, out ArraySegment<byte> bytes))
        {
            return ReadFirstOfMemory(buffer);
        }

        PollResult prepared = Descriptor.Prepare(PollMode.Read);
        return prepared == PollResult.Ready ? OperationOutcome.From(ReadOnce(bytes)) : OperationOutcome.From(prepared);
    }

    private OperationOutcome ReadFirstOfMemory(Memory<byte> buffer)
    {
        try
        {
            PollResult prepared = Descriptor.Prepare(PollMode.Read);
            return prepared == PollResult.Ready ? OperationOutcome.From(ReadApart(buffer.Span)) : OperationOutcome.From(prepared);
        }
#pragma warning disable CA1031 // The exception is the caller's, who gets it with the result, after the lock was left.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private IoResult ReadApart(Span<byte> buffer) => ReadOnce(buffer);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private IoResult WriteApart(ReadOnlySpan<byte> buffer) => _socket.Write(buffer);

    private async ValueTask<int> ReadWhenLocked(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!await LockAsync(PollMode.Read, cancellationToken).BackToPoller())
        {
            throw ToException(OperationOutcome.From(PollResult.Closing), "read");
        }

        return await ReadLocked(buffer, cancellationToken).BackToPoller();
    }

    private ValueTask WriteLocked(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        Poller poller = Poller;
        int written = 0;
        OperationOutcome outcome = OperationOutcome.From(IoResult.Unfinished);
        if (!poller.IsShareSpent)
        {
            IoResult first = WriteFirst(buffer);
            written = first.Count;
            outcome = written == buffer.Length && first.IsSuccess ? OperationOutcome.From(first) : WriteOn(buffer, first, out written);
        }

        if (outcome.Io.WouldBlock || outcome.Io.IsUnfinished)
        {
            WriteOperation operation = _write is { } kept && kept.TryLend() ? kept : SocketOperation.Lend(ref _write, new WriteOperation(this));
            return operation.Begin(buffer, written, outcome.Io.IsUnfinished, cancellationToken);
        }

        poller.Spend(written);
        Unlock(PollMode.Write);
        return outcome.IsSuccess ? ValueTask.CompletedTask : ValueTask.FromException(ToException(outcome, "write", written));
    }

    // As ReadFirst. Most writes are over with it. Unfinished: not begun.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private IoResult WriteFirst(ReadOnlyMemory<byte> buffer) =>
        MemoryMarshal.TryGetArray(buffer, out ArraySegment<byte> bytes) && Descriptor.Prepare(PollMode.Write) == PollResult.Ready
            ? _socket.Write(bytes)
            : IoResult.Unfinished;

    // What the first attempt leaves: the rest, an error, what stands in the way.
    private OperationOutcome WriteOn(ReadOnlyMemory<byte> buffer, IoResult first, out int written)
    {
        written = 0;
        try
        {
            if (first.IsUnfinished)
            {
                PollResult prepared = Descriptor.Prepare(PollMode.Write);
                return prepared == PollResult.Ready ? OperationOutcome.From(WriteAll(buffer.Span, ref written)) : OperationOutcome.From(prepared);
            }

            if (first.IsSuccess)
            {
                Take(first, buffer.Length, ref written);
                first = WriteAll(buffer.Span, ref written, inThisTurn: written);
            }

            return OperationOutcome.From(first);
        }
#pragma warning disable CA1031 // As for reads.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    private OperationOutcome WriteFirst(ref VectorCursor cursor)
    {
        PollResult prepared = Descriptor.Prepare(PollMode.Write);
        if (prepared != PollResult.Ready)
        {
            return OperationOutcome.From(prepared);
        }

        try
        {
            return OperationOutcome.From(WriteAll(ref cursor));
        }
#pragma warning disable CA1031 // As for reads.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    private async ValueTask WriteWhenLocked(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!await LockAsync(PollMode.Write, cancellationToken).BackToPoller())
        {
            throw ToException(OperationOutcome.From(PollResult.Closing), "write");
        }

        await WriteLocked(buffer, cancellationToken).BackToPoller();
    }

    private async ValueTask<OperationOutcome> RawAsync<TState>(
        PollMode mode, Func<PollableSocket, TState, bool> attempt, TState state, CancellationToken cancellationToken, bool asksForReadiness = true)
    {
        if (!_mutex.TryLock(mode) && !await LockAsync(mode, cancellationToken).BackToPoller())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        try
        {
            ReadinessOperation? wait = null;
            if (Poller.IsShareSpent)
            {
                wait = new ReadinessOperation(this, mode, asksForReadiness: asksForReadiness);
                OperationOutcome itsTurn = await wait.Begin(cancellationToken, isPostponed: true).BackToPoller();
                if (!itsTurn.IsSuccess)
                {
                    return itsTurn;
                }
            }

            Poller.Spend(0);
            OperationOutcome outcome = OperationOutcome.From(Descriptor.Prepare(mode));
            if (mode == PollMode.Read)
            {
                // Somebody else's system call comes in between: what the last read saw says nothing any more.
                _isDrained = false;
            }

            while (outcome.IsSuccess && !attempt(_socket, state))
            {
                wait ??= new ReadinessOperation(this, mode, asksForReadiness: asksForReadiness);
                outcome = await wait.Begin(cancellationToken).BackToPoller();
            }

            return outcome;
        }
        finally
        {
            Unlock(mode);
        }
    }

    // The lock was not free: closed, or somebody else's for now.
    private OperationOutcome Occupied()
    {
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        RemoveReference();
        return OperationOutcome.From(IoResult.TryAgain);
    }
}
