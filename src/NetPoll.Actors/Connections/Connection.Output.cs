using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <content>
/// Output: what is written gathers in the poller's write scratch, and leaves with one system call when the poller has run the turns of its
/// batch; what the system does not take waits in the queue. A large write goes out straight away when nothing waits before it.
/// </content>
internal sealed partial class Connection
{
    // From here on a copy costs more than a system call of its own saves.
    private const int DirectWriteSize = 4096;

    private OutputQueue _output;

    // What is corked: this connection's bytes in the poller's write scratch. Only while the queue is empty.
    private int _corkedAt;
    private int _corkedBytes;

    private bool _isWriteArmed;
    private bool _isFlushQueued;

    // More waits than the high watermark allows; until half of that is sent nothing is read.
    private bool _isOutputHigh;

    /// <summary>Bytes that wait to be sent.</summary>
    internal long OutputBytes => _output.Bytes + _corkedBytes;

    /// <summary>Sends bytes, which are copied or gone when this returns. The poller's thread.</summary>
    internal void Send(ReadOnlySpan<byte> bytes)
    {
        ActorPoller home = CheckThread();
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
            Uncork(home);
            WriteOrQueue(home, bytes);
        }
    }

    /// <summary>Sends a shared payload, to which a reference is held as long as it waits. The poller's thread.</summary>
    internal void Send(SharedPayload payload)
    {
        if (payload.Length < DirectWriteSize && _output.IsEmpty)
        {
            Send(payload.Memory.Span);
            return;
        }

        ActorPoller home = CheckThread();
        if (IsWritable)
        {
            Uncork(home);
            _output.Append(payload);
            AfterQueued(home);
        }
    }

    /// <summary>Room of <paramref name="size"/> bytes in the poller's scratch, to be followed by <see cref="Commit"/>.</summary>
    /// <returns>False where output waits, or where it would not fit: encode elsewhere and send that.</returns>
    internal bool TryReserve(int size, out Span<byte> room)
    {
        ActorPoller home = CheckThread();
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
        FlushLater(home);
    }

    /// <summary>Sends what gathered. The poller's thread.</summary>
    internal void FlushQueued()
    {
        if (_phase != ConnectionPhase.Closed)
        {
            FlushTurn(Home);
            if (_phase == ConnectionPhase.Closing)
            {
                // The end of a turn goes on with the closing.
                Signal(ConnectionSignals.InputPending);
            }
        }

        _isFlushQueued = false;
    }

    private void FlushTurn(ActorPoller home)
    {
        Uncork(home);
        WriteQueued(home);
    }

    // Makes room behind what this connection has corked already, which must be the last in the scratch for that; else it leaves first.
    private bool TryCork(ActorPoller home, int size)
    {
        if (!_output.IsEmpty || size > home.WriteScratch.Length)
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

        return _output.IsEmpty && _pendingClose is null;
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
        if (_output.IsEmpty && _pendingClose is null)
        {
            IoResult result = _transport.TryWrite(bytes);
            if (result.IsSuccess)
            {
                BytesSent += result.Count;
                bytes = bytes[result.Count..];
            }
            else if (!result.WouldBlock)
            {
                RequestClose(ReasonOf(result), ToException("write to", result), reset: false);
                return;
            }
        }

        if (!bytes.IsEmpty)
        {
            _output.Append(bytes);
            AfterQueued(home);
        }
    }

    // Sends as much as the system takes, and waits for more room if that is not all.
    private void WriteQueued(ActorPoller home)
    {
        if (_output.IsEmpty || _pendingClose is not null || _isWriteArmed)
        {
            return;
        }

        long before = BytesSent;
        _descriptor.ForgetReadiness(PollMode.Write);
        while (!_output.IsEmpty)
        {
            IoResult result = _output.WriteOnce(_transport);
            BytesSent += result.Count;
            if (result.WouldBlock)
            {
                WaitForRoom(home, hasMoved: BytesSent != before);
                break;
            }

            if (!result.IsSuccess)
            {
                RequestClose(ReasonOf(result), ToException("write to", result), reset: false);
                return;
            }
        }

        AfterSent(home);
    }

    private void WaitForRoom(ActorPoller home, bool hasMoved)
    {
        if (_options.WriteTimeout != Timeout.InfiniteTimeSpan && (hasMoved || !_hasWriteDeadline))
        {
            _hasWriteDeadline = true;
            home.Poller.SetDeadline(_descriptor, PollMode.Write, Deadline.After(_options.WriteTimeout));
        }

        PollSignals signals = _descriptor.Arm(PollMode.Write, this);
        _isWriteArmed = signals == PollSignals.None;
        if (!_isWriteArmed)
        {
            Signal((int)signals);
        }
    }

    private void AfterSent(ActorPoller home)
    {
        if (_output.IsEmpty && _hasWriteDeadline)
        {
            _hasWriteDeadline = false;
            home.Poller.SetDeadline(_descriptor, PollMode.Write, Deadline.None);
        }

        if (_isOutputHigh && _output.Bytes <= _options.OutputHighWatermark / 2)
        {
            _isOutputHigh = false;

            // Perhaps outside a turn: reading goes on in one.
            Signal(ConnectionSignals.InputPending);
        }
    }

    private void AfterQueued(ActorPoller home)
    {
        FlushLater(home);
        _isOutputHigh |= _output.Bytes > _options.OutputHighWatermark;
        if (_output.Bytes > _options.MaxOutputBytes)
        {
            RequestClose(
                CloseReason.SlowConsumer,
                new IOException($"{_output.Bytes} bytes wait to be sent to {RemoteEndPoint}; {nameof(ConnectionOptions.MaxOutputBytes)} is {_options.MaxOutputBytes}."),
                reset: true);
        }
    }

    private void FlushLater(ActorPoller home)
    {
        if (!_isFlushQueued && !_isWriteArmed)
        {
            _isFlushQueued = true;
            home.FlushLater(this);
        }
    }

    // Everything is sent: our FIN goes out, and the peer gets its time to send the other.
    private void FinishSending(ActorPoller home)
    {
        _ = _transport.ShutdownWrite();
        _input.Clear();
        _mustOfferAgain = false;
        if (_isPeerDone || _options.LingerTimeout == TimeSpan.Zero)
        {
            RequestClose(_closeReason, exception: null, reset: false);
            return;
        }

        _phase = ConnectionPhase.Lingering;
        _hasUnread = true;

        // A read deadline that has passed would refuse the wait for the peer's FIN.
        home.Poller.SetDeadline(_descriptor, PollMode.Read, Deadline.None);
        StartLinger(home);
    }
}
