using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A read that waits for data.</summary>
internal sealed class ReadOperation : SocketOperation, IValueTaskSource<int>
{
    private Memory<byte> _buffer;

    internal ReadOperation(NetFd fd)
        : base(fd, PollMode.Read)
    {
    }

    /// <summary>Waits and reads. The caller holds the read lock.</summary>
    /// <param name="buffer">Where the bytes go.</param>
    /// <param name="isPostponed">Whether its turn comes later; else the caller has seen that the read would block.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal ValueTask<int> Begin(Memory<byte> buffer, bool isPostponed, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        CancelBy(cancellationToken);
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return new ValueTask<int>(this, version);
        }

        _buffer = default;
        EndCancellation();
        Fd.Unlock(PollMode.Read);
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "read");
        GiveBack();
        return failure is null ? new ValueTask<int>(outcome.Io.Count) : ValueTask.FromException<int>(failure);
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        OperationOutcome outcome = TakeOutcome(token);
        _buffer = default;
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "read");
        GiveBack();
        return failure is null ? outcome.Io.Count : throw failure;
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try()
    {
        // The readiness is taken, and somebody's own memory may throw: then the next read must ask the system.
        Fd.ForgetDrained();
        return Fd.ReadOnce(_buffer.Span);
    }
}
