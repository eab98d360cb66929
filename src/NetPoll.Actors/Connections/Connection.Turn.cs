using System.Diagnostics;
using System.Runtime.CompilerServices;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using Proto;

namespace NetPoll.Actors.Connections;

/// <content>
/// One turn: take the signals, send what waits, read and hand over, look at the deadlines; at its end wait for more, or come again if
/// something is left. What the handlers wrote leaves after the turns of the batch.
/// </content>
internal partial class Connection
{
    // A turn's share: then the other connections of the poller have theirs.
    private const int ReadsPerTurn = 16;
    private const int BytesPerTurn = 256 * 1024;

    // Bytes that a closed connection throws away while it waits for the peer's FIN.
    private const int LingerBytes = 1024 * 1024;

    private ConnectionInput _input;

    // We are parked in the read slot, or the signal of it is on its way.
    private bool _isReadArmed;

    // A turn stopped reading before the socket was empty: no edge will come for what is left in it.
    private bool _hasUnread;

    // Kept input must be offered again without new bytes: the handler stopped in the middle.
    private bool _mustOfferAgain;

    // A handler's task is unfinished.
    private bool _isHandlerBusy;

    // The handler wants no bytes.
    private bool _isSuspended;

    // The peer's end is known, and waits behind bytes that nobody wants now. What was seen of it stays seen, so no edge can be missed.
    private bool HasUntoldHangup =>
        _descriptor.IsHungUp && _phase == ConnectionPhase.Open && _handler is not null && !_isHandlerBusy && !IsBroken && Pending is null
        && _cold is not { IsHangupTold: true } && !WantsBytes();

    /// <summary>Whether the handler should stop taking from the bytes that it was given.</summary>
    internal bool MustStopTaking => _isHandlerBusy || HoldsBack;

    /// <summary>Whether bytes are held back for another reason than a handler that is not done.</summary>
    private protected bool HoldsBack =>
        _isSuspended || IsDemandMet || _phase > ConnectionPhase.ReadClosed || Pending is not null || IsThrottled;

    /// <summary>Waits for a task that a handler has left unfinished; reading goes on when it has ended. In the handler only.</summary>
    internal virtual void AwaitHandler(Task task) => ParkHandler(task);

    /// <summary>Parks the handler's unfinished task. A turn only.</summary>
    private protected void ParkHandler(Task task)
    {
        _isHandlerBusy = true;
        if (Pending is not null)
        {
            CloseWithoutTurn();
        }

        // So that a turn follows even if nothing else comes: kept input may hold whole frames.
        SignalNextTurn(ConnectionSignals.InputPending);
        Park(task);
    }

    /// <summary>Takes back what a handler that ran elsewhere was given and left. The poller's thread, before the handler's task ends.</summary>
    /// <param name="rest">Copied.</param>
    /// <param name="offerAgain">Whether it is to be offered without new bytes, as soon as nothing holds it back.</param>
    private protected void PutBack(ReadOnlySpan<byte> rest, bool offerAgain)
    {
        if (_phase <= ConnectionPhase.ReadClosed && Pending is null)
        {
            Debug.Assert(_input.IsEmpty, "A handler that runs elsewhere was given everything, and nothing is read until it has ended.");
            _input.Keep(rest);
            _mustOfferAgain = offerAgain;
            CheckInput();
        }
    }

    /// <summary>Stops delivering bytes, from the return of the handler on. The poller's thread.</summary>
    internal void SuspendReading()
    {
        _ = CheckThread();

        // What a reset left in the system comes before the end, whatever the handler wants: there is no later.
        _isSuspended = !IsBroken;
    }

    /// <summary>Delivers bytes again, and as they come. The poller's thread.</summary>
    internal void ResumeReading()
    {
        ActorPoller home = CheckThread();
        if (_isSuspended || IsDemandMet)
        {
            _isSuspended = false;

            // A turn even if nothing else comes: what was left is to be offered again.
            TakeATurn(home);
        }

        _cold?.Demand = long.MaxValue;
        _cold?.DemandsBytes = false;
    }

    /// <summary>Delivers so much more, and then nothing until more is demanded. The poller's thread.</summary>
    internal void Demand(long count, DemandUnit unit)
    {
        ActorPoller home = CheckThread();
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        if (IsBroken)
        {
            return;
        }

        bool inBytes = unit == DemandUnit.Bytes;
        ColdState cold = Cold;
        long left = cold.Demand == long.MaxValue || inBytes != cold.DemandsBytes ? 0 : cold.Demand;
        cold.DemandsBytes = inBytes;
        cold.Demand = count > long.MaxValue - 1 - left ? long.MaxValue - 1 : left + count;
        TakeATurn(home);
    }

    /// <summary>A message was taken out of the bytes, by a handler that counts its own.</summary>
    internal void CountMessage()
    {
        _messagesReceived++;
        Home.Traffic.MessagesReceived++;
        if (_cold is { } cold)
        {
            if (cold is { DemandsBytes: false, Demand: > 0 and < long.MaxValue })
            {
                cold.Demand--;
            }

            cold.Inbound?.TakeMessage();
        }
    }

    /// <summary>Offers what is kept once more without new bytes: the handler sees something else in it now. The poller's thread.</summary>
    internal void OfferAgain()
    {
        ActorPoller home = CheckThread();
        if (!_input.IsEmpty)
        {
            _mustOfferAgain = true;
            TakeATurn(home);
        }
    }

    /// <summary>The signal message has reached the actor.</summary>
    internal void RunSignals()
    {
        int signals = TakeSignals();
        if ((signals & (ConnectionSignals.Readable | ConnectionSignals.ReadDeadline | ConnectionSignals.Closed)) != 0)
        {
            _isReadArmed = false;
        }

        if (_phase == ConnectionPhase.Closed)
        {
            TellOfAbandonment();
            return;
        }

        if (Pending is { } pending)
        {
            CloseNow(pending.Reason, pending.Exception, pending.Reset);
            return;
        }

        if ((signals & ConnectionSignals.Closed) != 0)
        {
            CloseNow(CloseReason.Shutdown, exception: null, reset: false);
            return;
        }

        if (_phase == ConnectionPhase.Lingering)
        {
            Linger(signals);
            return;
        }

        if ((signals & ConnectionSignals.Hangup) != 0 && !WantsBytes() && LookForReset(Home))
        {
            if (_phase == ConnectionPhase.Closed)
            {
                return;
            }

            signals |= ConnectionSignals.Readable;
        }

        // While nobody waits for bytes, as during a handler's await, a time may pass over bytes that have come: look first. Or they have come,
        // and the thread that is to tell so has not run yet.
        if ((signals & ConnectionSignals.SavedByBytes) != 0 && _isReadArmed && Home.Poller.IsToldLate)
        {
            _isReadArmed = !_descriptor.TryWithdraw(PollMode.Read, this);
        }

        bool mayBeReadable = (signals & ConnectionSignals.Readable) != 0 || ((signals & ConnectionSignals.SavedByBytes) != 0 && !_isReadArmed);
        if (mayBeReadable || (signals & ConnectionSignals.InputPending) != 0)
        {
            Read(mayBeReadable);
        }

        if (_isHandlerBusy)
        {
            Defer(signals);
            return;
        }

        if (Pending is not null)
        {
            return;
        }

        if ((signals & ConnectionSignals.ShutdownRequested) != 0 && _phase <= ConnectionPhase.ReadClosed)
        {
            _handler!.ShutdownRequested();
            if (_isHandlerBusy)
            {
                Defer(signals & ~ConnectionSignals.ShutdownRequested);
                return;
            }
        }

        if ((signals & ConnectionSignals.Notices) != 0)
        {
            signals = TellNotices(signals);
            if (_isHandlerBusy)
            {
                Defer(signals);
                return;
            }
        }

        LookAtDeadlines(signals);
    }

    // The handler is given nothing else until its task has ended. Times that end a connection all the same, or do something for it, do so: those
    // that came while it was not busy yet, too.
    private void Defer(int signals)
    {
        const int Due = ConnectionSignals.WriteDeadline | ConnectionSignals.PhasePassed | ConnectionSignals.HeartbeatDue;
        SignalNextTurn(signals & ConnectionSignals.Deferrable & ~Due);
        if ((signals & Due) != 0)
        {
            LookLater(signals);
        }
    }

    private void LookLater(int signals) => Home.Poller.Post(() => LookWhileBusy(signals));

    /// <inheritdoc/>
    protected override void BeginTurn(ActorPoller home)
    {
        home.Current = this;
        _isHandlerBusy = false;
    }

    /// <inheritdoc/>
    // Perhaps in the turn that parked the handler, whose task has ended meanwhile: the turn goes on, and may give it more.
    protected override void OnHandled(object message) => _isHandlerBusy = false;

    /// <inheritdoc/>
    // A connection that only moves bytes never awaits, and needs nothing to come back by.
    protected override bool MayAwait(object message) =>
        ReferenceEquals(message, ConnectionSignal.Instance) ? _handler is { MayAwaitBytes: true } : message is not Started;

    /// <inheritdoc/>
    protected override void OnFailure(Exception exception, object? message) =>
        _handler?.Failed(exception, MessageEnvelope.UnwrapMessage(message!));

    /// <inheritdoc/>
    protected override void EndTurn(ActorPoller home)
    {
        home.Current = null;
        if (_phase == ConnectionPhase.Closed)
        {
            return;
        }

        if (_phase == ConnectionPhase.Closing && _isHandlerBusy)
        {
            // No turn comes in which the peer's FIN could be waited for.
            FinishWithoutTurn();
        }
        else if (_phase == ConnectionPhase.Closing)
        {
            FlushTurn(home);
            if (_output is null && Pending is null)
            {
                FinishSending(home);
            }
        }
        else if (_isWriteClosed)
        {
            FlushTurn(home);
            FinishWriting();
        }

        WaitForMore();
    }

    // Returns the signals without those that were told of. Where a handler does not end within its call there is one call a turn.
    private int TellNotices(int signals)
    {
        if ((signals & ConnectionSignals.Moved) != 0 && _phase <= ConnectionPhase.ReadClosed)
        {
            signals &= ~ConnectionSignals.Moved;
            _handler!.Moved();
        }

        if ((signals & ConnectionSignals.Restarted) != 0 && !_isHandlerBusy)
        {
            signals &= ~ConnectionSignals.Restarted;
            TellOfRestart();
        }

        if ((signals & ConnectionSignals.Hangup) != 0 && !_isHandlerBusy)
        {
            signals &= ~ConnectionSignals.Hangup;
            if (HasUntoldHangup)
            {
                Cold.IsHangupTold = true;
                _handler!.PeerHungUp();
            }
        }

        if ((signals & ConnectionSignals.OutputNotice) != 0 && !_isHandlerBusy)
        {
            // Of one thing; perhaps there is another.
            TellOfOutput();
        }

        return signals;
    }

    // Waits for the next readiness, or comes again at once where something is left to read.
    private void WaitForMore()
    {
        if (!WantsBytes())
        {
            // A peer that is gone must be noticed all the same.
            Home.Poller.ArmHangup(_descriptor);
            if (HasUntoldHangup)
            {
                SignalNextTurn(ConnectionSignals.Hangup);
            }

            return;
        }

        if (_hasUnread)
        {
            SignalNextTurn(ConnectionSignals.Readable);
        }
        else if (_mustOfferAgain)
        {
            SignalNextTurn(ConnectionSignals.InputPending);
        }
        else if (!_isReadArmed)
        {
            Home.Poller.Arm(_descriptor, PollMode.Read);
            SignalNextTurn((int)_descriptor.Arm(PollMode.Read, this));
            _isReadArmed = true;
        }
    }

    private bool WantsBytes()
    {
        if (_handler is null || Pending is not null)
        {
            return false;
        }

        if (_phase == ConnectionPhase.Lingering)
        {
            return true;
        }

        return _phase == ConnectionPhase.Open && !_isHandlerBusy && !_isSuspended && !_isOutputHigh && (_cold is null || _cold.AllowsReading);
    }

    // What was read before there was a handler is offered to it when it has started.
    private void KeepReceived(ReadOnlySpan<byte> received)
    {
        CountReceived(Home, received.Length);
        _input.Keep(received);
        _mustOfferAgain = !received.IsEmpty;
    }

    private void Read(bool isReady)
    {
        if (_mustOfferAgain)
        {
            if (!WantsBytes())
            {
                _hasUnread |= isReady;
                return;
            }

            _mustOfferAgain = false;
            OfferKept();
        }

        if (isReady)
        {
            _hasUnread = true;
        }

        if (_hasUnread && WantsBytes())
        {
            ReadSocket(Home);
        }
    }

    // On its own: the system call becomes a part of it, which it could not in a turn, where there is a handler for exceptions.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ReadSocket(ActorPoller home)
    {
        // Readiness that was taken wins over a deadline that has passed since; closing wins over both.
        if (_descriptor.CheckError(PollMode.Read) is PollResult.NotPollable)
        {
            CloseNow(CloseReason.Error, new IOException("The system reports a state of the socket that cannot be waited on."), reset: true);
            return;
        }

        _descriptor.ForgetReadiness(PollMode.Read);
        int budget = BytesPerTurn;
        for (int reads = 0; reads < ReadsPerTurn && budget > 0; reads++)
        {
            Span<byte> target = _input.ReadTarget(home.ReadScratch);
            InboundGate? gate = null;
            if (_cold is { } cold)
            {
                if (cold.DemandsBytes && target.Length > cold.Demand)
                {
                    target = target[..(int)cold.Demand];
                }

                gate = cold.Inbound;
                if (gate is not null)
                {
                    target = gate.Limit(target);
                }
            }

            // Before the call, as in NetFd.ReadOnce: hang-ups are reported on this thread.
            bool mayReadShort = _descriptor.MayReadShort;
            IoResult result = _transport.TryRead(target);
            if (result.Count == 0 && (!result.WouldBlock || IsBroken))
            {
                EndOfInput(result);
                return;
            }

            if (result.WouldBlock)
            {
                _hasUnread = false;
                return;
            }

            // A short read empties the socket, unless a FIN, an error or an urgent mark may stand behind the bytes.
            bool isDrained = result.Count < target.Length && !mayReadShort && !IsBroken;
            _hasUnread = !isDrained;
            _lastReceived = home.Poller.Now;
            Deliver(home, target[..result.Count]);
            gate?.TakeBytes(result.Count);
            if (isDrained || !WantsBytes())
            {
                return;
            }

            budget -= result.Count;
        }
    }

    private void Deliver(ActorPoller home, Span<byte> read)
    {
        CountReceived(home, read.Length);
        if (_cold is { DemandsBytes: true } cold)
        {
            cold.Demand -= read.Length;
        }

        if (!_handlerCountsMessages)
        {
            CountMessage();
        }

        if (!_input.IsEmpty)
        {
            _input.Extend(read.Length);
            OfferKept();
            return;
        }

        int consumed = Check(_handler!.Received(read), read.Length);
        if (consumed < read.Length && _phase <= ConnectionPhase.ReadClosed)
        {
            _input.Keep(read[consumed..]);
            AfterOffer();
        }

        Poison(home);
    }

    private void OfferKept()
    {
        int length = _input.Length;
        int consumed;
        try
        {
            consumed = Check(_handler!.Received(_input.Bytes), length);
        }
        catch when (!_handlerCountsMessages)
        {
            // Nobody knows how far it had come, so its successor is given none of it again. Who takes frames has told.
            _input.Clear();
            throw;
        }

        if (_phase != ConnectionPhase.Closed)
        {
            _input.Consume(consumed);
            AfterOffer();
        }
    }

    private void AfterOffer()
    {
        if (_phase > ConnectionPhase.ReadClosed || Pending is not null)
        {
            // It closed meanwhile, so what it left does not matter any more.
            return;
        }

        _mustOfferAgain = !_input.IsEmpty && (_isHandlerBusy || _isSuspended || IsDemandMet || IsThrottled);
        CheckInput();
    }

    private void CheckInput()
    {
        int most = _owner.ConnectionOptions.MaxInputBytes;
        if (_input.Length > most)
        {
            IOException exception = new($"The handler left {_input.Length} bytes of input; {nameof(ConnectionOptions.MaxInputBytes)} is {most}.");
            if (_isHandlerBusy)
            {
                // It is told when it is done.
                RequestClose(CloseReason.Error, exception, reset: false);
            }
            else
            {
                CloseNow(CloseReason.Error, exception, reset: false);
            }
        }
    }

    private void EndOfInput(IoResult result)
    {
        _hasUnread = false;
        if (_cold?.Broken is { } broken)
        {
            CloseNow(CloseReason.Reset, broken.Exception, reset: false);
            return;
        }

        if (!result.IsSuccess)
        {
            CloseNow(ReasonOf(result), ToException("read from", result), reset: false);
            return;
        }

        _phase = ConnectionPhase.ReadClosed;
        if (_isWriteClosed)
        {
            // The other half of the end; what was still to be sent is, first.
            Close(CloseReason.Local);
        }
        else
        {
            _handler!.PeerClosed();
        }
    }

    // After the FIN: throws away what the peer still sends, until its FIN, an error, or the limits.
    private void Linger(int signals)
    {
        ClosingState closing = _cold!.Closing!;
        if ((signals & ConnectionSignals.LingerPassed) != 0)
        {
            CloseNow(closing.Reason, exception: null, reset: false);
            return;
        }

        if ((signals & ConnectionSignals.Readable) == 0)
        {
            return;
        }

        ActorPoller home = Home;
        _descriptor.ForgetReadiness(PollMode.Read);
        for (int reads = 0; reads < ReadsPerTurn; reads++)
        {
            IoResult result = _transport.TryRead(home.ReadScratch);
            if (result.WouldBlock)
            {
                _hasUnread = false;
                return;
            }

            closing.LingeredBytes += result.Count;
            if (result.Count == 0 || closing.LingeredBytes > LingerBytes)
            {
                CloseNow(closing.Reason, exception: null, reset: false);
                return;
            }
        }

        _hasUnread = true;
    }

    private protected static int Check(int consumed, int given) => (uint)consumed <= (uint)given
        ? consumed
        : throw new InvalidOperationException($"The handler says that it consumed {consumed} bytes; it was given {given}.");

    private IOException ToException(string operation, IoResult result) => result.ToException($"{operation} {Subject}");

    // A handler that keeps the bytes it was lent reads rubbish at once, and not only under load.
    [Conditional("DEBUG")]
    private static void Poison(ActorPoller home) => home.ReadScratch.AsSpan().Fill(0xDB);
}
