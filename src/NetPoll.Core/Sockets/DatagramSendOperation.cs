using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A send that waits until the system has room for a datagram, or for the first of a batch.</summary>
internal sealed class DatagramSendOperation : SocketOperation, IValueTaskSource<int>, IValueTaskSource
{
    private readonly DatagramFd _datagrams;
    private ReadOnlyMemory<byte> _payload;
    private DatagramAddress _to;
    private DatagramBatch? _batch;
    private int _start;

    internal DatagramSendOperation(DatagramFd datagrams)
        : base(datagrams.Fd, PollMode.Write) => _datagrams = datagrams;

    /// <summary>Waits and sends. The caller holds the write lock.</summary>
    internal Started<int> Begin(
        ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start, bool isPostponed, CancellationToken cancellationToken)
    {
        _payload = payload;
        _to = to;
        _batch = batch;
        _start = start;
        CancelBy(cancellationToken);
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return Started<int>.Waiting(this, version);
        }

        EndCancellation();
        Fd.Unlock(PollMode.Write);
        Exception? failure = Finish(outcome);
        return failure is null ? Started<int>.Done(outcome.Io.Count) : Started<int>.Failed(failure);
    }

    int IValueTaskSource<int>.GetResult(short token) => TakeCount(token);

    void IValueTaskSource.GetResult(short token) => TakeCount(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => StatusOf(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try() => _datagrams.SendOnce(_payload, _to, _batch, _start);

    private int TakeCount(short token)
    {
        OperationOutcome outcome = TakeOutcome(token);
        Exception? failure = Finish(outcome);
        return failure is null ? outcome.Io.Count : throw failure;
    }

    private Exception? Finish(OperationOutcome outcome)
    {
        _payload = default;
        _batch = null;
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "send");
        GiveBack();
        return failure;
    }
}
