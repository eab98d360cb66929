using NetPoll.Core.Backends;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Sockets;

/// <summary>The operations of a descriptor that carries datagrams. Any thread. Go: <c>FD.ReadFrom</c>, <c>FD.WriteTo</c>.</summary>
internal sealed class DatagramFd
{
    // Kept as those of NetFd are.
    private DatagramReceiveOperation? _receive;
    private DatagramSendOperation? _send;

    internal DatagramFd(NetFd fd, IDatagramSocket socket)
    {
        Fd = fd;
        Socket = socket;
    }

    internal NetFd Fd { get; }

    internal IDatagramSocket Socket { get; }

    private Poller Poller => Fd.Poller;

    /// <summary>Takes a datagram, or waits for it.</summary>
    internal ValueTask<ReceivedDatagram> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => Fd.TryLock(PollMode.Read)
        ? ReceiveLocked(buffer, batch: null, cancellationToken).AsTask(0, static (datagram, _) => datagram)
        : ReceiveWhenLocked(buffer, cancellationToken);

    /// <summary>Takes as many datagrams as a batch has room for, or waits for the first.</summary>
    /// <returns>How many.</returns>
    internal ValueTask<int> ReceiveAsync(DatagramBatch batch, CancellationToken cancellationToken)
    {
        if (!Fd.TryLock(PollMode.Read))
        {
            return ReceiveWhenLocked(batch, cancellationToken);
        }

        Started<ReceivedDatagram> started = ReceiveLocked(default, batch, cancellationToken);
        return started.AsTask(batch, static (_, batch) => batch.Count);
    }

    /// <summary>Sends those of a batch from <paramref name="start"/> on, waiting while the system has no room for the first.</summary>
    /// <returns>How many were sent.</returns>
    internal ValueTask<int> SendAsync(DatagramBatch batch, int start, CancellationToken cancellationToken) => Fd.TryLock(PollMode.Write)
        ? SendLocked(default, default, batch, start, cancellationToken).AsTask(0, static (count, _) => count)
        : SendWhenLocked(default, default, batch, start, cancellationToken);

    /// <summary>Sends a datagram, waiting while the system has no room for it.</summary>
    internal ValueTask SendAsync(ReadOnlyMemory<byte> payload, DatagramAddress to, CancellationToken cancellationToken) => Fd.TryLock(PollMode.Write)
        ? SendLocked(payload, to, batch: null, start: 0, cancellationToken).AsTask()
        : new ValueTask(SendWhenLocked(payload, to, batch: null, start: 0, cancellationToken).AsTask());

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

    private Started<ReceivedDatagram> ReceiveLocked(Memory<byte> buffer, DatagramBatch? batch, CancellationToken cancellationToken)
    {
        bool isPostponed = Poller.IsShareSpent;
        if (!isPostponed)
        {
            OperationOutcome outcome = ReceiveFirst(buffer, batch, out ReceivedDatagram datagram);
            if (!outcome.Io.WouldBlock)
            {
                Poller.Spend(outcome.Io.Count);
                Fd.Unlock(PollMode.Read);
                return outcome.IsSuccess
                    ? Started<ReceivedDatagram>.Done(datagram)
                    : Started<ReceivedDatagram>.Failed(Fd.ToException(outcome, "receive"));
            }
        }

        DatagramReceiveOperation operation = _receive is { } kept && kept.TryLend() ? kept : SocketOperation.Lend(ref _receive, new DatagramReceiveOperation(this));
        return operation.Begin(buffer, batch, isPostponed, cancellationToken);
    }

    private OperationOutcome ReceiveFirst(Memory<byte> buffer, DatagramBatch? batch, out ReceivedDatagram datagram)
    {
        datagram = default;
        try
        {
            PollResult prepared = Fd.Descriptor.Prepare(PollMode.Read);
            return prepared == PollResult.Ready
                ? OperationOutcome.From(ReceiveOnce(buffer, batch, out datagram))
                : OperationOutcome.From(prepared);
        }
#pragma warning disable CA1031 // Somebody's own memory may throw: the exception is the caller's, who gets it after the lock was left.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    private async ValueTask<ReceivedDatagram> ReceiveWhenLocked(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await LockAsync(PollMode.Read, "receive", cancellationToken).BackToPoller();
        return await ReceiveLocked(buffer, batch: null, cancellationToken).AsTask(0, static (datagram, _) => datagram).BackToPoller();
    }

    private async ValueTask<int> ReceiveWhenLocked(DatagramBatch batch, CancellationToken cancellationToken)
    {
        await LockAsync(PollMode.Read, "receive", cancellationToken).BackToPoller();
        return await ReceiveLocked(default, batch, cancellationToken).AsTask(batch, static (_, batch) => batch.Count).BackToPoller();
    }

    private Started<int> SendLocked(ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start, CancellationToken cancellationToken)
    {
        bool isPostponed = Poller.IsShareSpent;
        if (!isPostponed)
        {
            OperationOutcome outcome = SendFirst(payload, to, batch, start);
            if (!outcome.Io.WouldBlock)
            {
                Poller.Spend(payload.Length);
                Fd.Unlock(PollMode.Write);
                return outcome.IsSuccess ? Started<int>.Done(outcome.Io.Count) : Started<int>.Failed(Fd.ToException(outcome, "send"));
            }
        }

        DatagramSendOperation operation = _send is { } kept && kept.TryLend() ? kept : SocketOperation.Lend(ref _send, new DatagramSendOperation(this));
        return operation.Begin(payload, to, batch, start, isPostponed, cancellationToken);
    }

    private OperationOutcome SendFirst(ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start)
    {
        try
        {
            PollResult prepared = Fd.Descriptor.Prepare(PollMode.Write);
            return prepared == PollResult.Ready
                ? OperationOutcome.From(SendOnce(payload, to, batch, start))
                : OperationOutcome.From(prepared);
        }
#pragma warning disable CA1031 // As for receives.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    private async ValueTask<int> SendWhenLocked(
        ReadOnlyMemory<byte> payload, DatagramAddress to, DatagramBatch? batch, int start, CancellationToken cancellationToken)
    {
        await LockAsync(PollMode.Write, "send", cancellationToken).BackToPoller();
        return await SendLocked(payload, to, batch, start, cancellationToken).AsTask(0, static (count, _) => count).BackToPoller();
    }

    private async ValueTask LockAsync(PollMode mode, string operation, CancellationToken cancellationToken)
    {
        if (!await Fd.LockAsync(mode, cancellationToken).BackToPoller())
        {
            throw Fd.ToException(OperationOutcome.From(PollResult.Closing), operation);
        }
    }
}
