using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A write that waits until the system has taken every byte.</summary>
internal sealed class WriteOperation : SocketOperation, IValueTaskSource
{
    private ReadOnlyMemory<byte> _buffer;
    private int _written;

    internal WriteOperation(NetFd fd)
        : base(fd, PollMode.Write)
    {
    }

    /// <summary>Waits and writes. The caller holds the write lock.</summary>
    /// <param name="buffer">All of it.</param>
    /// <param name="written">How much of it the system has taken already.</param>
    /// <param name="isPostponed">Whether its turn comes later; else the caller has seen that the write would block.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal ValueTask Begin(ReadOnlyMemory<byte> buffer, int written, bool isPostponed, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        CancelBy(cancellationToken);
        _written = written;
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return new ValueTask(this, version);
        }

        int count = Clear();
        EndCancellation();
        Fd.Unlock(PollMode.Write);
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "write", count);
        GiveBack();
        return failure is null ? ValueTask.CompletedTask : ValueTask.FromException(failure);
    }

    void IValueTaskSource.GetResult(short token)
    {
        OperationOutcome outcome = TakeOutcome(token);
        int count = Clear();
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "write", count);
        GiveBack();
        if (failure is not null)
        {
            throw failure;
        }
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try() => Fd.WriteAll(_buffer.Span, ref _written);

    private int Clear()
    {
        _buffer = default;
        return _written;
    }
}
