using NetPoll.Actors.Pollers;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Connections;

/// <summary>A connection whose handlers run on the thread pool, because they block (<see cref="ConnectionScheduling.ThreadPool"/>).</summary>
/// <remarks>
/// The same connection, in which each call of a handler is one that awaits: it is parked, and nothing else is given to the handler until it
/// ends. What a handler does with the connection is posted to the poller; so is the end of its call, behind it: by the time that the next
/// call begins, all of it has been done, in order.
/// </remarks>
internal sealed class PooledConnection : Connection, IConnectionHandler
{
    // Whoever sends faster than the poller takes it waits for the poller.
    private const int MaxPostedBytes = 1024 * 1024;

    private ConnectionActor? _actor;

    // What the actor's message handler has left unfinished; the running call's.
    private Task? _unfinished;

    // Since the running call began something held reading back. The poller's.
    private bool _wasHeldBack;

    // Any thread.
    private int _postedBytes;

    internal PooledConnection(ActorPoller home, PollableSocket socket, PollDescriptor descriptor, IConnectionOwner owner)
        : base(home, socket, descriptor, owner)
    {
    }

    /// <inheritdoc/>
    public bool CountsMessages => Inner.CountsMessages;

    /// <inheritdoc/>
    public bool MayAwaitBytes => true;

    private IConnectionHandler Inner => _actor!;

    /// <summary>The actor has started and takes its connection, perhaps in the place of one that failed.</summary>
    internal void Attach(ConnectionActor actor, Action connected, Action<Exception> restarted)
    {
        _actor = actor;
        _unfinished = null;
        if (!IsRestarting)
        {
            Attach(this);
            Run(connected);
        }
        else if (Reattach(this) is { } failure)
        {
            Run(() => restarted(failure));
        }
    }

    /// <summary>Calls a handler on the thread pool. A turn only, which calls nothing else.</summary>
    /// <param name="call">The handler.</param>
    /// <param name="after">Done on the poller when the call has succeeded, and the verbs of it before.</param>
    internal void Run(Func<Task> call, Action? after = null)
    {
        _wasHeldBack = HoldsBack;
        ParkHandler(Begin(call, after));
    }

    /// <summary>See <see cref="Run(Func{Task}, Action?)"/>.</summary>
    internal void Run(Action call, Action? after = null) => Run(ToAsync(call), after);

    /// <summary>Does something with the connection on its poller, after what was posted before, and waits for it. Any thread.</summary>
    internal T Do<TArgument, T>(TArgument argument, Func<Connection, TArgument, T> verb)
    {
        if (Home.Poller.IsCurrent)
        {
            return verb(this, argument);
        }

        TaskCompletionSource<T> done = new();
        Post(() =>
        {
            try
            {
                done.SetResult(verb(this, argument));
            }
#pragma warning disable CA1031 // The exception is the caller's, who waits.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                done.SetException(exception);
            }

            _wasHeldBack |= HoldsBack;
        });
        return done.Task.GetAwaiter().GetResult();
    }

    /// <inheritdoc/>
    int IConnectionHandler.Received(ReadOnlySpan<byte> bytes) => _actor!.ReceivePooled(this, bytes);

    /// <summary>What a handler that takes bytes as they come is given: a copy, of which it may leave a part.</summary>
    internal int Receive(byte[] bytes, Func<byte[], int> call)
    {
        int consumed = 0;
        Run(
            () => { consumed = Check(call(bytes), bytes.Length); },
            () =>
            {
                if (consumed < bytes.Length)
                {
                    // Left because it held reading back: then it is offered without new bytes, even if reading goes on already.
                    PutBack(bytes.AsSpan(consumed), offerAgain: _wasHeldBack);
                }
            });
        return bytes.Length;
    }

    /// <inheritdoc/>
    void IConnectionHandler.PeerClosed() => Run(Inner.PeerClosed);

    /// <inheritdoc/>
    void IConnectionHandler.PeerHungUp() => Run(Inner.PeerHungUp);

    /// <inheritdoc/>
    void IConnectionHandler.DeadlinePassed(DeadlineKind kind) => Run(() => Inner.DeadlinePassed(kind));

    /// <inheritdoc/>
    void IConnectionHandler.WritesSuspended() => Run(Inner.WritesSuspended);

    /// <inheritdoc/>
    void IConnectionHandler.WritesResumed() => Run(Inner.WritesResumed);

    /// <inheritdoc/>
    void IConnectionHandler.OutputDropped(DroppedOutput dropped) => Run(() => Inner.OutputDropped(dropped));

    /// <inheritdoc/>
    void IConnectionHandler.Moved() => Run(Inner.Moved);

    /// <inheritdoc/>
    void IConnectionHandler.ShutdownRequested() => Run(Inner.ShutdownRequested);

    /// <inheritdoc/>
    void IConnectionHandler.Failed(Exception exception, object? message) => Inner.Failed(exception, message);

    /// <inheritdoc/>
    void IConnectionHandler.Closed(ConnectionClosed closed) => Inner.Closed(closed);

    /// <inheritdoc/>
    internal override void AwaitHandler(Task task) => _unfinished = task;

    /// <inheritdoc/>
    protected override bool MayAwait(object message) => true;

    /// <inheritdoc/>
    protected override Task InvokeUser(IMessageInvoker invoker, object message)
    {
        Run(() => InvokeAsync(invoker.InvokeUserMessageAsync(message)));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override Task InvokeSystem(IMessageInvoker invoker, SystemMessage message)
    {
        if (message is not (Terminated or ReceiveTimeout or Continuation))
        {
            return base.InvokeSystem(invoker, message);
        }

        Run(() => InvokeAsync(invoker.InvokeSystemMessageAsync(message)));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    private protected override void TellOfEnd(ConnectionClosed closed)
    {
        if (_actor is null)
        {
            base.TellOfEnd(closed);
        }
        else
        {
            // The owner last, as ever: what it does then may be about an actor that knows.
            Park(Begin(ToAsync(() => Inner.Closed(closed)), () => Owner.ConnectionEnded(closed)));
        }
    }

    /// <inheritdoc/>
    private protected override void SendElsewhere(ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        PostOutput(copy.Length, () => Send(copy));
    }

    /// <inheritdoc/>
    private protected override void SendElsewhere(SharedPayload payload)
    {
        SharedPayload shared = payload.Share();
        PostOutput(payload.Length, () =>
        {
            Send(shared);
            shared.Dispose();
        });
    }

    /// <inheritdoc/>
    private protected override void CheckElsewhere()
    {
    }

    private static Func<Task> ToAsync(Action call) => () =>
    {
        call();
        return Task.CompletedTask;
    };

    private Task Begin(Func<Task> call, Action? after)
    {
        PooledCall begun = new(this, call, after);
        ThreadPool.UnsafeQueueUserWorkItem(begun, preferLocal: false);
        return begun.Done;
    }

    // The context's own task, and what the actor's handler has left unfinished.
    private async Task InvokeAsync(Task invoked)
    {
        await invoked.ConfigureAwait(false);
        if (_unfinished is { } unfinished)
        {
            _unfinished = null;
            await unfinished.ConfigureAwait(false);
        }
    }

    private void PostOutput(int bytes, Action send)
    {
        int posted = Interlocked.Add(ref _postedBytes, bytes);
        Post(() =>
        {
            Interlocked.Add(ref _postedBytes, -bytes);
            send();
        });
        if (posted > MaxPostedBytes)
        {
            Do(0, static (_, _) => 0);
        }
    }

    private void Post(Action action) => Home.Poller.Post(new Verb(this, action));

    /// <summary>Something to be done on the connection's poller, wherever it lives by then.</summary>
    private class Verb(PooledConnection connection, Action action) : IPollerWork
    {
        IPollerWork? IPollerWork.Next { get; set; }

        public override string ToString() => connection.ToString();

        void IPollerWork.Run()
        {
            if (connection.IsHere)
            {
                action();
            }
            else
            {
                connection.Home.Poller.Post(this);
            }
        }
    }

    /// <summary>One call of a handler: it runs on the thread pool, and ends on the poller.</summary>
    private sealed class PooledCall(PooledConnection connection, Func<Task> call, Action? after) : IThreadPoolWorkItem
    {
        private readonly TaskCompletionSource _done = new();

        /// <summary>Ends on the poller, with what the handler threw or what followed it.</summary>
        internal Task Done => _done.Task;

        void IThreadPoolWorkItem.Execute() => _ = RunAsync();

        private async Task RunAsync()
        {
            Exception? failure = null;
            try
            {
                await call().ConfigureAwait(false);
            }
#pragma warning disable CA1031 // Around a handler's turn: its supervisor decides.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = exception;
            }

            connection.Post(() => End(failure));
        }

        private void End(Exception? failure)
        {
            try
            {
                if (failure is null)
                {
                    after?.Invoke();
                }
            }
#pragma warning disable CA1031 // As above; the poller's loop is not to be taken along.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = exception;
            }

            if (failure is null)
            {
                _done.SetResult();
            }
            else
            {
                _done.SetException(failure);
            }
        }
    }
}
