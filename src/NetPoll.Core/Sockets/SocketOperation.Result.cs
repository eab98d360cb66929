using System.Threading.Tasks.Sources;

namespace NetPoll.Core.Sockets;

/// <content>The result and the code that awaits it.</content>
internal abstract partial class SocketOperation
{
    private static readonly Action<object?> CompletedMark = static _ => throw new InvalidOperationException("The completion mark was invoked.");

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
    private OperationOutcome _outcome;

    /// <summary>The version that the next awaited task carries.</summary>
    protected short Version { get; private set; }

    // The flag is for a registered continuation, which alone looks at it.
    private bool IsCompleted => ReferenceEquals(Volatile.Read(ref _continuation), CompletedMark) || _isCompleted;

    /// <inheritdoc/>
    void IThreadPoolWorkItem.Execute() => InvokeContinuation();

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

    private void Complete(OperationOutcome outcome)
    {
        _outcome = outcome;

        // Before anybody else's wait in this direction can begin.
        Disarm();
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
            // From its thread: both who completes and who registers are there.
            _queuedFor = QueuedFor.Continuation;
            Fd.Poller.PostFromHere(this);
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
