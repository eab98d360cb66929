using NetPoll.Core.Backends;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Sockets;

/// <content>Accepting.</content>
internal sealed partial class NetFd
{
    private AcceptOperation? _accept;

    /// <summary>Takes a connection from the queue, or waits for one. Go: <c>FD.Accept</c>.</summary>
    internal ValueTask<AcceptResult> AcceptAsync(CancellationToken cancellationToken = default) =>
        _mutex.TryLock(PollMode.Read) ? AcceptLocked(cancellationToken) : AcceptWhenLocked(cancellationToken);

    /// <summary>Takes a connection from the queue, without waiting.</summary>
    internal AcceptResult TryAccept()
    {
        if (!_mutex.TryLock(PollMode.Read))
        {
            return new AcceptResult(Occupied(), null);
        }

        OperationOutcome outcome = AcceptFirst(out PollableSocket? accepted);
        Unlock(PollMode.Read);
        return new AcceptResult(outcome, accepted);
    }

    /// <summary>
    /// Lets a time pass before the next accept. A close, the read deadline and the token end it at once; connections that come do not.
    /// </summary>
    /// <returns>Success when the time has passed; else what ended it.</returns>
    internal async ValueTask<OperationOutcome> PauseAcceptAsync(TimeSpan time, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        using CancellationTokenSource timer = new(time, timeProvider);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        OperationOutcome outcome;
        try
        {
            // An accept that never has enough: whatever ends one ends this. It asks for nothing: a connection that waits would be told all the time.
            outcome = await RawAsync(PollMode.Read, static (_, _) => false, state: 0, either.Token, asksForReadiness: false).BackToPoller();
        }
        catch (OperationCanceledException)
        {
            // In the queue behind another accept.
            outcome = OperationOutcome.Cancelled;
        }

        return outcome.IsCancelled && !cancellationToken.IsCancellationRequested ? OperationOutcome.From(IoResult.Success) : outcome;
    }

    /// <summary>Takes a connection from the queue, under the read lock. Connections that died while they waited are passed over.</summary>
    internal IoResult AcceptOnce(out PollableSocket? accepted)
    {
        while (true)
        {
            IoResult result = _socket.Accept(out accepted);
            if (result.IsSuccess || PollErrors.ClassifyAccept(result.NativeError) != PollErrorClass.Transient)
            {
                return result;
            }
        }
    }

    private ValueTask<AcceptResult> AcceptLocked(CancellationToken cancellationToken)
    {
        PollableSocket? accepted = null;
        bool isPostponed = Poller.IsShareSpent;
        OperationOutcome outcome = isPostponed ? default : AcceptFirst(out accepted);
        if (isPostponed || outcome.Io.WouldBlock)
        {
            AcceptOperation operation = _accept is { } kept && kept.TryLend() ? kept : SocketOperation.Lend(ref _accept, new AcceptOperation(this));
            return operation.Begin(isPostponed, cancellationToken);
        }

        Poller.Spend(0);
        Unlock(PollMode.Read);
        return new ValueTask<AcceptResult>(new AcceptResult(outcome, accepted));
    }

    private OperationOutcome AcceptFirst(out PollableSocket? accepted)
    {
        accepted = null;
        PollResult prepared = Descriptor.Prepare(PollMode.Read);
        if (prepared != PollResult.Ready)
        {
            return OperationOutcome.From(prepared);
        }

        try
        {
            return OperationOutcome.From(AcceptOnce(out accepted));
        }
#pragma warning disable CA1031 // The exception is the caller's, who gets it with the result, after the lock was left.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    private async ValueTask<AcceptResult> AcceptWhenLocked(CancellationToken cancellationToken) =>
        await LockAsync(PollMode.Read, cancellationToken).BackToPoller()
            ? await AcceptLocked(cancellationToken).BackToPoller()
            : new AcceptResult(OperationOutcome.From(PollResult.Closing), null);
}
