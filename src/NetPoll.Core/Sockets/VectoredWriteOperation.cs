using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A write of several buffers that waits until the system has taken them all.</summary>
internal sealed class VectoredWriteOperation : SocketOperation, IValueTaskSource
{
    private VectorCursor _cursor;

    internal VectoredWriteOperation(NetFd fd)
        : base(fd, PollMode.Write)
    {
    }

    /// <summary>Waits and writes. The caller holds the write lock.</summary>
    /// <param name="cursor">How far it has come.</param>
    /// <param name="isPostponed">Whether its turn comes later; else the caller has seen that the write would block.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal ValueTask Begin(VectorCursor cursor, bool isPostponed, CancellationToken cancellationToken)
    {
        _cursor = cursor;
        CancelBy(cancellationToken);
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return new ValueTask(this, version);
        }

        EndCancellation();
        Fd.Unlock(PollMode.Write);
        Exception? failure = Finish(outcome);
        return failure is null ? ValueTask.CompletedTask : ValueTask.FromException(failure);
    }

    void IValueTaskSource.GetResult(short token)
    {
        if (Finish(TakeOutcome(token)) is { } failure)
        {
            throw failure;
        }
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try() => Fd.WriteAll(ref _cursor);

    private Exception? Finish(OperationOutcome outcome)
    {
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "write", _cursor.Consumed);
        _cursor = default;
        GiveBack();
        return failure;
    }
}
