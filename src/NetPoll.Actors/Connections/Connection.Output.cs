using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <content>
/// Output: what is written gathers in the poller's write scratch, and leaves with one system call when the poller has run the turns of its
/// batch; what the system does not take waits in the queue. A large write goes out straight away when nothing waits before it. Nothing here
/// needs a turn, so output goes on while a handler awaits; what the handler is to be told of it is told in a turn.
/// </content>
internal partial class Connection
{
    // From here on a copy costs more than a system call of its own saves.
    private const int DirectWriteSize = 4096;

    // What waits for the system to take it; null while nothing does, so that an idle connection holds no memory for it.
    private PendingOutput? _output;

    // What is corked: this connection's bytes in the poller's write scratch. Only while the queue is empty.
    private int _corkedAt;
    private int _corkedBytes;

    // Our side is to end, or has: nothing is added any more. Then: the FIN is out.
    private bool _isWriteClosed;
    private bool _isFinSent;

    private bool _isFlushQueued;

    // More waits than the high watermark allows; until no more than the low one is left nothing is read.
    private bool _isOutputHigh;

    // What the handler was last told of that.
    private bool _isToldOfHigh;

    /// <summary>Bytes that wait to be sent.</summary>
    internal long OutputBytes => (_output?.Bytes ?? 0) + _corkedBytes;

    /// <summary>Sends bytes, which are copied or gone when this returns. The poller's thread.</summary>
    internal void Send(ReadOnlySpan<byte> bytes)
    {
        ActorPoller home = Home;
        if (!home.Poller.IsCurrent)
        {
            SendElsewhere(bytes);
            return;
        }

        if (!IsWritable || bytes.IsEmpty)
        {
            return;
        }

        if (bytes.Length < DirectWriteSize && TryCork(home, bytes.Length))
        {
            bytes.CopyTo(home.WriteScratch.AsSpan(_corkedAt + _corkedBytes));
            Commit(bytes.Length);
        }
        else
        {
            CountMessageSent(home, bytes.Length);
            Uncork(home);
            WriteOrQueue(home, bytes);
        }
    }

    /// <summary>Sends a shared payload, to which a reference is held as long as it waits. The poller's thread.</summary>
    internal void Send(SharedPayload payload)
    {
        if (_output is null && _cold is not { Outbound: not null } && (payload.Length < DirectWriteSize || payload.Length > _owner.ConnectionOptions.MaxOutputBytes))
        {
            Send(payload.Memory.Span);
            return;
        }

        ActorPoller home = Home;
        if (!home.Poller.IsCurrent)
        {
            SendElsewhere(payload);
        }
        else if (IsWritable)
        {
            Uncork(home);
            if (payload.Length > 0 && TryMakeRoom(home, payload.Length, isPayload: true))
            {
                CountMessageSent(home, payload.Length);
                Output(home).Append(payload, home.Poller.Now);
                home.Traffic.QueuedBytes += payload.Length;
                AfterQueued(home);
            }
        }
    }

    /// <summary>Sends what waits as far as the system takes it. The poller's thread; elsewhere nothing, where that is allowed.</summary>
    /// <returns>Whether that is all, and the connection has not ended.</returns>
    internal bool TryFlush()
    {
        ActorPoller home = Home;
        if (!home.Poller.IsCurrent)
        {
            CheckElsewhere();
            return false;
        }

        if (_phase == ConnectionPhase.Closed)
        {
            return false;
        }

        FlushTurn(home);
        return _output is null && Pending is null && !IsBroken;
    }

    /// <summary>As <see cref="TryFlush"/>, and tells the waiter when the system has taken all that was sent until now, or the connection has ended.</summary>
    internal void Flush(FlushWaiter waiter)
    {
        if (TryFlush())
        {
            waiter.Complete(isSent: true);
        }
        else if (_output is { } output && Pending is null)
        {
            output.Add(waiter, BytesSent);
        }
        else
        {
            waiter.Complete(isSent: false);
        }
    }

    /// <summary>Room of <paramref name="size"/> bytes in the poller's scratch, to be followed by <see cref="Commit"/>.</summary>
    /// <returns>False where output waits, or where it would not fit, or on another thread: encode elsewhere and send that.</returns>
    internal bool TryReserve(int size, out Span<byte> room)
    {
        ActorPoller home = Home;
        if (!home.Poller.IsCurrent)
        {
            CheckElsewhere();
            room = default;
            return false;
        }

        bool isReserved = IsWritable && TryCork(home, size);
        room = isReserved ? home.WriteScratch.AsSpan(_corkedAt + _corkedBytes, size) : default;
        return isReserved;
    }

    /// <summary>Counts in what was written into the reserved room.</summary>
    internal void Commit(int size)
    {
        ActorPoller home = Home;
        _corkedBytes += size;
        home.WriteScratchUsed = _corkedAt + _corkedBytes;
        CountMessageSent(home, size);
        FlushLater(home);
    }

    /// <summary>Sends what gathered. The poller's thread.</summary>
    internal void FlushQueued()
    {
        if (_phase != ConnectionPhase.Closed)
        {
            FlushTurn(Home);
            if (_phase == ConnectionPhase.Closing || _isWriteClosed)
            {
                // The end of a turn goes on with the closing.
                Signal(ConnectionSignals.InputPending);
            }
        }

        _isFlushQueued = false;
    }

    /// <summary>What waited for room in the socket may go on. Between turns, whatever the handler does.</summary>
    internal void OutputFreed(PollSignals signals)
    {
        ActorPoller home = Home;
        if ((signals & PollSignals.Closed) != 0)
        {
            Signal(ConnectionSignals.Closed);
        }
        else if ((signals & PollSignals.WriteDeadline) != 0)
        {
            WriteDeadlineDue();
        }
        else
        {
            WriteQueued(home);
        }
    }

    private void FlushTurn(ActorPoller home)
    {
        Uncork(home);
        WriteQueued(home);
    }

    // Makes room behind what this connection has corked already, which must be the last in the scratch for that; else it leaves first.
    private bool TryCork(ActorPoller home, int size)
    {
        if (_output is not null || size > home.WriteScratch.Length)
        {
            return false;
        }

        if (size > home.WriteScratch.Length - home.WriteScratchUsed)
        {
            home.Flush();
        }
        else if (_corkedBytes > 0 && _corkedAt + _corkedBytes != home.WriteScratchUsed)
        {
            Uncork(home);
        }

        if (_corkedBytes == 0)
        {
            _corkedAt = home.WriteScratchUsed;
        }

        return _output is null && Pending is null;
    }

    private void Uncork(ActorPoller home)
    {
        if (_corkedBytes > 0)
        {
            ReadOnlySpan<byte> corked = home.WriteScratch.AsSpan(_corkedAt, _corkedBytes);
            _corkedBytes = 0;
            WriteOrQueue(home, corked);
        }
    }

    private void WriteOrQueue(ActorPoller home, ReadOnlySpan<byte> bytes)
    {
        if (_output is null && _cold is not ({ Pending: not null } or { Broken: not null } or { Outbound: not null }))
        {
            IoResult result = _transport.TryWrite(bytes);
            if (result.IsSuccess)
            {
                CountSent(home, result.Count);
                bytes = bytes[result.Count..];
            }
            else if (!result.WouldBlock)
            {
                WriteFailed(home, result, bytes.Length);
                return;
            }
        }

        if (!bytes.IsEmpty && TryMakeRoom(home, bytes.Length, isPayload: false))
        {
            Output(home).Append(bytes, home.Poller.Now);
            home.Traffic.QueuedBytes += bytes.Length;
            AfterQueued(home);
        }
    }

    // Sends as much as the system takes, and waits for more room if that is not all.
    private void WriteQueued(ActorPoller home)
    {
        if (_output is not { IsArmed: false } output || Pending is not null || IsBroken)
        {
            return;
        }

        IoResult result = IoResult.Success;
        long before = BytesSent;
        _descriptor.ForgetReadiness(PollMode.Write);
        OutboundGate? gate = _cold?.Outbound;
        while (!output.IsEmpty && result.IsSuccess && gate is not { IsClosed: true })
        {
            if (output.Sources > 0 && output.FirstSource is not null)
            {
                if (TryPull(home, output))
                {
                    continue;
                }

                break;
            }

            result = gate is null ? output.WriteOnce(_transport) : output.WriteOnce(_transport, gate.Most);
            CountSent(home, result.Count);
            home.Traffic.QueuedBytes -= result.Count;
            gate?.Sent(result.Count);
        }

        home.Extension.OutputBudget.Give(BytesSent - before);
        output.CompleteFlushes(BytesSent);
        if (result.WouldBlock)
        {
            WaitForRoom(home, output, hasMoved: BytesSent != before);
        }
        else if (!result.IsSuccess)
        {
            WriteFailed(home, result, refused: 0);
            return;
        }
        else if (output is { IsEmpty: false, HasDeadline: true })
        {
            // It is our limit that holds it back, or a stream that has nothing yet.
            output.HasDeadline = false;
            home.Poller.SetDeadline(_descriptor, PollMode.Write, Deadline.None);
        }

        AfterSent(home, output);
    }

    private PendingOutput Output(ActorPoller home) => _output ??= home.RentOutput(this);

    // Only what is free of the slot is rented again: a signal that is on its way would reach another connection.
    private void DropOutput(ActorPoller home)
    {
        if (_output is { } output)
        {
            _output = null;
            home.Traffic.QueuedBytes -= output.Bytes;
            bool isFree = output.Disarm(_descriptor);
            if (output.HasDeadline)
            {
                output.HasDeadline = false;
                home.Poller.SetDeadline(_descriptor, PollMode.Write, Deadline.None);
            }

            home.Extension.OutputBudget.Give(output.Bytes);
            output.Clear();
            output.FailFlushes();
            home.ReturnOutput(output, isFree);
        }
    }

    private void WaitForRoom(ActorPoller home, PendingOutput output, bool hasMoved)
    {
        TimeSpan timeout = WriteTimeout;
        if (timeout != Timeout.InfiniteTimeSpan && (hasMoved || !output.HasDeadline))
        {
            output.HasDeadline = true;
            home.Poller.SetDeadline(_descriptor, PollMode.Write, Deadline.After(timeout));
        }

        output.Arm(home.Poller, _descriptor);
    }

    private void AfterSent(ActorPoller home, PendingOutput output)
    {
        if (_isOutputHigh && output.Bytes <= _owner.ConnectionOptions.LowWatermark)
        {
            _isOutputHigh = false;

            // Perhaps outside a turn: reading goes on in one.
            Signal(ConnectionSignals.InputPending | ConnectionSignals.OutputNotice);
        }

        if (output.IsEmpty)
        {
            DropOutput(home);
            if (_phase == ConnectionPhase.Closing || _isWriteClosed)
            {
                // The end of a turn goes on with the closing.
                TakeATurn(home);
                if (_isHandlerBusy)
                {
                    FinishWithoutTurn();
                }
            }
        }
    }

    private void AfterQueued(ActorPoller home)
    {
        FlushLater(home);
        ConnectionOptions options = _owner.ConnectionOptions;
        if (QueuedBytes > options.OutputHighWatermark)
        {
            // Perhaps the system just was not asked yet.
            WriteQueued(home);
        }

        if (!_isOutputHigh && QueuedBytes > options.OutputHighWatermark)
        {
            _isOutputHigh = true;
            Signal(ConnectionSignals.OutputNotice);
        }
    }

    // What changed about the output since the handler was last told, if it still holds. The turn only.
    private void TellOfOutput()
    {
        if (_phase <= ConnectionPhase.ReadClosed && _isToldOfHigh != _isOutputHigh)
        {
            _isToldOfHigh = _isOutputHigh;
            if (_isToldOfHigh)
            {
                _handler!.WritesSuspended();
            }
            else
            {
                _handler!.WritesResumed();
            }
        }

        if (!_isHandlerBusy && _phase <= ConnectionPhase.ReadClosed && _cold is { } cold && cold.TakeUntold(out DroppedOutput dropped))
        {
            _handler!.OutputDropped(dropped);
        }
    }

    private void FlushLater(ActorPoller home)
    {
        if (!_isFlushQueued && _output is not { IsArmed: true })
        {
            _isFlushQueued = true;
            home.FlushLater(this);
        }
    }

    // Everything is sent: our FIN goes out.
    private void FinishWriting()
    {
        if (_output is null && Pending is null && !_isFinSent)
        {
            _isFinSent = true;
            _ = _transport.ShutdownWrite();
        }
    }

    // And the peer gets its time to send the other.
    private void FinishSending(ActorPoller home)
    {
        FinishWriting();
        _input.Clear();
        _mustOfferAgain = false;
        ClosingState closing = _cold!.Closing!;
        if (closing.IsPeerDone || _owner.ConnectionOptions.LingerTimeout == TimeSpan.Zero)
        {
            RequestClose(closing.Reason, exception: null, reset: false);
            return;
        }

        _phase = ConnectionPhase.Lingering;
        _hasUnread = true;

        // A read deadline that has passed would refuse the wait for the peer's FIN.
        home.Poller.SetDeadline(_descriptor, PollMode.Read, Deadline.None);
        StartLinger(home);
    }
}
