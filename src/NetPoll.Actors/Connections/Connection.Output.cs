using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <content>
/// Output: what a turn writes gathers in the poller's scratch and leaves with one system call at its end; what the system does not take
/// waits in the queue. A large write goes out straight away when nothing waits before it. What is written outside a turn waits in the queue
/// until the poller has run what was queued before.
/// </content>
internal sealed partial class Connection
{
    // From here on a copy costs more than a system call of its own saves.
    private const int DirectWriteSize = 4096;

    private OutputQueue _output;

    // Bytes of this turn in the poller's write scratch. Not 0 only while this connection's turn runs.
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

        if (!ReferenceEquals(home.Current, this))
        {
            _output.Append(bytes);
            AfterQueued();
            FlushLater(home);
        }
        else if (!_output.IsEmpty)
        {
            _output.Append(bytes);
            AfterQueued();
        }
        else if (bytes.Length < DirectWriteSize && bytes.Length <= home.WriteScratch.Length - _corkedBytes)
        {
            bytes.CopyTo(home.WriteScratch.AsSpan(_corkedBytes));
            _corkedBytes += bytes.Length;
        }
        else
        {
            Uncork(home);
            WriteOrQueue(bytes);
        }
    }

    /// <summary>Sends a shared payload, to which a reference is held as long as it waits. The poller's thread.</summary>
    internal void Send(SharedPayload payload)
    {
        ActorPoller home = CheckThread();
        if (!IsWritable)
        {
            return;
        }

        if (ReferenceEquals(home.Current, this))
        {
            Uncork(home);
        }
        else
        {
            FlushLater(home);
        }

        _output.Append(payload);
        AfterQueued();
    }

    /// <summary>Room of at least <paramref name="size"/> bytes in the turn's scratch, to be followed by <see cref="Commit"/>.</summary>
    /// <returns>False outside a turn, or where output waits, or where it would not fit: encode elsewhere and send that.</returns>
    internal bool TryReserve(int size, out Span<byte> room)
    {
        ActorPoller home = CheckThread();
        room = default;
        if (!IsWritable || !ReferenceEquals(home.Current, this) || !_output.IsEmpty || size > home.WriteScratch.Length)
        {
            return false;
        }

        if (size > home.WriteScratch.Length - _corkedBytes)
        {
            Uncork(home);
            if (!IsWritable || !_output.IsEmpty)
            {
                return false;
            }
        }

        room = home.WriteScratch.AsSpan(_corkedBytes, size);
        return true;
    }

    /// <summary>Counts in what was written into the reserved room.</summary>
    internal void Commit(int size) => _corkedBytes += size;

    /// <summary>Sends what was queued outside a turn. The poller's thread, between turns.</summary>
    internal void FlushQueued()
    {
        _isFlushQueued = false;
        if (_phase == ConnectionPhase.Closed)
        {
            return;
        }

        WriteQueued(Home);
        if (_phase == ConnectionPhase.Closing)
        {
            // The end of a turn goes on with the closing.
            Signal(ConnectionSignals.InputPending);
        }
    }

    private void FlushTurn(ActorPoller home)
    {
        Uncork(home);
        WriteQueued(home);
    }

    private void Uncork(ActorPoller home)
    {
        if (_corkedBytes > 0)
        {
            ReadOnlySpan<byte> corked = home.WriteScratch.AsSpan(0, _corkedBytes);
            _corkedBytes = 0;
            WriteOrQueue(corked);
        }
    }

    private void WriteOrQueue(ReadOnlySpan<byte> bytes)
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
            AfterQueued();
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

    private void AfterQueued()
    {
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
