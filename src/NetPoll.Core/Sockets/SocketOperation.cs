using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Sockets;

/// <summary>One direction's waiting operation: tries, parks while it would block, tries again; allocates nothing once warm.</summary>
/// <remarks>
/// It holds the direction's lock from its start until it completes, and leaves it before the continuation runs; the object itself is
/// reused only after its result was taken, so a second operation that starts in between gets another object. The continuation runs on
/// the poller if it was registered there, else on the captured context or the thread pool; never inside the call that freed the waiter.
/// Where the poller's other work has to run first it does not park but is queued, and attempts when its turn comes.
/// Go: the loops of <c>FD.Read</c>, <c>FD.Write</c>, <c>FD.Accept</c>.
/// </remarks>
internal abstract partial class SocketOperation : IPollWaiter, IPollerWork, IThreadPoolWorkItem
{
    private readonly PollMode _mode;
    private QueuedFor _queuedFor;
    private bool _isAttempting;

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

    /// <summary>Whether closing and deadlines are not looked at: the system still owns what the wait is about.</summary>
    protected virtual bool IsUncancelable => false;

    /// <summary>Whether it holds the direction's lock and leaves it when it completes.</summary>
    protected virtual bool HoldsLock => true;

    /// <summary>Whether it asks for readiness when it waits, where that does not come by itself.</summary>
    protected virtual bool AsksForReadiness => true;

    /// <summary>From the ready list, after a wake-up; parks again, silently, when there is nothing to see.</summary>
    public void Resume(PollSignals signals)
    {
        if (Fd.Descriptor.FinishWait(_mode))
        {
            // As Attempt does, but without a handler of its own, which would need code, and a page for it, of its own: the poller has one.
            _isAttempting = true;
            IoResult result = Try();
            _isAttempting = false;
            if (result.WouldBlock)
            {
                Fd.Poller.CountSpuriousWakeup();
            }

            GoOn(OperationOutcome.From(result));
        }
        else if (ParkOrTry(out OperationOutcome outcome))
        {
            Complete(outcome);
        }
    }

    /// <inheritdoc/>
    public bool TryFail(Exception exception)
    {
        if (!_isAttempting)
        {
            return false;
        }

        _isAttempting = false;
        Complete(OperationOutcome.From(exception));
        return true;
    }

    /// <inheritdoc/>
    public void Schedule(PollSignals signals) => Fd.Poller.Post(this);

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        QueuedFor queuedFor = _queuedFor;
        _queuedFor = QueuedFor.WakeUp;
        switch (queuedFor)
        {
            case QueuedFor.Continuation:
                InvokeContinuation();
                break;
            case QueuedFor.Attempt:
                AttemptAnew();
                break;
            default:
                ResumeFromQueue();
                break;
        }
    }

    // The loop over the queue knows nothing of waiters.
    private void ResumeFromQueue()
    {
        try
        {
            Resume(PollSignals.None);
        }
        catch (Exception exception) when (_isAttempting)
        {
            TryFail(exception);
        }
    }

    /// <summary>Who waits, for the one who asks what held a thread.</summary>
    public override string ToString() => $"{GetType().Name} of {Fd.Subject}, continued by {_continuationState ?? "nobody"}";

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

    /// <summary>Begins, by parking or by queueing itself.</summary>
    /// <param name="isPostponed">
    /// Whether it is queued for its first attempt, since the caller has used up its share of the poller's thread, on which it runs. Otherwise
    /// the caller has just seen that it would block.
    /// </param>
    /// <param name="outcome">How it ended.</param>
    /// <returns>True: done without waiting; the caller holds the lock. False: nothing of this object may be touched.</returns>
    protected bool BeginOrTry(bool isPostponed, out OperationOutcome outcome)
    {
        outcome = default;
        if (isPostponed)
        {
            QueueAttempt();
            return false;
        }

        // The way that nearly all go, in the code of the caller, where it needs no page of its own.
        PollResult? refused = null;
        if (!_canBeCancelled && !IsUncancelable && !Fd.Poller.IsToldLate)
        {
            if (Fd.Descriptor.TryPark(_mode, this, out PollResult result))
            {
                return false;
            }

            refused = result;
        }

        bool isDone = ParkOrTry(refused, out outcome);
        if (isDone)
        {
            Disarm();
        }

        return isDone;
    }

    private bool ParkOrTry(out OperationOutcome outcome) => ParkOrTry(refused: null, out outcome);

    /// <summary>Parks first, since the caller has just seen that it would block.</summary>
    /// <param name="refused">What kept the caller from parking, if he has tried it.</param>
    /// <param name="outcome">How it ended.</param>
    /// <returns>True: done without waiting, and the lock is still held. False: nothing of this object may be touched.</returns>
    private bool ParkOrTry(PollResult? refused, out OperationOutcome outcome)
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

            if (refused is null && AsksForReadiness)
            {
                Fd.Poller.Arm(Fd.Descriptor, _mode);
            }

            PollResult result = refused ?? PollResult.Ready;
            if (refused is null && TryPark(out result))
            {
                outcome = default;
                return canBeCancelled && TryWithdrawCancelled(version, out outcome);
            }

            refused = null;
            if (result != PollResult.Ready)
            {
                outcome = OperationOutcome.From(result);
                return true;
            }

            outcome = Attempt();
            if (outcome.Io.IsUnfinished)
            {
                QueueAttempt();
                return false;
            }

            if (!outcome.Io.WouldBlock)
            {
                return true;
            }
        }
    }

    // A wait for room that is over, as by a deadline, must not be looked after for the rest of the connection's life. A read needs nothing: what it
    // armed waits for bytes, whoever reads them.
    private void Disarm()
    {
        if (_mode == PollMode.Write)
        {
            Fd.Poller.Disarm(Fd.Descriptor, _mode);
        }
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

    // The poller's thread. Not in the slot meanwhile, so that nobody else can queue it.
    private void QueueAttempt()
    {
        _queuedFor = QueuedFor.Attempt;
        Fd.Poller.Post(this);
    }

    // Its turn has come: as an operation that begins, it looks first for what stands in its way.
    private void AttemptAnew()
    {
        if (_canBeCancelled && Volatile.Read(ref _isCancelled))
        {
            Complete(OperationOutcome.Cancelled);
            return;
        }

        PollResult prepared = Fd.Descriptor.Prepare(_mode);
        GoOn(prepared == PollResult.Ready ? Attempt() : OperationOutcome.From(prepared));
    }

    private void GoOn(OperationOutcome outcome)
    {
        if (outcome.Io.IsUnfinished)
        {
            QueueAttempt();
        }
        else if (!outcome.Io.WouldBlock || ParkOrTry(out outcome))
        {
            Complete(outcome);
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

    private enum QueuedFor : byte
    {
        WakeUp,
        Attempt,
        Continuation,
    }
}
