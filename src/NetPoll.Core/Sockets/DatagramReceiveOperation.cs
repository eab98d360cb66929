using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A receive that waits for a datagram, or for the first of a batch.</summary>
internal sealed class DatagramReceiveOperation : SocketOperation, IValueTaskSource<ReceivedDatagram>, IValueTaskSource<int>
{
    private readonly DatagramFd _datagrams;
    private Memory<byte> _buffer;
    private DatagramBatch? _batch;
    private ReceivedDatagram _datagram;

    internal DatagramReceiveOperation(DatagramFd datagrams)
        : base(datagrams.Fd, PollMode.Read) => _datagrams = datagrams;

    /// <summary>Waits and receives. The caller holds the read lock.</summary>
    internal Started<ReceivedDatagram> Begin(Memory<byte> buffer, DatagramBatch? batch, bool isPostponed, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        _batch = batch;
        CancelBy(cancellationToken);
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return Started<ReceivedDatagram>.Waiting(this, version);
        }

        EndCancellation();
        Fd.Unlock(PollMode.Read);
        Exception? failure = Finish(outcome, out ReceivedDatagram datagram);
        return failure is null ? Started<ReceivedDatagram>.Done(datagram) : Started<ReceivedDatagram>.Failed(failure);
    }

    ReceivedDatagram IValueTaskSource<ReceivedDatagram>.GetResult(short token)
    {
        Exception? failure = Finish(TakeOutcome(token), out ReceivedDatagram datagram);
        return failure is null ? datagram : throw failure;
    }

    /// <summary>The result of a batch: how many it holds.</summary>
    int IValueTaskSource<int>.GetResult(short token)
    {
        OperationOutcome outcome = TakeOutcome(token);
        int count = _batch!.Count;
        Exception? failure = Finish(outcome, out _);
        return failure is null ? count : throw failure;
    }

    ValueTaskSourceStatus IValueTaskSource<ReceivedDatagram>.GetStatus(short token) => StatusOf(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    void IValueTaskSource<ReceivedDatagram>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try() => _datagrams.ReceiveOnce(_buffer, _batch, out _datagram);

    private Exception? Finish(OperationOutcome outcome, out ReceivedDatagram datagram)
    {
        datagram = _datagram;
        _datagram = default;
        _buffer = default;
        _batch = null;
        Exception? failure = outcome.IsSuccess ? null : ToException(outcome, "receive");
        GiveBack();
        return failure;
    }
}
