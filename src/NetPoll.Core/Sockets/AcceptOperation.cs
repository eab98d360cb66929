using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>An accept that waits for a connection.</summary>
internal sealed class AcceptOperation : SocketOperation, IValueTaskSource<AcceptResult>
{
    private PollableSocket? _accepted;

    internal AcceptOperation(NetFd fd)
        : base(fd, PollMode.Read)
    {
    }

    /// <summary>Waits and accepts. The caller holds the read lock.</summary>
    /// <param name="isPostponed">Whether its turn comes later; else the caller has seen that the accept would block.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal ValueTask<AcceptResult> Begin(bool isPostponed, CancellationToken cancellationToken)
    {
        CancelBy(cancellationToken);
        short version = Version;
        if (!BeginOrTry(isPostponed, out OperationOutcome outcome))
        {
            return new ValueTask<AcceptResult>(this, version);
        }

        EndCancellation();
        Fd.Unlock(PollMode.Read);
        return new ValueTask<AcceptResult>(Take(outcome));
    }

    AcceptResult IValueTaskSource<AcceptResult>.GetResult(short token) => Take(TakeOutcome(token));

    ValueTaskSourceStatus IValueTaskSource<AcceptResult>.GetStatus(short token) => StatusOf(token);

    void IValueTaskSource<AcceptResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        Register(continuation, state, token, flags);

    protected override IoResult Try() => Fd.AcceptOnce(out _accepted);

    private AcceptResult Take(OperationOutcome outcome)
    {
        PollableSocket? accepted = _accepted;
        _accepted = null;
        GiveBack();
        return new AcceptResult(outcome, accepted);
    }
}

/// <summary>An accepted socket, or why there is none.</summary>
internal readonly record struct AcceptResult(OperationOutcome Outcome, PollableSocket? Socket);
