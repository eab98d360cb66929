using System.Threading.Tasks.Sources;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Sockets;

/// <content>The result and the code that awaits it.</content>
internal abstract partial class SocketOperation
{
    private const int Pending = 0;
    private const int Registered = 1;
    private const int Completed = 2;

    private int _progress;
    // Word     Pending | Registered, when the code that awaits has said how it goes on | Completed, when the result is there.
    // Writers  the awaiting code (Register) and the poller (Complete), each from Pending; the poller from Registered, which ends the race.
    // Race     the result against the registration; and a result that is taken, and the object reused, while Complete still runs.
    // Order    the outcome and the continuation are written before the CAS. Whoever comes second queues the continuation, so it is queued
    //          once. If Complete comes first its CAS is its last touch of this object: from then on the awaiting code may take the result
    //          at any time. A registration on the poller's own thread races with nothing, since that thread completes, too: a plain write.
    // Proof    SocketOperationTests.

    private Action<object?>? _continuation;
    private object? _continuationState;
    private object? _context;
    private ExecutionContext? _executionContext;
    private bool _resumesOnPoller;
    private PollResult _result;
    private IoResult _io;
    private Exception? _failure;

    private bool _isLent;
    // Word     whether an operation in progress uses this object, or its result was not taken yet.
    // Writers  who holds the direction's lock raises it, so there is one; whoever takes the result clears it, any thread.
    // Race     one that is given back while the next operation looks: it makes another object, which is garbage later.
    // Order    all that taking the result wrote comes before the release, and the next user reads it after his acquiring look.
    // Proof    SocketOperationTests.

    /// <summary>The version that the next awaited task carries.</summary>
    protected short Version { get; private set; }

    private OperationOutcome Outcome => new(_result, _io) { Failure = _failure };

    private bool IsCompleted => Volatile.Read(ref _progress) == Completed;

    /// <inheritdoc/>
    void IPollWaiter.Continue() => InvokeContinuation();

    /// <inheritdoc/>
    void IThreadPoolWorkItem.Execute() => InvokeContinuation();

    /// <summary>Begins a use, under the direction's lock.</summary>
    /// <returns>False: the last use has not ended.</returns>
    internal bool TryLend()
    {
        if (Volatile.Read(ref _isLent))
        {
            return false;
        }

        _isLent = true;
        return true;
    }

    /// <summary>Begins the first use of a new object, which is kept for the next if none is yet. Under the direction's lock.</summary>
    internal static T Lend<T>(ref T? kept, T made)
        where T : SocketOperation
    {
        made._isLent = true;
        kept ??= made;
        return made;
    }

    protected void GiveBack()
    {
        // Kept until here for the exception; from here on it would only keep its source alive.
        _token = default;
        Volatile.Write(ref _isLent, false);
    }

    protected ValueTaskSourceStatus StatusOf(short token)
    {
        CheckToken(token);
        if (!IsCompleted)
        {
            return ValueTaskSourceStatus.Pending;
        }

        OperationOutcome outcome = Outcome;
        return outcome.IsSuccess ? ValueTaskSourceStatus.Succeeded
            : outcome.IsCancelled ? ValueTaskSourceStatus.Canceled
            : ValueTaskSourceStatus.Faulted;
    }

    protected void Register(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        CheckToken(token);
        if (_continuation is not null)
        {
            // Before anything of the first registration is overwritten.
            ThrowAwaitedTwice();
        }

        _continuation = continuation;
        _continuationState = state;
        if ((flags & ValueTaskSourceOnCompletedFlags.FlowExecutionContext) != 0)
        {
            _executionContext = ExecutionContext.Capture();
        }

        _resumesOnPoller = Fd.Poller.IsCurrent;
        if (_resumesOnPoller)
        {
            if (_progress == Pending)
            {
                _progress = Registered;
                return;
            }
        }
        else
        {
            if ((flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0)
            {
                CaptureContext();
            }

            switch (Interlocked.CompareExchange(ref _progress, Registered, Pending))
            {
                case Pending:
                    return;
                case Registered:
                    ThrowAwaitedTwice();
                    break;
            }
        }

        // Never inside this call: the caller is still on its way out.
        QueueContinuation();
    }

    /// <summary>Takes the result and makes the object ready for its next operation.</summary>
    protected OperationOutcome TakeOutcome(short token)
    {
        CheckToken(token);
        if (!IsCompleted)
        {
            throw new InvalidOperationException("The operation is still waiting: its result can be taken only when it has completed.");
        }

        OperationOutcome outcome = Outcome;
        EndCancellation();
        Version++;
        _progress = Pending;
        _continuation = null;
        _continuationState = null;
        _context = null;
        _executionContext = null;
        _failure = null;
        return outcome;
    }

    private void Complete(OperationOutcome outcome)
    {
        _result = outcome.Poll;
        _io = outcome.Io;
        if (outcome.Failure is { } failure)
        {
            // Not written in vain: writing a reference is a call of the collector's.
            _failure = failure;
        }

        // Before anybody else's wait in this direction can begin.
        Disarm();
        if (HoldsLock)
        {
            Fd.Unlock(_mode);
        }

        if (Volatile.Read(ref _progress) == Pending && Interlocked.CompareExchange(ref _progress, Completed, Pending) == Pending)
        {
            return;
        }

        // Not run here, even on the poller: the neighbours' attempts come first, as Poller.RunBatches tells.
        Volatile.Write(ref _progress, Completed);
        if (!_resumesOnPoller || !Fd.Poller.TryContinueInBatch(this))
        {
            QueueContinuation();
        }
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
            if (ReferenceEquals(continuation, AwaiterContinuation.InvokeAction))
            {
                // What it would do, without going to see it.
                ((Action)state!)();
                return;
            }

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
