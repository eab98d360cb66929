using NetPoll.Core.Scheduling;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Pollers;

/// <summary>A mailbox that runs on a poller's thread, and the process that its PID leads to: one object for both.</summary>
/// <remarks>
/// It behaves as Proto.Actor's default mailbox: system messages before each user message, suspension, a throughput limit, no two messages
/// at once, exceptions to the supervisor. It differs where the default loses messages: what arrives before the start waits for it, and
/// what is queued behind a fatal failure becomes dead letters.
/// Posting never runs a message; only the poller's loop does. Signals are bits that coalesce; they reach the actor as one user message.
/// A handler whose task is unfinished is parked here: nothing else is taken until it ends, and it goes on on the poller's thread.
/// The poller may change: a run on a poller that is no longer ours posts itself to the right one.
/// </remarks>
internal class PollerMailbox : Process, IMailbox, IPollerWork
{
    private const int Idle = 0;
    private const int Busy = 1 << 30;

    // A signal that no turn takes.
    private const int LeaveRequested = 1 << 29;

    private readonly int _throughput;
    private MailboxQueue _system;
    private MailboxQueue _user;

    // A moment old for whoever reads it.
    private int _userCount;
    private IMessageInvoker? _invoker;

    private ActorPoller _home;
    // Word     the poller on whose thread the turns run.
    // Writers  a mailbox that is nothing but a mailbox: any thread. One that owns more than its queues (a connection: descriptor, timers, a
    //          place in lists) is moved by whoever holds Busy, on the thread of the poller that is written here, between turns, as its last
    //          act; what receives it at the other poller is queued there by that act. So a thread that finds its own poller here owns the
    //          mailbox, one that finds another owns nothing, and at every moment there is one owner. Until it has been received nothing
    //          may touch it there either (IsHere).
    // Race     what was queued or posted for the mailbox at the old poller, and what reaches the new one before the mailbox does.
    // Order    messages and signals lie in the words below, which do not move; whoever finds Busy leaves them there, and the first turn at
    //          the new poller takes them in the order in which they were posted. All other work looks here when it runs, and follows.
    // Proof    PollerMailboxTests, MovingTests.

    // Busy until Start, so that what is posted before waits.
    private int _status = Busy;
    // Word     Busy (queued at the poller, running, parked, or on its way to another poller), and the signals that no turn has taken yet.
    // Writers  any thread, by Or: its bits and Busy; whoever finds it not busy queues the mailbox. The poller's ready list, by CAS from 0:
    //          then the turn runs at once, with signals that never were in the word. The turn: takes the bits by And; ends by CAS.
    // Race     a message or a signal that arrives while a turn ends.
    // Order    post: push (CAS), then look here. signal: Or here. end of turn: CAS Busy away if there are no bits, then look at the queues.
    //          The push, the Or and that CAS are successful read-modify-writes, so at least one side sees the other. A poster may see Busy
    //          by a plain read: the end of that turn is still to come, and looks at the queues after it.
    // Proof    PollerMailboxTests.

    // The turn's alone. The context is made for the first handler that may await, and for the first failure.
    private int _ownSignals;
    private MailboxContext? _context;

    internal PollerMailbox(ActorSystem system, ActorPoller home, int throughput)
        : base(system)
    {
        _home = home;
        _throughput = throughput;
    }

    /// <summary>Proto.Actor's default: messages per turn.</summary>
    internal const int DefaultThroughput = 300;

    /// <inheritdoc/>
    public int UserMessageCount => Math.Max(0, Volatile.Read(in _userCount));

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <summary>Its actor's PID; null before there is an actor and after it has stopped. Any thread.</summary>
    internal virtual PID? Pid => (Volatile.Read(ref _invoker) as IInfoContext)?.Self;

    /// <summary>The poller on whose thread the turns run.</summary>
    internal ActorPoller Home => Volatile.Read(ref _home);

    /// <summary>Whether the caller's thread may touch what the mailbox owns; if not, work for it follows it. Any thread.</summary>
    internal virtual bool IsHere => Home.Poller.IsCurrent;

    /// <summary>What brings code back to the mailbox's poller. The turn only.</summary>
    internal MailboxContext Context => _context ??= new MailboxContext(this);

    /// <summary>Whether a failure waits for its supervisor. The turn, or who holds it.</summary>
    protected bool IsSuspended => _context is { SuspendedAs: not null };

    // Raised by others and in the word, or by a turn for itself.
    private bool HasSignals => _ownSignals != 0 || Volatile.Read(ref _status) != Busy;

    // An actor whose system has shut down hears nothing more: signals that wait for it would be dead letters, turn after turn, for ever.
    private bool HearsSignals => !IsSuspended && SignalMessage is not null && !System.Shutdown.IsCancellationRequested;

    /// <summary>A user message that tells the actor to look at its signals; null where there are no signals.</summary>
    protected virtual object? SignalMessage => null;

    /// <inheritdoc/>
    public void PostUserMessage(object msg)
    {
        if (MessageEnvelope.UnwrapMessage(msg) is IMessageBatch batch)
        {
            foreach (object message in batch.GetMessages())
            {
                EnqueueUser(message);
                OnPosted(message);
            }

            if (batch is IAutoRespond)
            {
                EnqueueUser(msg);
            }
        }
        else
        {
            EnqueueUser(msg);
        }

        OnPosted(msg);
        Schedule();
    }

    /// <inheritdoc/>
    public void PostSystemMessage(object msg)
    {
        _system.Enqueue(msg);
        if (msg is global::Proto.Stop)
        {
            // On the poster's thread and at once, as the default mailbox does: it ends what a handler waits for.
            Volatile.Read(ref _invoker)?.CancellationTokenSource?.Cancel();
        }

        OnPosted(msg);
        Schedule();
    }

    /// <inheritdoc/>
    public void RegisterHandlers(IMessageInvoker invoker, IDispatcher dispatcher) => Volatile.Write(ref _invoker, invoker);

    /// <inheritdoc/>
    public virtual void Start() => _ = TryRest();

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        ActorPoller home = Home;
        if (!home.Poller.IsCurrent)
        {
            home.Poller.Post(this);
        }
        else if ((Volatile.Read(ref _status) & LeaveRequested) == 0 || !TryLeave(home))
        {
            RunTurn(home);
        }
    }

    /// <summary>The actor's PID and type, for the one who asks what held a thread.</summary>
    public override string ToString() => _invoker is IInfoContext context ? $"{context.Self.Id} ({NameOf(context.Actor)})" : GetType().Name;

    /// <summary>From its next turn on the mailbox runs on another poller. Who may: see the word.</summary>
    internal void MoveTo(ActorPoller home) => Volatile.Write(ref _home, home);

    /// <summary>Parks a handler's unfinished task: until it ends nothing else is taken. From inside a turn only.</summary>
    internal void Park(Task task) => Context.Park(task);

    /// <summary>Gives a parked task away, to somebody who waits for it himself. From inside a turn only.</summary>
    internal Task? TakeParked() => _context?.TakeParked();

    /// <inheritdoc/>
    protected override void SendUserMessage(PID pid, object message) => PostUserMessage(message);

    /// <inheritdoc/>
    protected override void SendSystemMessage(PID pid, SystemMessage message) => PostSystemMessage(message);

    /// <summary>Raises signals and sees to it that a turn follows. Any thread; runs nothing.</summary>
    protected void Signal(int signals)
    {
        if ((Interlocked.Or(ref _status, signals | Busy) & Busy) == 0)
        {
            Home.Poller.Post(this);
        }
    }

    /// <summary>Raises signals from the poller's ready list, and runs a turn straight away if nothing is in its way.</summary>
    protected void SignalAndRun(int signals)
    {
        ActorPoller home = Home;
        if (IsSuspended || !home.Poller.IsCurrent || Interlocked.CompareExchange(ref _status, Busy, Idle) != Idle)
        {
            Signal(signals);
            return;
        }

        _ownSignals |= signals;
        if (_system.IsEmpty && _user.IsEmpty)
        {
            RunTurn(home);
        }
        else
        {
            home.Poller.Post(this);
        }
    }

    /// <summary>Takes the raised signals. The turn only.</summary>
    protected int TakeSignals()
    {
        int signals = _ownSignals;
        _ownSignals = 0;
        if (Volatile.Read(ref _status) != Busy)
        {
            signals |= Interlocked.And(ref _status, Busy | LeaveRequested) & ~(Busy | LeaveRequested);
        }

        return signals;
    }

    /// <summary>Before its next turns <see cref="TryLeave"/> is asked, until <see cref="StayHere"/>. Any thread.</summary>
    protected void RequestLeave() => Signal(LeaveRequested);

    /// <summary>It need not be asked any more. Whoever holds the turn.</summary>
    protected void StayHere() => Interlocked.And(ref _status, ~LeaveRequested);

    /// <summary>The moment to leave for another poller: on the present one's thread, between turns, and no turn can begin.</summary>
    /// <returns>True: it has left, and the caller touches it no more. False: the turn comes.</returns>
    protected virtual bool TryLeave(ActorPoller home) => false;

    /// <summary>Raises signals from inside a turn, for the next one.</summary>
    protected void SignalNextTurn(int signals) => _ownSignals |= signals;

    /// <summary>A turn begins, on the poller's thread.</summary>
    protected virtual void BeginTurn(ActorPoller home)
    {
    }

    /// <summary>A turn ends, on the poller's thread; must not throw.</summary>
    protected virtual void EndTurn(ActorPoller home)
    {
    }

    /// <summary>A message failed; its supervisor is told next. The poller's thread; must not throw.</summary>
    protected virtual void OnFailure(Exception exception, object? message)
    {
    }

    /// <summary>Whether the handler of this message may await, so that what follows must be known as this mailbox's.</summary>
    protected virtual bool MayAwait(object message) => true;

    /// <summary>Hands a user message to the actor.</summary>
    protected virtual Task InvokeUser(IMessageInvoker invoker, object message) => invoker.InvokeUserMessageAsync(message);

    /// <summary>Hands a system message to the actor's context.</summary>
    protected virtual Task InvokeSystem(IMessageInvoker invoker, SystemMessage message) => invoker.InvokeSystemMessageAsync(message);

    /// <summary>A message was posted. Any thread.</summary>
    protected virtual void OnPosted(object message)
    {
    }

    /// <summary>A message was handled, and did not fail. The turn only, or what follows its await.</summary>
    protected virtual void OnHandled(object message)
    {
    }

    /// <summary>Nothing is left to do. The turn only, or what follows its await.</summary>
    protected virtual void OnIdle()
    {
    }

    private void EnqueueUser(object message)
    {
        Interlocked.Increment(ref _userCount);
        _user.Enqueue(message);
    }

    private void Schedule()
    {
        if ((Volatile.Read(ref _status) & Busy) == 0)
        {
            Signal(0);
        }
    }

    private void RunTurn(ActorPoller home, bool maySignal = true)
    {
        object? message = null;
        Task? unfinished = null;
        BeginTurn(home);
        try
        {
            unfinished = TakeMessages(ref message, maySignal);
        }
#pragma warning disable CA1031 // Around a handler's turn: its supervisor decides.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Escalate(exception, message);
        }

        EndTurn(home);
        if (unfinished is null)
        {
            Rest();
        }
        else
        {
            _ = FinishAsync(unfinished, message);
        }

        if (_context is not null)
        {
            home.LeaveContext();
        }
    }

    // Up to the throughput; ends early at a task that is unfinished, which it returns.
    private Task? TakeMessages(ref object? message, bool maySignal)
    {
        IMessageInvoker invoker = _invoker!;
        bool isInContext = false;
        for (int taken = 0; taken < _throughput; taken++)
        {
            Task task;
            if (_system.TryDequeue(out message))
            {
                EnterContext(message, ref isInContext);
                task = TakeSystem(invoker, (SystemMessage)message);
            }
            else if (IsSuspended)
            {
                return null;
            }
            else if (maySignal && HasSignals && SignalMessage is { } signal)
            {
                // Once a turn: what signals itself again gives way to the messages that wait.
                maySignal = false;
                message = signal;
                EnterContext(message, ref isInContext);
                task = invoker.InvokeUserMessageAsync(signal);
            }
            else if (_user.TryDequeue(out message))
            {
                Interlocked.Decrement(ref _userCount);
                EnterContext(message, ref isInContext);
                task = InvokeUser(invoker, message);
            }
            else
            {
                return null;
            }

            if (TakeParked() is { } parked)
            {
                task = parked;
            }

            if (!task.IsCompletedSuccessfully)
            {
                if (!task.IsCompleted)
                {
                    return task;
                }

                task.GetAwaiter().GetResult();
            }

            OnHandled(message);
        }

        return null;
    }

    private void EnterContext(object message, ref bool isInContext)
    {
        if (!isInContext && MayAwait(message))
        {
            isInContext = true;
            SynchronizationContext.SetSynchronizationContext(Context);
        }
    }

    private Task TakeSystem(IMessageInvoker invoker, SystemMessage message)
    {
        switch (message)
        {
            case SuspendMailbox:
                Context.SuspendedAs = Registered() ?? this;
                break;
            case ResumeMailbox:
                Context.SuspendedAs = null;
                break;
        }

        return InvokeSystem(invoker, message);
    }

    // What our PID leads to now: the actor's process, until it has stopped for good.
    private Process? Registered() => _invoker is IInfoContext context ? System.ProcessRegistry.Get(context.Self) : null;

    private async Task FinishAsync(Task task, object? message)
    {
        try
        {
            // Begun in the turn, so it comes back to the poller's thread.
            await task;
            OnHandled(message!);
        }
#pragma warning disable CA1031 // Around a handler's turn: its supervisor decides.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Escalate(exception, message);
        }

        ActorPoller home = Home;
        if (ReferenceEquals(message, SignalMessage) && !_user.IsEmpty && home.Poller.IsCurrent)
        {
            // What signals itself again would be the next turn's first, and its handler might await again: the messages that wait come first.
            RunTurn(home, maySignal: false);
        }
        else
        {
            Rest();
        }
    }

    private void Escalate(Exception exception, object? message)
    {
        OnFailure(exception, message);
        try
        {
            _invoker!.EscalateFailure(exception, message);
        }
#pragma warning disable CA1031 // A strategy that throws must not take the poller's loop with it.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            Diagnostics.Log.SupervisionFailed(Home.Logger, failure, exception.Message);
        }
    }

    private void Rest()
    {
        if (TryRest())
        {
            OnIdle();
        }
    }

    // Ends the turn, or goes on with another if something came meanwhile.
    private bool TryRest()
    {
        if (_context is { SuspendedAs: { } process } && Registered() is { } current && !ReferenceEquals(current, process))
        {
            // Stopped for good while suspended: the context now turns what is queued into dead letters, if it is given to it.
            _context.SuspendedAs = null;
        }

        while (true)
        {
            if (HasSignals && HearsSignals)
            {
                Home.Poller.Post(this);
                return false;
            }

            // Bits stay where they are while they cannot be delivered.
            int status = Volatile.Read(ref _status);
            if ((status == Busy || !HearsSignals) && Interlocked.CompareExchange(ref _status, status & ~Busy, status) == status)
            {
                break;
            }
        }

        if (!_system.IsEmpty || (!IsSuspended && !_user.IsEmpty))
        {
            Schedule();
            return false;
        }

        return true;
    }

    private static string NameOf(IActor actor) => (actor is ActorOnPoller bound ? bound.Inner : actor).GetType().Name;
}
