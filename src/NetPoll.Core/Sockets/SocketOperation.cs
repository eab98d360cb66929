using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Sockets;

/// <summary>One direction's waiting operation: tries, parks while it would block, tries again; allocates nothing once warm.</summary>
/// <remarks>
/// It holds the direction's lock from its start until it completes, and leaves it before the continuation runs; the object itself is
/// reused only after its result was taken, so a second operation that starts in between gets another object. The continuation runs on
/// the poller if it was registered there, else on the captured context or the thread pool; never inside the call that freed the waiter.
/// Go: the loops of <c>FD.Read</c>, <c>FD.Write</c>, <c>FD.Accept</c>.
/// </remarks>
internal abstract class SocketOperation : IPollWaiter, IPollerWork, IThreadPoolWorkItem
{
    private static readonly Action<object?> CompletedMark = static _ => throw new InvalidOperationException("The completion mark was invoked.");

    private readonly PollMode _mode;

    private Action<object?>? _continuation;
    // Word     null | the continuation | CompletedMark when the result came first.
    // Writers  the awaiting code (Register) and the poller (Complete), each from null.
    // Race     the result against the registration; and a result that is taken, and the object reused, while Complete still runs.
    // Order    the outcome is written before the CAS. Whoever comes second queues the continuation, so it is queued once. If Complete
    //          comes first its CAS is its last touch of this object: from then on the awaiting code may take the result at any time.
    //          A registration on the poller's own thread races with nothing, since that thread completes, too: it is a plain write.
    // Proof    SocketOperationTests.

    private object? _continuationState;
    private object? _context;
    private ExecutionContext? _executionContext;
    private bool _resumesOnPoller;
    private bool _isCompleted;
    private bool _isContinuationQueued;
    private OperationOutcome _outcome;

    private CancellationToken _token;
    private CancellationTokenRegistration _cancellation;
    private bool _canBeCancelled;
    private bool _isCancelled;
    // Word     whether this wait's token was cancelled.
    // Writers  the token's callback, which cannot run any more once the registration is disposed: before the object is reused.
    // Race     a cancellation between the operation's last look and its park; and one that comes when the wait is over.
    // Order    park: CAS into the slot, then look here. cancel: Exchange here, then CAS out of the slot. Both are full fences. Whoever
    //          takes the operation out of the slot resumes it, once; readiness that was taken first wins.
    // Proof    CancellationTests.

    protected SocketOperation(NetFd fd, PollMode mode)
    {
        Fd = fd;
        _mode = mode;
    }

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    protected NetFd Fd { get; }

    /// <summary>The version that the next awaited task carries.</summary>
    protected short Version { get; private set; }

    /// <summary>Whether closing and deadlines are not looked at: the system still owns what the wait is about.</summary>
    protected virtual bool IsUncancelable => false;

    /// <summary>Whether it holds the direction's lock and leaves it when it completes.</summary>
    protected virtual bool HoldsLock => true;

    // The flag is for a registered continuation, which alone looks at it.
    private bool IsCompleted => ReferenceEquals(Volatile.Read(ref _continuation), CompletedMark) || _isCompleted;

    /// <summary>From the ready list, after a wake-up; parks again, silently, when there is nothing to see.</summary>
    public void Resume(PollSignals signals)
    {
        OperationOutcome outcome;
        bool isDone;
        if (Fd.Descriptor.FinishWait(_mode))
        {
            outcome = Attempt();
            isDone = !outcome.Io.WouldBlock;
            if (!isDone)
            {
                Fd.Poller.CountSpuriousWakeup();
                isDone = ParkOrTry(out outcome);
            }
        }
        else
        {
            isDone = ParkOrTry(out outcome);
        }

        if (isDone)
        {
            Complete(outcome);
        }
    }

    /// <inheritdoc/>
    public void Schedule(PollSignals signals) => Fd.Poller.Post(this);

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        if (_isContinuationQueued)
        {
            _isContinuationQueued = false;
            InvokeContinuation();
        }
        else
        {
            Resume(PollSignals.None);
        }
    }

    /// <inheritdoc/>
    void IThreadPoolWorkItem.Execute() => InvokeContinuation();

    /// <summary>Who waits, for the one who asks what held a thread.</summary>
    public override string ToString() => $"{GetType().Name} of {(object?)Fd.RemoteEndPoint ?? Fd.LocalEndPoint}, continued by {_continuationState ?? "nobody"}";

    /// <summary>One attempt, never blocking; EINTR was retried below.</summary>
    protected abstract IoResult Try();

    /// <summary>Ties the operation to a token, before it parks.</summary>
    protected void CancelBy(CancellationToken token)
    {
        if (token.CanBeCanceled)
        {
            _token = token;

            // Not told by the registration, which is empty when the token is cancelled already: then the callback runs in this call.
            _canBeCancelled = true;
            _cancellation = token.UnsafeRegister(static state => ((SocketOperation)state!).Cancel(), this);
        }
    }

    /// <summary>The operation ended without having been awaited: its token has nothing more to say.</summary>
    protected void EndCancellation()
    {
        if (_canBeCancelled)
        {
            // Waits for a callback that runs: after this none can, so the object may be reused.
            _cancellation.Dispose();
            _cancellation = default;
            _canBeCancelled = false;
            _isCancelled = false;
        }
    }

    /// <summary>The exception of the awaitable surface.</summary>
    protected Exception ToException(OperationOutcome outcome, string operation, long? bytesWritten = null) => outcome.IsCancelled
        ? new OperationCanceledException(_token)
        : Fd.ToException(outcome, operation, bytesWritten);

    /// <summary>Parks first, since the caller has just seen that it would block.</summary>
    /// <returns>True: done without waiting; the caller holds the lock. False: parked, and nothing of this object may be touched.</returns>
    protected bool ParkOrTry(out OperationOutcome outcome)
    {
        short version = Version;
        bool canBeCancelled = _canBeCancelled;
        while (true)
        {
            if (canBeCancelled && Volatile.Read(ref _isCancelled))
            {
                outcome = OperationOutcome.Cancelled;
                return true;
            }

            Fd.Poller.Arm(Fd.Descriptor, _mode);
            if (TryPark(out PollResult result))
            {
                outcome = default;
                return canBeCancelled && TryWithdrawCancelled(version, out outcome);
            }

            if (result != PollResult.Ready)
            {
                outcome = OperationOutcome.From(result);
                return true;
            }

            outcome = Attempt();
            if (!outcome.Io.WouldBlock)
            {
                return true;
            }
        }
    }

    protected ValueTaskSourceStatus StatusOf(short token)
    {
        CheckToken(token);
        if (!IsCompleted)
        {
            return ValueTaskSourceStatus.Pending;
        }

        return _outcome.IsSuccess ? ValueTaskSourceStatus.Succeeded
            : _outcome.IsCancelled ? ValueTaskSourceStatus.Canceled
            : ValueTaskSourceStatus.Faulted;
    }

    protected void Register(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        CheckToken(token);
        if (Volatile.Read(ref _continuation) is { } earlier && !ReferenceEquals(earlier, CompletedMark))
        {
            // Before anything of the first registration is overwritten.
            ThrowAwaitedTwice();
        }

        _continuationState = state;
        _executionContext = (flags & ValueTaskSourceOnCompletedFlags.FlowExecutionContext) != 0 ? ExecutionContext.Capture() : null;
        _resumesOnPoller = Fd.Poller.IsCurrent;
        if (!_resumesOnPoller && (flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0)
        {
            CaptureContext();
        }

        Action<object?>? seen = _resumesOnPoller ? RegisterOnPoller(continuation) : Interlocked.CompareExchange(ref _continuation, continuation, null);
        if (seen is null)
        {
            return;
        }

        if (!ReferenceEquals(seen, CompletedMark))
        {
            ThrowAwaitedTwice();
        }

        // Never inside this call: the caller is still on its way out.
        _isCompleted = true;
        _continuation = continuation;
        QueueContinuation();
    }

    private Action<object?>? RegisterOnPoller(Action<object?> continuation)
    {
        Action<object?>? seen = _continuation;
        if (seen is null)
        {
            _continuation = continuation;
        }

        return seen;
    }

    /// <summary>Takes the result and makes the object ready for its next operation.</summary>
    protected OperationOutcome TakeOutcome(short token)
    {
        CheckToken(token);
        if (!IsCompleted)
        {
            throw new InvalidOperationException("The operation is still waiting: its result can be taken only when it has completed.");
        }

        OperationOutcome outcome = _outcome;
        EndCancellation();
        Version++;
        _isCompleted = false;
        _continuation = null;
        _continuationState = null;
        _context = null;
        _executionContext = null;
        return outcome;
    }

    private bool TryPark(out PollResult result)
    {
        if (IsUncancelable)
        {
            result = PollResult.Ready;
            return Fd.Descriptor.TryParkUncancelable(_mode, this);
        }

        return Fd.Descriptor.TryPark(_mode, this, out result);
    }

    // The token may have been cancelled between the last look and the park; its callback then found nothing to take out.
    private bool TryWithdrawCancelled(short version, out OperationOutcome outcome)
    {
        outcome = default;
        if (!Volatile.Read(ref _isCancelled) || !Fd.Descriptor.TryWithdraw(_mode, this))
        {
            return false;
        }

        if (Version != version)
        {
            // That wait is over, and this was the object's next one: it parks again by itself.
            Schedule(PollSignals.None);
            return false;
        }

        outcome = OperationOutcome.Cancelled;
        return true;
    }

    // Whatever an attempt throws ends the operation, or its lock would be held and its caller wait for ever.
    private OperationOutcome Attempt()
    {
        try
        {
            return OperationOutcome.From(Try());
        }
#pragma warning disable CA1031 // The exception is the awaiting code's, which gets it with the result.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return OperationOutcome.From(exception);
        }
    }

    // Any thread.
    private void Cancel()
    {
        Interlocked.Exchange(ref _isCancelled, true);
        if (Fd.Descriptor.TryWithdraw(_mode, this))
        {
            Schedule(PollSignals.None);
        }
    }

    private void Complete(OperationOutcome outcome)
    {
        _outcome = outcome;
        if (HoldsLock)
        {
            Fd.Unlock(_mode);
        }

        if (Volatile.Read(ref _continuation) is null && Interlocked.CompareExchange(ref _continuation, CompletedMark, null) is null)
        {
            return;
        }

        // Not run here, even on the poller: the neighbours' attempts come first, as Poller.RunReady tells.
        _isCompleted = true;
        QueueContinuation();
    }

    private void QueueContinuation()
    {
        if (_resumesOnPoller)
        {
            _isContinuationQueued = true;
            Fd.Poller.Post(this);
            return;
        }

        switch (_context)
        {
            case SynchronizationContext context:
                context.Post(static state => ((SocketOperation)state!).InvokeContinuation(), this);
                break;
            case TaskScheduler scheduler:
                _ = Task.Factory.StartNew(
                    static state => ((SocketOperation)state!).InvokeContinuation(),
                    this,
                    CancellationToken.None,
                    TaskCreationOptions.DenyChildAttach,
                    scheduler);
                break;
            default:
                // The operation is its own work item: nothing is allocated.
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
                break;
        }
    }

    private void InvokeContinuation()
    {
        Action<object?> continuation = _continuation!;
        object? state = _continuationState;
        if (_executionContext is null)
        {
            continuation(state);
            return;
        }

        ExecutionContext.Run(_executionContext, static call => ((Action<object?>)((object?[])call!)[0]!)(((object?[])call)[1]), new object?[] { continuation, state });
    }

    private void CaptureContext()
    {
        if (SynchronizationContext.Current is { } context && context.GetType() != typeof(SynchronizationContext))
        {
            _context = context;
        }
        else if (TaskScheduler.Current != TaskScheduler.Default)
        {
            _context = TaskScheduler.Current;
        }
    }

    private static void ThrowAwaitedTwice() => throw new InvalidOperationException("A waiting operation was awaited twice.");

    private void CheckToken(short token)
    {
        if (token != Version)
        {
            throw new InvalidOperationException("A task of an earlier operation was used: a ValueTask may be awaited only once.");
        }
    }
}
