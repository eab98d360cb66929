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
    internal ValueTask<int> Begin(Memory<byte> buffer)
    {
        _buffer = buffer;
        short version = Version;
        if (!ParkOrTry(out OperationOutcome outcome))
        {
            return new ValueTask<int>(this, version);
        }

        _buffer = default;
        Fd.Unlock(PollMode.Read);
        Fd.ReturnReadOperation(this);
        return outcome.IsSuccess
            ? new ValueTask<int>(outcome.Io.Count)
            : ValueTask.FromException<int>(Fd.ToException(outcome, "read"));
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        OperationOutcome outcome = TakeOutcome(token);
        _buffer = default;
        Fd.ReturnReadOperation(this);
        return outcome.IsSuccess ? outcome.Io.Count : throw Fd.ToException(outcome, "read");
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try() => Fd.ReadOnce(_buffer.Span);
}
