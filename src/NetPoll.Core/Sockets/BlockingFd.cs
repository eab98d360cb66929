using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A descriptor that the system cannot watch, such as a regular file: its operations hold a thread of the pool, never a poller's.</summary>
/// <remarks>
/// A token ends the wait for those who came before, not the operation itself. Closing waits for nobody: the last operation in progress gives
/// the number up, and nothing could end it before. Go: <c>FD.isBlocking</c>.
/// </remarks>
internal sealed class BlockingFd : SharedFd
{
    private readonly PollableSocket _file;

    internal BlockingFd(PollableSocket file) => _file = file;

    /// <summary>The public handle, which an operation in progress keeps alive by this.</summary>
    internal object? Owner { get; set; }

    /// <summary>Reads what is there.</summary>
    /// <returns>Bytes; 0 at the end of the file or for an empty buffer.</returns>
    internal async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await EnterAsync(PollMode.Read, "read", cancellationToken).ConfigureAwait(false);
        try
        {
            IoResult result = buffer.IsEmpty ? IoResult.Success : await OnPool(() => _file.Read(buffer.Span)).ConfigureAwait(false);
            return result.IsSuccess ? result.Count : throw result.ToException($"read {_file.Name}");
        }
        finally
        {
            Unlock(PollMode.Read);
        }
    }

    /// <summary>Writes all of the buffers, in order and with nothing of another caller between.</summary>
    internal async ValueTask WriteAsync(ReadOnlyMemory<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken)
    {
        await EnterAsync(PollMode.Write, "write", cancellationToken).ConfigureAwait(false);
        try
        {
            long written = 0;
            IoResult result = await OnPool(() => WriteAll(buffers.Span, ref written)).ConfigureAwait(false);
            if (!result.IsSuccess)
            {
                throw result.ToWriteException($"write {_file.Name}", written);
            }
        }
        finally
        {
            Unlock(PollMode.Write);
        }
    }

    /// <summary>Calls somebody with the system's number, which stays ours for the length of the call.</summary>
    internal OperationOutcome RawControl(Action<int> control)
    {
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        try
        {
            control(_file.Descriptor);
        }
        finally
        {
            RemoveReference();
        }

        return OperationOutcome.From(IoResult.Success);
    }

    /// <summary>Closes: later operations fail. Does not wait for those in progress. Harmless when it is closed.</summary>
    internal void Close()
    {
        if (_mutex.AddReferenceAndClose())
        {
            RemoveReference();
        }
    }

    /// <inheritdoc/>
    protected override void Destroy() => _ = _file.Close();

    private async ValueTask EnterAsync(PollMode mode, string operation, CancellationToken cancellationToken)
    {
        if (!_mutex.TryLock(mode) && !await LockAsync(mode, cancellationToken).ConfigureAwait(false))
        {
            throw OperationOutcome.From(PollResult.Closing).ToException(operation, _file.Name);
        }
    }

    private IoResult WriteAll(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, ref long written)
    {
        foreach (ReadOnlyMemory<byte> buffer in buffers)
        {
            ReadOnlySpan<byte> left = buffer.Span;
            while (!left.IsEmpty)
            {
                IoResult result = _file.Write(left);
                if (!result.IsSuccess)
                {
                    return result;
                }

                if (result.Count == 0)
                {
                    throw WriteFailedException.TookNothing(written);
                }

                written += result.Count;
                left = left[result.Count..];
            }
        }

        return IoResult.Success;
    }

    private static Task<IoResult> OnPool(Func<IoResult> operation) =>
        Task.Factory.StartNew(operation, CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
}
