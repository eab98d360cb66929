using System.Net;
using Microsoft.Extensions.Logging;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using Proto;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors;

/// <summary>One connection as an actor; inherit from it, or from one of its framed forms, to write a server.</summary>
/// <remarks>
/// <para>
/// The life of a connection: (1) it is accepted and its actor made, on the poller's thread on which it will live;
/// (2) <see cref="OnConnected"/>; (3) <see cref="OnReceived"/> for bytes, <see cref="OnMessage"/> for what others send to the PID,
/// <see cref="OnDeadline"/> and <see cref="OnPeerClosed"/>, in any order and never two at once; (4) <see cref="OnClosed"/>, exactly once,
/// after the descriptor is gone, and then the actor stops.
/// </para>
/// <para>
/// Everything runs on the poller's thread, so nothing here may block: the poller's other connections would wait. An <c>await</c> in
/// <see cref="OnMessage"/> comes back to that thread; until the task ends this connection is given nothing else. A handler that throws
/// closes its own connection, with <see cref="CloseReason.Error"/>, and nothing else. For handlers that do block there is
/// <see cref="ConnectionScheduling.ThreadPool"/>.
/// </para>
/// <para>
/// Small pieces that are sent in a callback leave together, after the other connections that became ready with this one have had their
/// turns, too: some tens of microseconds later at most.
/// </para>
/// </remarks>
public abstract partial class ConnectionActor : IActor, IConnectionHandler
{
    private Connection? _connection;
    private IContext? _context;
    private Exception? _failure;
    private Action<ConnectionClosed>? _atEnd;

    /// <summary>The actor's context. From the first callback on; in this actor's own callbacks only.</summary>
    protected IContext Context => _context ?? throw NotConnected();

    /// <summary>The peer's address.</summary>
    protected EndPoint? RemoteEndPoint => Connection.RemoteEndPoint;

    /// <summary>Our side's address.</summary>
    protected EndPoint? LocalEndPoint => Do(static connection => connection.LocalEndPoint);

    /// <summary>The process on the other side of a Unix domain socket; null for TCP, once closed, and where the system does not tell.</summary>
    protected PeerCredentials? PeerCredentials => Do(static connection => connection.PeerCredentials);

    /// <summary>Bytes that wait to be sent because the peer does not take them.</summary>
    protected long OutputBytes => Do(static connection => connection.OutputBytes);

    /// <summary>Whether bytes may still be sent: not after a close.</summary>
    protected bool IsWritable => Connection.IsWritable;

    /// <summary>
    /// How long nothing may be received before <see cref="OnDeadline"/> is called with <see cref="DeadlineKind.Idle"/>; null, the default, for
    /// ever. What is sent does not count. Setting it starts the time anew.
    /// </summary>
    protected TimeSpan? IdleTimeout
    {
        get => Do(static connection => connection.IdleTimeout);
        set => Do(value, static (connection, value) => connection.IdleTimeout = value);
    }

    /// <summary>Whether a handler that takes frames should leave the rest for later: it waits, was suspended, or has closed.</summary>
    private protected bool MustStopTaking => Connection.MustStopTaking;

    /// <summary>Whether it is a framed form: its messages are frames, and its handlers may await.</summary>
    private protected virtual bool TakesFrames => false;

    /// <summary>The framework's object.</summary>
    internal Connection Connection => _connection ?? throw NotConnected();

    /// <inheritdoc/>
    bool IConnectionHandler.CountsMessages => TakesFrames;

    /// <summary>Takes a message from the mailbox; the callbacks are the place for code.</summary>
    public Task ReceiveAsync(IContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return Dispatch(context, context.Message);
    }

    /// <summary>Bytes came, or are offered again, where the handlers run on the thread pool.</summary>
    /// <returns>How many of them the handler is given.</returns>
    internal virtual int ReceivePooled(PooledConnection connection, ReadOnlySpan<byte> bytes) => connection.Receive(bytes.ToArray(), bytes => OnReceived(bytes));

    /// <summary>For helpers that belong to the connection: they are told of its end, before <see cref="OnClosed"/>. Must not throw.</summary>
    internal void AtEnd(Action<ConnectionClosed> action) => _atEnd += action;

    /// <inheritdoc/>
    bool IConnectionHandler.MayAwaitBytes => TakesFrames;

    /// <inheritdoc/>
    int IConnectionHandler.Received(ReadOnlySpan<byte> bytes) => OnReceived(bytes);

    /// <inheritdoc/>
    void IConnectionHandler.PeerClosed() => OnPeerClosed();

    /// <inheritdoc/>
    void IConnectionHandler.PeerHungUp() => OnPeerHungUp();

    /// <inheritdoc/>
    void IConnectionHandler.DeadlinePassed(DeadlineKind kind) => OnDeadline(kind);

    /// <inheritdoc/>
    void IConnectionHandler.WritesSuspended() => OnWritesSuspended();

    /// <inheritdoc/>
    void IConnectionHandler.WritesResumed() => OnWritesResumed();

    /// <inheritdoc/>
    void IConnectionHandler.OutputDropped(DroppedOutput dropped) => OnOutputDropped(dropped);

    /// <inheritdoc/>
    void IConnectionHandler.Moved() => OnMoved();

    /// <inheritdoc/>
    void IConnectionHandler.ShutdownRequested() => OnShutdown();

    /// <inheritdoc/>
    void IConnectionHandler.Failed(Exception exception, object? message)
    {
        if (_failure is not null)
        {
            // The first one ends the connection, and is what there is to report.
            return;
        }

        _failure = exception;
        Connection connection = _connection!;
        if (exception is ConnectionLostException && connection.HasEnded)
        {
            // The handler left its await because of the end, which is told next.
            return;
        }

        string what = ReferenceEquals(message, ConnectionSignal.Instance) ? "received bytes" : message?.GetType().Name ?? "nothing";
        if (connection.IsRestartable)
        {
            Log.RestartableFailed(connection.Home.Logger, exception, Context.Self.Id, connection.RemoteEndPoint, what);
        }
        else
        {
            Log.HandlerFailed(connection.Home.Logger, exception, Context.Self.Id, connection.RemoteEndPoint, what);
        }
    }

    /// <inheritdoc/>
    void IConnectionHandler.Closed(ConnectionClosed closed)
    {
        Connection connection = _connection!;
        ILogger logger = connection.Home.Logger;
        if (logger.IsEnabled(LogLevel.Debug))
        {
            Log.Closed(logger, Context.Self.Id, connection.RemoteEndPoint, closed.Reason);
        }

        try
        {
            _atEnd?.Invoke(closed);
            OnClosed(closed);
        }
#pragma warning disable CA1031 // An exception here would keep the watchers from being told.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.ClosingHandlerFailed(logger, exception, Context.Self.Id, connection.RemoteEndPoint);
        }

        Context.Stop(Context.Self);
    }

    /// <summary>The connection is there; bytes may be sent.</summary>
    protected virtual void OnConnected()
    {
    }

    /// <summary>
    /// Called instead of <see cref="OnConnected"/> on an actor that has the place of one that failed (<see cref="ConnectionOptions.Restart"/>). The
    /// peer notices nothing: it may be in the middle of what it sends or is sent.
    /// </summary>
    /// <remarks>
    /// What the other one was given and failed over, it is not given again; everything behind comes. Of what the other one had set nothing is left
    /// but limits of rates and the lifetime; if the peer had ended its side, <see cref="OnPeerClosed"/> is called again. An exception here counts
    /// as another failure.
    /// </remarks>
    /// <param name="failure">What the other one threw.</param>
    protected virtual void OnRestarted(Exception failure)
    {
    }

    /// <summary>Bytes have come.</summary>
    /// <param name="bytes">
    /// All that is there and was not consumed before, in one piece. Lent: the memory is another connection's as soon as this returns.
    /// </param>
    /// <returns>
    /// How many bytes are done with, 0 to all; what is left is offered again together with what comes next.
    /// </returns>
    protected virtual int OnReceived(ReadOnlySpan<byte> bytes) => bytes.Length;

    /// <summary>Somebody sent a message to this connection's PID, or an actor that it watches has ended (<see cref="Terminated"/>).</summary>
    /// <returns>A task; while it is unfinished the connection is given nothing else, and its poller goes on with the others.</returns>
    protected virtual Task OnMessage(object message) => Task.CompletedTask;

    /// <summary>A deadline has passed. Unless overridden this closes the connection with <see cref="CloseReason.DeadlineExceeded"/>.</summary>
    protected virtual void OnDeadline(DeadlineKind kind)
    {
        if (kind == DeadlineKind.Write)
        {
            // What waits cannot be sent, so there is nothing to be polite with.
            Do(static connection => connection.RequestClose(CloseReason.DeadlineExceeded, exception: null, reset: true));
        }
        else
        {
            Close(CloseReason.DeadlineExceeded);
        }
    }

    /// <summary>The peer has ended its side; ours still works. Unless overridden this closes the connection.</summary>
    protected virtual void OnPeerClosed() => Close(CloseReason.Peer);

    /// <summary>
    /// The peer has ended its side while nothing is read: reading is suspended, a demand is used up, a rate is spent, or too much output waits.
    /// Bytes before that end may be unread; when they are read <see cref="OnPeerClosed"/> follows them as ever. Does nothing unless overridden.
    /// </summary>
    /// <remarks>
    /// At most once, and never after <see cref="OnPeerClosed"/>. On the portable backend not before the system has nothing more to read.
    /// </remarks>
    protected virtual void OnPeerHungUp()
    {
    }

    /// <summary>The server stops and drains. Unless overridden this closes the connection with <see cref="CloseReason.Shutdown"/>.</summary>
    protected virtual void OnShutdown() => Close(CloseReason.Shutdown);

    /// <summary>The connection has ended, exactly once; nothing more can be sent. An exception here is logged.</summary>
    protected virtual void OnClosed(ConnectionClosed closed)
    {
    }

    /// <summary>Sends what waits, then ends the connection. Nothing more is received or can be sent.</summary>
    protected void Close() => Close(CloseReason.Local);

    /// <summary>As <see cref="Close()"/>, for a reason of the caller's.</summary>
    protected void Close(CloseReason reason) => Do(reason, static (connection, reason) => connection.Close(reason));

    /// <summary>Resets the connection; what waits is thrown away.</summary>
    protected void Abort() => Do(static connection => connection.RequestClose(CloseReason.Aborted, exception: null, reset: true));

    /// <summary>Sets when <see cref="OnDeadline"/> is called with <see cref="DeadlineKind.Read"/>; until the deadline is moved no bytes are delivered then.</summary>
    protected void SetReadDeadline(Deadline deadline) => Do(deadline, static (connection, deadline) => connection.SetReadDeadline(deadline));

    /// <summary>
    /// No bytes are delivered any more once the running callback has returned. Only if the peer resets the connection what it sent before is
    /// delivered all the same, and then the end.
    /// </summary>
    protected void SuspendReading() => Do(static connection => connection.SuspendReading());

    /// <summary>Bytes are delivered again, first those that were left, and as they come.</summary>
    protected void ResumeReading() => Do(static connection => connection.ResumeReading());

    /// <summary>
    /// Receives on demand from now on: so much more, then nothing until more is demanded. Demands of one unit add up;
    /// <see cref="ResumeReading"/> ends it. What a handler left is offered again without being counted again.
    /// </summary>
    /// <param name="count">1 or more.</param>
    /// <param name="unit">What is counted: calls with bytes, or frames where there are frames; or bytes.</param>
    protected void Demand(long count, DemandUnit unit = DemandUnit.Messages) =>
        Do((count, unit), static (connection, demand) => connection.Demand(demand.count, demand.unit));

    /// <summary>
    /// Ends our side when everything is sent, and goes on receiving; when the peer has ended its side, too, the connection closes with
    /// <see cref="CloseReason.Local"/>. Nothing can be sent any more.
    /// </summary>
    protected void CloseWrite() => Do(static connection => connection.CloseWrite());

    /// <summary>A frame is handed to the user.</summary>
    private protected void CountMessage() => Connection.CountMessage();

    /// <summary>Waits for a handler's task: until it ends the connection is given nothing else.</summary>
    private protected void Await(Task task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            Connection.AwaitHandler(task);
        }
    }

    /// <summary>What was left of the bytes is offered again without new ones. Before there is a connection nothing was.</summary>
    private protected void OfferAgain()
    {
        if (_connection is not null)
        {
            Do(static connection => connection.OfferAgain());
        }
    }

    /// <summary>Does something with the connection, on its poller: here, or there where the handlers run on the thread pool.</summary>
    internal void Do(Action<Connection> verb) => Do(verb, static (connection, verb) => verb(connection));

    /// <summary>See <see cref="Do(Action{Connection})"/>.</summary>
    internal void Do<TArgument>(TArgument argument, Action<Connection, TArgument> verb)
    {
        if (Connection is PooledConnection pooled)
        {
            _ = pooled.Do((argument, verb), static (connection, state) =>
            {
                state.verb(connection, state.argument);
                return true;
            });
        }
        else
        {
            verb(_connection!, argument);
        }
    }

    /// <summary>See <see cref="Do(Action{Connection})"/>.</summary>
    internal T Do<T>(Func<Connection, T> verb) => Do(verb, static (connection, verb) => verb(connection));

    /// <summary>See <see cref="Do(Action{Connection})"/>.</summary>
    internal T Do<TArgument, T>(TArgument argument, Func<Connection, TArgument, T> verb) =>
        Connection is PooledConnection pooled ? pooled.Do(argument, verb) : verb(_connection!, argument);

    private protected bool TryReserve(int size, out Span<byte> room) => Connection.TryReserve(size, out room);

    private protected void Commit(int size) => Connection.Commit(size);

    private Task Dispatch(IContext context, object? message)
    {
        if (ReferenceEquals(message, ConnectionSignal.Instance))
        {
            _connection!.RunSignals();
            return Task.CompletedTask;
        }

        switch (message)
        {
            case Started:
                return Start(context);
            case Stopping:
                _connection?.CloseForStop(_failure);

                // Where OnClosed runs on the thread pool the stop goes on behind it, by the context.
                return _connection?.TakeParked() ?? Task.CompletedTask;
            case Restarting:
                Restart();
                break;
            case Terminated or ReceiveTimeout:
                // System messages, which a mailbox that is suspended after a failure takes as well.
                if (_failure is null)
                {
                    goto default;
                }

                break;
            case Stopped or InfrastructureMessage:
                break;
            case MoveConnection move:
                _ = Do((move.Poller, context.Sender), static (connection, move) => connection.RequestMove(move.Poller, move.Sender));
                break;
            default:
                if (_connection!.Phase != ConnectionPhase.Closed)
                {
                    Await(OnMessage(message!));
                }

                break;
        }

        return Task.CompletedTask;
    }

    private Task Start(IContext context)
    {
        // Not in its turn: after a restart whose disposal of the old actor awaited.
        Connection connection = ActorPoller.OfCurrentThread?.Current
            ?? context.System.ProcessRegistry.Get(context.Self) as Connection
            ?? throw new InvalidOperationException(
                $"{GetType().Name} was spawned like any other actor; a {nameof(ConnectionActor)} is made by a listener, which gives it its connection.");
        if (!connection.IsHere)
        {
            return connection.Context.InvokeAsync(() => Start(context));
        }

        _context = context;
        _connection = connection;
        if (connection is PooledConnection pooled)
        {
            pooled.Attach(this, OnConnected, OnRestarted);
        }
        else if (!connection.IsRestarting)
        {
            connection.Attach(this);
            OnConnected();
        }
        else if (connection.Reattach(this) is { } failure)
        {
            OnRestarted(failure);
        }

        return Task.CompletedTask;
    }

    private void Restart()
    {
        Connection connection = Connection;
        if (!connection.IsRestartable)
        {
            throw new InvalidOperationException(
                $"{Context.Self.Id} cannot be restarted: {nameof(ConnectionOptions)}.{nameof(ConnectionOptions.Restart)} is null.");
        }

        Exception failure = _failure ?? new InvalidOperationException("The actor was told to restart and had not failed.");
        connection.HandlerRestarts(failure);

        // The helpers of this actor go with it.
        _atEnd?.Invoke(new ConnectionClosed(CloseReason.Error, failure, connection.BytesReceived, connection.BytesSent, BytesUnsent: 0));
        _atEnd = null;
    }

    private InvalidOperationException NotConnected() => new($"{GetType().Name} has no connection yet: wait for {nameof(OnConnected)}.");
}
