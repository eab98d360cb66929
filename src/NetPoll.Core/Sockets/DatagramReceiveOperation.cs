using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A receive that waits for a datagram, or for the first of a batch.</summary>
internal sealed class DatagramReceiveOperation : SocketOperation, IValueTaskSource<ReceivedDatagram>
{
    private readonly DatagramFd _datagrams;
    private Memory<byte> _buffer;
    private DatagramBatch? _batch;
    private ReceivedDatagram _datagram;

    internal DatagramReceiveOperation(DatagramFd datagrams)
        : base(datagrams.Fd, PollMode.Read) => _datagrams = datagrams;

    /// <summary>Waits and receives. The caller holds the read lock.</summary>
    internal ValueTask<ReceivedDatagram> Begin(Memory<byte> buffer, DatagramBatch? batch, bool isPostponed, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        _batch = batch;
        CancelBy(cancellationToken);
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return new ValueTask<ReceivedDatagram>(this, version);
        }

        EndCancellation();
        Fd.Unlock(PollMode.Read);
        Exception? failure = Finish(outcome, out ReceivedDatagram datagram);
        return failure is null ? new ValueTask<ReceivedDatagram>(datagram) : ValueTask.FromException<ReceivedDatagram>(failure);
    }

    ReceivedDatagram IValueTaskSource<ReceivedDatagram>.GetResult(short token)
    {
        Exception? failure = Finish(TakeOutcome(token), out ReceivedDatagram datagram);
        return failure is null ? datagram : throw failure;
    }

    ValueTaskSourceStatus IValueTaskSource<ReceivedDatagram>.GetStatus(short token) => StatusOf(token);

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
        _datagrams.Return(this);
        return failure;
    }
}
