using System.Net;
using NetPoll.Actors.Diagnostics;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using Proto;
using Proto.Context;
using Proto.Mailbox;

namespace NetPoll.Actors.Connections;

/// <summary>A connection: descriptor, phase, input, output and mailbox in one object. It knows no actor context.</summary>
/// <remarks>
/// All state is its poller's thread's; other threads post messages and raise signals. The parts: this file its life,
/// <c>Connection.Turn.cs</c> the order of one turn, <c>Connection.Output.cs</c> what is sent, <c>Connection.Deadlines.cs</c> time,
/// <c>Connection.Broken.cs</c> the peer's reset, <c>Connection.Figures.cs</c> what is counted.
/// </remarks>
internal partial class Connection : PollerMailbox, IPollWaiter
{
    private readonly IConnectionTransport _transport;
    private PollDescriptor _descriptor;
    private readonly IConnectionOwner _owner;
    private IConnectionHandler? _handler;
    private bool _handlerCountsMessages;
    private ConnectionPhase _phase;

    private protected Connection(ActorPoller home, PollableSocket socket, PollDescriptor descriptor, IConnectionOwner owner)
        : base(owner.System, home, DefaultThroughput)
    {
        _transport = socket;
        _descriptor = descriptor;
        _owner = owner;
        _lastReceived = home.Poller.Now;
    }

    /// <summary>Its place in the poller's list.</summary>
    internal int ListIndex { get; set; }

    /// <summary>The peer's address. A new object each time: it is asked for seldom, and would weigh on every idle connection.</summary>
    internal EndPoint? RemoteEndPoint => _transport.RemoteEndPoint;

    /// <summary>What messages call the peer.</summary>
    internal object? Subject => RemoteEndPoint ?? (object?)_transport.Name;

    /// <summary>Our side's address; null once closed. Asks the system.</summary>
    internal EndPoint? LocalEndPoint => _transport.LocalEndPoint;

    /// <summary>The process on the other side; null where the system does not tell, and once closed. Asks the system.</summary>
    internal PeerCredentials? PeerCredentials => _transport.PeerCredentials;

    internal ConnectionPhase Phase => _phase;

    /// <summary>Whose connection it is.</summary>
    internal IConnectionOwner Owner => _owner;

    /// <summary>Whether output may still be added.</summary>
    internal bool IsWritable => _phase <= ConnectionPhase.ReadClosed && Pending is null && !_isWriteClosed;

    /// <summary>Whether it has ended, or only its handler is still to be told.</summary>
    internal bool HasEnded => _phase == ConnectionPhase.Closed || Pending is not null || IsBroken;

    /// <inheritdoc/>
    protected override object? SignalMessage => IsOver ? null : ConnectionSignal.Instance;

    // Closed, and the handler knows: a signal that is still on its way has nobody to go to.
    private bool IsOver => _phase == ConnectionPhase.Closed && Pending is null;

    /// <summary>Makes a connection and its actor of an accepted socket. The poller's thread.</summary>
    /// <param name="home">The poller that it will live on.</param>
    /// <param name="socket">Owned by the connection from here on, and closed if none can be made.</param>
    /// <param name="owner">Whose connection it is.</param>
    /// <param name="name">The PID's id.</param>
    /// <param name="received">Bytes that were read from the socket already: the handler's first. Copied.</param>
    /// <returns>The error that kept it from being watched; nothing is left of it then.</returns>
    internal static IoResult Spawn(ActorPoller home, PollableSocket socket, IConnectionOwner owner, string name, ReadOnlySpan<byte> received = default)
    {
        if (owner.System.Shutdown.IsCancellationRequested)
        {
            _ = socket.Close();
            owner.ConnectionClosed();
            return IoResult.Success;
        }

        IoResult opened = home.Poller.Open(socket, out PollDescriptor? descriptor);
        if (!opened.IsSuccess)
        {
            _ = socket.Close();
            return opened;
        }

        Connection connection = owner switch
        {
            { HandlerOf: not null } => new HandledConnection(home, socket, descriptor!, owner, PID.FromAddress(owner.System.Address, name)),
            { ConnectionOptions.Scheduling: ConnectionScheduling.ThreadPool } => new PooledConnection(home, socket, descriptor!, owner),
            _ => new Connection(home, socket, descriptor!, owner),
        };
        connection.KeepReceived(received);
        home.Connections.Add(connection);
        try
        {
            connection.Register(home, name);
        }
        catch
        {
            connection.CloseDescriptor(reset: true);
            throw;
        }

        return IoResult.Success;
    }

    /// <inheritdoc/>
    void IPollWaiter.Resume(PollSignals signals) => SignalAndRun((int)signals);

    /// <inheritdoc/>
    void IPollWaiter.Schedule(PollSignals signals) => Signal((int)signals);

    /// <summary>The actor has started and takes its connection. Its first turn.</summary>
    internal void Attach(IConnectionHandler handler)
    {
        _handler = handler;
        _handlerCountsMessages = handler.CountsMessages;
        if (_mustOfferAgain && !_handlerCountsMessages)
        {
            // What was read before there was a handler.
            CountMessage();
        }

        _descriptor.WatchHangup(this);
        BeginPhases();
    }

    /// <summary>Sends what waits, then the FIN, then waits shortly for the peer's. The poller's thread; harmless when it is closing.</summary>
    internal void Close(CloseReason reason)
    {
        ActorPoller home = CheckThread();
        if (_phase <= ConnectionPhase.ReadClosed)
        {
            Cold.Closing = new ClosingState(reason, isPeerDone: _phase == ConnectionPhase.ReadClosed);
            _phase = ConnectionPhase.Closing;
            TakeATurn(home);
            if (_isHandlerBusy)
            {
                FinishWithoutTurn();
            }
        }
    }

    /// <summary>Asks for an end at the next turn. The poller's thread; the first reason stays.</summary>
    internal void RequestClose(CloseReason reason, Exception? exception, bool reset)
    {
        _ = CheckThread();
        if (_phase != ConnectionPhase.Closed && Pending is null)
        {
            Pending = new PendingClose(reason, exception, reset);
            Signal(ConnectionSignals.CloseRequested);
            if (_isHandlerBusy)
            {
                CloseWithoutTurn();
            }
        }
    }

    /// <summary>
    /// Resets the connection without waiting for a turn, which a handler that awaits would hold up; the handler is told in its next one.
    /// The poller's thread, between turns.
    /// </summary>
    internal void Abandon(CloseReason reason)
    {
        if (_handler is null || _phase == ConnectionPhase.Closed)
        {
            // Not started yet: its first turn is on its way, and finds the request.
            RequestClose(reason, exception: null, reset: true);
            return;
        }

        Pending ??= new PendingClose(reason, Exception: null, Reset: true);
        CloseBetweenTurns(reset: true);
    }

    /// <summary>The server stops: the handler is told in a turn. Any thread.</summary>
    internal void RequestShutdown() => Signal(ConnectionSignals.ShutdownRequested);

    /// <summary>The actor stops, of itself or from outside: what can be sent at once is sent, and the descriptor goes. The turn only.</summary>
    internal void CloseForStop(Exception? failure)
    {
        if (_phase == ConnectionPhase.Closed)
        {
            TellOfAbandonment();
            return;
        }

        FlushTurn(Home);
        if (Pending is { } pending)
        {
            CloseNow(pending.Reason, pending.Exception, pending.Reset);
        }
        else if (_cold?.Broken is { } broken)
        {
            CloseNow(CloseReason.Reset, broken.Exception, reset: false);
        }
        else if (failure is not null)
        {
            CloseNow(CloseReason.Error, failure, reset: false);
        }
        else
        {
            CloseNow(_cold?.Closing?.Reason ?? CloseReason.Shutdown, exception: null, reset: false);
        }
    }

    /// <inheritdoc/>
    protected override void OnPosted(object message)
    {
        ActorPoller home = Home;
        if (message is Stop && (!home.Poller.IsCurrent || _phase != ConnectionPhase.Closed))
        {
            // A handler that awaits holds the stop up, but not the end of its connection.
            home.Poller.Post(static state => ((Connection)state!).StopWhileBusy(), this);
        }
    }

    /// <summary>The actor system went away without a word: only the descriptor is left to care for. The poller's thread.</summary>
    internal void CloseWithoutActor()
    {
        if (_phase != ConnectionPhase.Closed)
        {
            CloseDescriptor(reset: false);
        }
    }

    /// <summary>Ends it here and now, and tells the handler, once.</summary>
    private void CloseNow(CloseReason reason, Exception? exception, bool reset)
    {
        if (_phase == ConnectionPhase.Closed)
        {
            return;
        }

        long unsent = OutputBytes + (Pending?.BytesUnsent ?? 0) + (_cold?.Broken?.BytesUnsent ?? 0);
        CloseDescriptor(reset);
        Pending = null;
        End(new ConnectionClosed(reason, exception, BytesReceived, BytesSent, unsent));
    }

    // For an end that was asked for, while the handler awaits: no turn comes before its task has ended. Posted, since the caller may be
    // walking the members of a group.
    private void CloseWithoutTurn() => Home.Poller.Post(
        static state =>
        {
            Connection connection = (Connection)state!;
            if (connection is { Pending: { } pending, _phase: not ConnectionPhase.Closed })
            {
                connection.CloseBetweenTurns(pending.Reset);
            }
        },
        this);

    // What a stop does to the connection, ahead of the actor's own stop. Between turns.
    private void StopWhileBusy()
    {
        if (!IsHere)
        {
            Home.Poller.Post(static state => ((Connection)state!).StopWhileBusy(), this);
        }
        else if (_isHandlerBusy && _phase != ConnectionPhase.Closed)
        {
            FlushTurn(Home);
            Pending ??= new PendingClose(_cold?.Closing?.Reason ?? CloseReason.Shutdown, Exception: null, Reset: false);
            CloseBetweenTurns(Pending.Reset);
        }
    }

    // A polite close while the handler awaits: what waits is sent, then the FIN, and the peer gets its time, without the turns in which that
    // is done otherwise. What it still sends is not read, so a peer that goes on sending is reset at the end.
    private void FinishWithoutTurn() => Home.Poller.Post(static state => ((Connection)state!).FinishWhileBusy(), this);

    private void FinishWhileBusy()
    {
        if (!_isHandlerBusy || _phase != ConnectionPhase.Closing || Pending is not null || _isFinSent)
        {
            return;
        }

        ActorPoller home = Home;
        FlushTurn(home);
        if (_output is null && Pending is null)
        {
            FinishWriting();
            ClosingState closing = _cold!.Closing!;
            Alarm alarm = new(this, static connection => connection.EndWhileBusy());
            closing.Linger = alarm;
            TimeSpan time = closing.IsPeerDone ? TimeSpan.Zero : _owner.ConnectionOptions.LingerTimeout;
            home.Poller.Wheel.Arm(alarm, home.Poller.Now + PollerClock.InNanoseconds(time));
        }
    }

    private void EndWhileBusy()
    {
        if (_isHandlerBusy && _phase == ConnectionPhase.Closing)
        {
            Pending ??= new PendingClose(_cold!.Closing!.Reason, Exception: null, Reset: false);
            CloseBetweenTurns(Pending.Reset);
        }
    }

    private void CloseBetweenTurns(bool reset)
    {
        AddUnsent(OutputBytes);
        CloseDescriptor(reset);
        Signal(ConnectionSignals.CloseRequested);
    }

    // The descriptor went between two turns: what is left is to tell the handler.
    private void TellOfAbandonment()
    {
        if (Pending is { } pending)
        {
            Pending = null;
            End(new ConnectionClosed(pending.Reason, pending.Exception, BytesReceived, BytesSent, pending.BytesUnsent));
        }
    }

    private void End(ConnectionClosed closed)
    {
        ActorMetrics.ConnectionClosed(this, closed.Reason);
        TellOfEnd(closed);
    }

    private protected virtual void TellOfEnd(ConnectionClosed closed)
    {
        _handler?.Closed(closed);
        _owner.ConnectionEnded(closed);
    }

    // What a verb changed outside a turn takes effect in one; inside, at the turn's end.
    private void TakeATurn(ActorPoller home)
    {
        if (!ReferenceEquals(home.Current, this))
        {
            Signal(ConnectionSignals.InputPending);
        }
    }

    private ActorPoller CheckThread()
    {
        ActorPoller home = Home;
        return home.Poller.IsCurrent ? home : throw NotHere(home);
    }

    /// <summary>Sends bytes from another thread than the poller's, where that is allowed.</summary>
    private protected virtual void SendElsewhere(ReadOnlySpan<byte> bytes) => CheckElsewhere();

    /// <summary>Sends a payload from another thread than the poller's, where that is allowed.</summary>
    private protected virtual void SendElsewhere(SharedPayload payload) => CheckElsewhere();

    /// <summary>Throws for a caller on another thread than the poller's, if its handlers do not run there.</summary>
    private protected virtual void CheckElsewhere() => throw NotHere(Home);

    private static InvalidOperationException NotHere(ActorPoller home) => new(
        $"A connection can be used on its poller's thread ({home.Poller}) only: from its own callbacks, and from what they await without ConfigureAwait(false).");

    /// <summary>
    /// Ends our side: what waits is sent, then the FIN; receiving goes on, and when the peer ends its side too the connection is closed. The
    /// poller's thread; harmless when it is closing.
    /// </summary>
    internal void CloseWrite()
    {
        ActorPoller home = CheckThread();
        if (IsWritable)
        {
            _isWriteClosed = true;
            TakeATurn(home);
        }
    }

    /// <summary>What takes the mailbox's messages: the actor, with its context.</summary>
    protected virtual IMessageInvoker MakeInvoker(ActorPoller home, PID pid) =>

        // Runs the producer, and so the user's constructor.
        ActorContext.Setup(System, _owner.Props, home.Pid, pid, this);

    private void CloseDescriptor(bool reset)
    {
        _phase = ConnectionPhase.Closed;
        ActorPoller home = Home;
        _descriptor.WatchHangup(null);
        _ = _descriptor.TryWithdraw(PollMode.Read, this);
        DropOutput(home);
        home.Poller.Evict(_descriptor);
        home.Poller.Release(_descriptor);
        _transport.Close(reset);
        CancelTimers(home);
        _input.Clear();
        _corkedBytes = 0;
        home.Groups.RemoveAll(this);
        home.Connections.Remove(this);
        EndMove(MoveOutcome.Closing);
        _owner.ConnectionClosed();
    }

    private void Register(ActorPoller home, string name)
    {
        (PID pid, bool isNew) = System.ProcessRegistry.TryAdd(name, this);
        if (!isNew)
        {
            throw new ProcessNameExistException(name, pid);
        }

        try
        {
            RegisterHandlers(MakeInvoker(home, pid), _owner.Props.Dispatcher);
        }
        catch
        {
            System.ProcessRegistry.Remove(pid);
            throw;
        }

        PostSystemMessage(Started.Instance);
        Start();
    }

    private static CloseReason ReasonOf(IoResult result) => PollErrors.Classify(result.NativeError) == PollErrorClass.Broken
        ? CloseReason.Reset
        : CloseReason.Error;

    /// <summary>What is only needed from the polite close on.</summary>
    private sealed class ClosingState(CloseReason reason, bool isPeerDone)
    {
        internal CloseReason Reason => reason;

        /// <summary>The peer's FIN was read before we closed.</summary>
        internal bool IsPeerDone => isPeerDone;

        /// <summary>What was thrown away since our FIN.</summary>
        internal int LingeredBytes { get; set; }

        internal DeadlineNode? Linger { get; set; }
    }

    private sealed record PendingClose(CloseReason Reason, Exception? Exception, bool Reset)
    {
        internal long BytesUnsent { get; init; }
    }
}
