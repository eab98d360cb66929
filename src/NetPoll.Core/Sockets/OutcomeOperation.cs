using System.Threading.Tasks.Sources;

namespace NetPoll.Core.Sockets;

/// <summary>A wait whose result is how it ended; whoever asks holds the direction's lock himself, or is alone with the descriptor.</summary>
internal abstract class OutcomeOperation : SocketOperation, IValueTaskSource<OperationOutcome>
{
    protected OutcomeOperation(NetFd fd, PollMode mode)
        : base(fd, mode)
    {
    }

    /// <inheritdoc/>
    protected override bool HoldsLock => false;

    /// <summary>Waits. One who has not just seen that the operation would block must have prepared the slot and looked.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="isPostponed">Whether its turn comes later.</param>
    internal ValueTask<OperationOutcome> Begin(CancellationToken cancellationToken, bool isPostponed = false)
    {
        CancelBy(cancellationToken);
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return new ValueTask<OperationOutcome>(this, version);
        }

        EndCancellation();
        return new ValueTask<OperationOutcome>(outcome);
    }

    OperationOutcome IValueTaskSource<OperationOutcome>.GetResult(short token) => TakeOutcome(token);

    ValueTaskSourceStatus IValueTaskSource<OperationOutcome>.GetStatus(short token) =>
        StatusOf(token) == ValueTaskSourceStatus.Pending ? ValueTaskSourceStatus.Pending : ValueTaskSourceStatus.Succeeded;

    void IValueTaskSource<OperationOutcome>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);
}
