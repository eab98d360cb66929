using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>The operations of a descriptor that carries datagrams. Any thread. Go: <c>FD.ReadFrom</c>, <c>FD.WriteTo</c>.</summary>
internal sealed class DatagramFd
{
    private DatagramReceiveOperation? _idleReceive;
    private DatagramSendOperation? _idleSend;

    internal DatagramFd(NetFd fd, IDatagramSocket socket)
    {
        Fd = fd;
        Socket = socket;
    }

    internal NetFd Fd { get; }

    internal IDatagramSocket Socket { get; }

    private Poller Poller => Fd.Poller;

    /// <summary>Takes a datagram, or as many as a batch has room for, or waits for the first.</summary>
    /// <returns>The datagram; of a batch only <see cref="DatagramBatch.Count"/> counts.</returns>
    internal ValueTask<ReceivedDatagram> ReceiveAsync(Memory<byte> buffer, DatagramBatch? batch, CancellationToken cancellationToken) =>
        Fd.TryLock(PollMode.Read) ? ReceiveLocked(buffer, batch, cancellationToken) : ReceiveWhenLocked(buffer, batch, cancellationToken);

    /// <summary>Sends a datagram, or those of a batch from <paramref name="start"/> on, waiting while the system has no room for the first.</summary>
    /// <returns>How many were sent.</returns>
    internal ValueTask<int> SendAsync(ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start, CancellationToken cancellationToken) =>
        Fd.TryLock(PollMode.Write)
            ? SendLocked(payload, to, batch, start, cancellationToken)
            : SendWhenLocked(payload, to, batch, start, cancellationToken);

    /// <summary>One attempt, under the read lock.</summary>
    internal IoResult ReceiveOnce(Memory<byte> buffer, DatagramBatch? batch, out ReceivedDatagram datagram)
    {
        datagram = default;
        return batch is null ? Socket.ReceiveFrom(buffer.Span, out datagram) : Socket.ReceiveBatch(batch);
    }

    /// <summary>One attempt, under the write lock.</summary>
    internal IoResult SendOnce(ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start)
    {
        if (batch is not null)
        {
            return Socket.SendBatch(batch, start);
        }

        IoResult result = Socket.SendTo(payload.Span, to);
        return result.IsSuccess ? IoResult.Bytes(1) : result;
    }

    internal void Return(DatagramReceiveOperation operation) => Volatile.Write(ref _idleReceive, operation);

    internal void Return(DatagramSendOperation operation) => Volatile.Write(ref _idleSend, operation);

    private ValueTask<ReceivedDatagram> ReceiveLocked(Memory<byte> buffer, DatagramBatch? batch, CancellationToken cancellationToken)
    {
        bool isPostponed = Poller.IsShareSpent;
        if (!isPostponed)
        {
            ReceivedDatagram datagram = default;
            OperationOutcome outcome = OperationOutcome.From(Fd.Descriptor.Prepare(PollMode.Read));
            if (outcome.IsSuccess)
            {
                outcome = OperationOutcome.From(ReceiveOnce(buffer, batch, out datagram));
            }

            if (!outcome.Io.WouldBlock)
            {
                Poller.Spend(outcome.Io.Count);
                Fd.Unlock(PollMode.Read);
                return outcome.IsSuccess
                    ? new ValueTask<ReceivedDatagram>(datagram)
                    : ValueTask.FromException<ReceivedDatagram>(Fd.ToException(outcome, "receive"));
            }
        }

        DatagramReceiveOperation operation = Interlocked.Exchange(ref _idleReceive, null) ?? new DatagramReceiveOperation(this);
        return operation.Begin(buffer, batch, isPostponed, cancellationToken);
    }

    private async ValueTask<ReceivedDatagram> ReceiveWhenLocked(Memory<byte> buffer, DatagramBatch? batch, CancellationToken cancellationToken) =>
        await Fd.LockAsync(PollMode.Read, cancellationToken)
            ? await ReceiveLocked(buffer, batch, cancellationToken)
            : throw Fd.ToException(OperationOutcome.From(PollResult.Closing), "receive");

    private ValueTask<int> SendLocked(ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start, CancellationToken cancellationToken)
    {
        bool isPostponed = Poller.IsShareSpent;
        if (!isPostponed)
        {
            OperationOutcome outcome = OperationOutcome.From(Fd.Descriptor.Prepare(PollMode.Write));
            if (outcome.IsSuccess)
            {
                outcome = OperationOutcome.From(SendOnce(payload, to, batch, start));
            }

            if (!outcome.Io.WouldBlock)
            {
                Poller.Spend(payload.Length);
                Fd.Unlock(PollMode.Write);
                return outcome.IsSuccess ? new ValueTask<int>(outcome.Io.Count) : ValueTask.FromException<int>(Fd.ToException(outcome, "send"));
            }
        }

        DatagramSendOperation operation = Interlocked.Exchange(ref _idleSend, null) ?? new DatagramSendOperation(this);
        return operation.Begin(payload, to, batch, start, isPostponed, cancellationToken);
    }

    private async ValueTask<int> SendWhenLocked(
        ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start, CancellationToken cancellationToken) =>
        await Fd.LockAsync(PollMode.Write, cancellationToken)
            ? await SendLocked(payload, to, batch, start, cancellationToken)
            : throw Fd.ToException(OperationOutcome.From(PollResult.Closing), "send");
}
