using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A wait for readiness and nothing else; whoever asks holds the direction's lock himself. Go: <c>pollDesc.wait</c>.</summary>
internal sealed class ReadinessOperation : SocketOperation, IValueTaskSource<OperationOutcome>
{
    internal ReadinessOperation(NetFd fd, PollMode mode, bool isUncancelable = false)
        : base(fd, mode) => IsUncancelable = isUncancelable;

    /// <inheritdoc/>
    protected override bool IsUncancelable { get; }

    /// <inheritdoc/>
    protected override bool HoldsLock => false;

    /// <summary>Waits. One who has not just seen that the operation would block must have prepared the slot and looked.</summary>
    internal ValueTask<OperationOutcome> Begin(CancellationToken cancellationToken)
    {
        CancelBy(cancellationToken);
        short version = Version;
        if (!ParkOrTry(out OperationOutcome outcome))
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

    // Readiness is all that was asked for.
    protected override IoResult Try() => IoResult.Success;
}
