using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>The wait for the end of a connection attempt; nobody else knows the descriptor yet, so no lock is held.</summary>
internal sealed class ConnectOperation : SocketOperation, IValueTaskSource<OperationOutcome>
{
    internal ConnectOperation(NetFd fd)
        : base(fd, PollMode.Write)
    {
    }

    /// <inheritdoc/>
    protected override bool HoldsLock => false;

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

    protected override IoResult Try() => Fd.FinishConnect();
}
