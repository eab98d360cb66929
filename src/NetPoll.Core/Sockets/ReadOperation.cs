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

    /// <summary>Waits and reads. The caller holds the read lock and has seen that the read would block.</summary>
    internal ValueTask<int> Begin(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        CancelBy(cancellationToken);
        short version = Version;
        if (!ParkOrTry(out OperationOutcome outcome))
        {
            return new ValueTask<int>(this, version);
        }

        _buffer = default;
        EndCancellation();
        Fd.Unlock(PollMode.Read);
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "read");
        Fd.ReturnReadOperation(this);
        return failure is null ? new ValueTask<int>(outcome.Io.Count) : ValueTask.FromException<int>(failure);
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        OperationOutcome outcome = TakeOutcome(token);
        _buffer = default;
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "read");
        Fd.ReturnReadOperation(this);
        return failure is null ? outcome.Io.Count : throw failure;
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try() => Fd.ReadOnce(_buffer.Span);
}
