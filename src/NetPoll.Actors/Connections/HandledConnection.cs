using Microsoft.Extensions.Logging;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using Proto;
using Proto.Context;
using Proto.Mailbox;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors.Connections;

/// <summary>The second door: a connection that is no actor itself but tells one, by messages, and is told by messages to its PID.</summary>
/// <remarks>
/// The same connection with another handler: this object. It takes its mailbox's messages itself, so a connection costs neither an actor
/// nor a context. Only when somebody watches it does it get a context, which then does for the watchers what it does for those of any actor.
/// </remarks>
internal sealed class HandledConnection : Connection, IConnectionHandler, IMessageInvoker
{
    private static readonly Props WatchedProps = Props.FromProducer(static () => new Bystander());

    private readonly PID _self;
    private PID? _handler;

    internal HandledConnection(ActorPoller home, PollableSocket socket, PollDescriptor descriptor, IConnectionOwner owner, PID self)
        : base(home, socket, descriptor, owner) => _self = self;

    /// <inheritdoc/>
    CancellationTokenSource? IMessageInvoker.CancellationTokenSource => null;

    /// <inheritdoc/>
    internal override PID? Pid => _self;

    /// <inheritdoc/>
    bool IConnectionHandler.CountsMessages => false;

    /// <inheritdoc/>
    bool IConnectionHandler.MayAwaitBytes => false;

    /// <inheritdoc/>
    public override string ToString() => _self.Id;

    /// <summary>The handler has stopped: nobody is left to talk to the peer. The poller's thread.</summary>
    internal void HandlerStopped(PID handler)
    {
        if (handler.Equals(_handler))
        {
            RequestClose(CloseReason.HandlerStopped, exception: null, reset: true);
        }
    }

    /// <inheritdoc/>
    Task IMessageInvoker.InvokeSystemMessageAsync(SystemMessage msg)
    {
        switch (msg)
        {
            case Started:
                Begin();
                break;
            case global::Proto.Stop when _handler is not null:
                CloseForStop(failure: null);
                break;
            case Watch or Unwatch:
                Watched ??= MakeWatched();
                return Watched.InvokeSystemMessageAsync(msg);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    Task IMessageInvoker.InvokeUserMessageAsync(object msg)
    {
        if (ReferenceEquals(msg, ConnectionSignal.Instance))
        {
            RunSignals();
            return Task.CompletedTask;
        }

        (object? message, PID? sender, MessageHeader header) = MessageEnvelope.Unwrap(msg);
        if (Phase == ConnectionPhase.Closed || !TryObey(message!, sender))
        {
            System.EventStream.Publish(new DeadLetterEvent(_self, message!, sender, header));
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    void IMessageInvoker.EscalateFailure(Exception reason, object? message)
    {
        // Failed has logged it. There is no supervisor: this connection ends, and no other is touched.
        CloseForStop(reason);
    }

    /// <inheritdoc/>
    int IConnectionHandler.Received(ReadOnlySpan<byte> bytes)
    {
        Tell(new Received(_self, bytes.ToArray()));
        return bytes.Length;
    }

    /// <inheritdoc/>
    void IConnectionHandler.PeerClosed() => Tell(new PeerClosed(_self));

    /// <inheritdoc/>
    void IConnectionHandler.PeerHungUp() => Tell(new PeerHungUp(_self));

    /// <inheritdoc/>
    void IConnectionHandler.DeadlinePassed(DeadlineKind kind) => Tell(new DeadlineExceeded(_self, kind) { Profile = Deadlines });

    /// <inheritdoc/>
    void IConnectionHandler.WritesSuspended() => Tell(new WritesSuspended(_self, OutputBytes));

    /// <inheritdoc/>
    void IConnectionHandler.WritesResumed() => Tell(new WritesResumed(_self));

    /// <inheritdoc/>
    void IConnectionHandler.OutputDropped(DroppedOutput dropped) => Tell(new OutputDropped(_self, dropped));

    /// <inheritdoc/>
    void IConnectionHandler.ShutdownRequested() => Tell(new ServerStopping(_self));

    /// <inheritdoc/>
    void IConnectionHandler.Failed(Exception exception, object? message) => Log.HandlerFailed(
        Home.Logger,
        exception,
        _self.Id,
        RemoteEndPoint,
        ReferenceEquals(message, ConnectionSignal.Instance) ? "received bytes" : message?.GetType().Name ?? "nothing");

    /// <inheritdoc/>
    void IConnectionHandler.Closed(ConnectionClosed closed)
    {
        ILogger logger = Home.Logger;
        if (logger.IsEnabled(LogLevel.Debug))
        {
            Log.Closed(logger, _self.Id, RemoteEndPoint, closed.Reason);
        }

        Tell(closed with { Connection = _self });
        Home.Handlers.Remove(_handler!);
        System.ProcessRegistry.Remove(_self);

        // Completes at once: it has no children. The descriptor is gone, the PID too, and now its watchers learn it.
        _ = Watched?.InvokeSystemMessageAsync(global::Proto.Stop.Instance);
    }

    /// <inheritdoc/>
    protected override bool MayAwait(object message) => false;

    /// <inheritdoc/>
    protected override void AtLeaving(ActorPoller home) => home.Handlers.Remove(_handler!);

    /// <inheritdoc/>
    protected override void AtArrival(ActorPoller home) => home.Handlers.Add(_handler!);

    /// <inheritdoc/>
    protected override IMessageInvoker MakeInvoker(ActorPoller home, PID pid)
    {
        _handler = Owner.HandlerOf!(pid) ?? throw new InvalidOperationException($"No handler was given for the connection {pid.Id}; expected a PID.");
        return this;
    }

    private void Begin()
    {
        Home.Handlers.Add(_handler!);
        Attach(this);
        Tell(new Connected(_self, RemoteEndPoint, LocalEndPoint) { PeerCredentials = PeerCredentials });
    }

    private bool TryObey(object message, PID? sender)
    {
        switch (message)
        {
            case Write write:
                Answer(sender, write.Acknowledge, write.Token, TrySend(write.Bytes));
                break;
            case WriteBatch batch:
                bool taken = true;
                foreach (ReadOnlyMemory<byte> piece in batch.Pieces)
                {
                    taken &= TrySend(piece);
                }

                Answer(sender, batch.Acknowledge, batch.Token, taken);
                break;
            case SharedPayload payload:
                Send(payload);
                break;
            case Actors.SuspendReading:
                SuspendReading();
                System.Root.Send(sender ?? _handler!, new ReadingSuspended(_self));
                break;
            case Actors.ResumeReading:
                ResumeReading();
                break;
            case Actors.Demand demand:
                Demand(demand.Count, demand.Unit);
                break;
            case SetDeadline deadline:
                SetReadDeadline(deadline.Deadline);
                break;
            case SetIdleTimeout idle:
                IdleTimeout = idle.Timeout;
                break;
            case SetDeadlines deadlines:
                Deadlines = deadlines.Profile;
                if (sender is not null)
                {
                    System.Root.Send(sender, new DeadlinesSet(_self, deadlines.Profile));
                }

                break;
            case SetHeartbeat heartbeat:
                Heartbeat = heartbeat.Heartbeat;
                break;
            case Actors.SendStream stream:
                Obey(stream, sender);
                break;
            case Actors.SendFile file:
                AnswerWhenSent(sender, file.Token, SendFile(file.Path, file.Offset, file.Length, CancellationToken.None));
                break;
            case SetRateLimits limits:
                RateLimits = limits.Limits;
                break;
            case Actors.HeartbeatAnswered:
                HeartbeatAnswered();
                break;
            case SetHandler handler:
                ChangeHandler(handler.Handler);
                break;
            case MoveConnection move:
                _ = RequestMove(move.Poller, sender);
                break;
            case Actors.Close or PoisonPill:
                Close(CloseReason.Local);
                break;
            case ConfirmedClose:
                CloseWrite();
                break;
            case Abort:
                RequestClose(CloseReason.Aborted, exception: null, reset: true);
                break;
            case Touch when sender is not null:
                System.Root.Send(sender, new Touched { Who = _self });
                break;
            default:
                return false;
        }

        return true;
    }

    private bool TrySend(ReadOnlyMemory<byte> bytes)
    {
        Send(bytes.Span);
        return IsWritable;
    }

    private void Answer(PID? sender, Acknowledge when, object? token, bool taken)
    {
        if (when == Acknowledge.Never)
        {
            return;
        }

        Acknowledgement acknowledgement = new(this, sender ?? _handler!, token);
        if (taken && when == Acknowledge.Sent)
        {
            Flush(acknowledgement);
        }
        else
        {
            acknowledgement.Complete(taken);
        }
    }

    // On its own, or each message would pay for what the lambda holds.
    private void Obey(Actors.SendStream stream, PID? sender) =>
        AnswerWhenSent(sender, stream.Token, SendStream(() => stream.Stream, isOurs: false, stream.Length, CancellationToken.None), stream.Stream);

    private void AnswerWhenSent(PID? sender, object? token, Task sent, Stream? ours = null)
    {
        PID receiver = sender ?? _handler!;
        _ = sent.ContinueWith(
            sent =>
            {
                // On the thread pool, where it may block.
                ours?.Dispose();
                if (sent.Exception?.InnerException is { } failure)
                {
                    Log.StreamFailed(Home.Logger, failure, _self.Id);
                }

                System.Root.Send(receiver, new WriteAcknowledged(_self, token, sent.IsCompletedSuccessfully));
            },
            CancellationToken.None,
            TaskContinuationOptions.None,
            TaskScheduler.Default);
    }

    private void ChangeHandler(PID handler)
    {
        Home.Handlers.Remove(_handler!);
        _handler = handler;
        Home.Handlers.Add(handler);
        Tell(new Connected(_self, RemoteEndPoint, LocalEndPoint) { PeerCredentials = PeerCredentials });
    }

    private void Tell(object message) => System.Root.Send(_handler!, message);

    private ActorContext MakeWatched() => ActorContext.Setup(System, WatchedProps, parent: null, _self, this);

    /// <summary>Answers a write.</summary>
    private sealed class Acknowledgement(HandledConnection connection, PID receiver, object? token) : FlushWaiter
    {
        internal override void Complete(bool isSent) =>
            connection.System.Root.Send(receiver, new WriteAcknowledged(connection._self, token, isSent));
    }

    /// <summary>The actor of a context that is there for the watchers alone.</summary>
    private sealed class Bystander : IActor
    {
        public Task ReceiveAsync(IContext context) => Task.CompletedTask;
    }
}
