using NetPoll.Actors.Pollers;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Connections;

/// <content>
/// The peer is gone by a reset. What the system still has of its bytes is delivered, whatever held reading back, and then the end is told; what
/// the system threw away with the reset is lost. Nothing can be sent meanwhile.
/// </content>
internal partial class Connection
{
    private bool IsBroken => _cold is { Broken: not null };

    // Where nobody reads, after the peer's FIN or while reading is suspended, only an event tells that the peer is gone. A read would not
    // even tell: behind a FIN the system reports the end for ever. A turn only, not while a handler awaits: after it there will be a read.
    private bool LookForReset(ActorPoller home)
    {
        IoResult result = _transport.CheckPeer();
        if (result.IsSuccess || result.WouldBlock)
        {
            // There is a peer; or there is none any more, because both sides have ended in peace.
            return false;
        }

        if (!TryBreak(home, "read from", result, refused: 0))
        {
            CloseNow(ReasonOf(result), ToException("read from", result), reset: false);
        }

        return true;
    }

    private void WriteFailed(ActorPoller home, IoResult result, long refused)
    {
        if (TryBreak(home, "write to", result, refused))
        {
            Signal(ConnectionSignals.Readable);
        }
        else
        {
            RequestClose(ReasonOf(result), ToException("write to", result), reset: false);
            AddUnsent(refused);
        }
    }

    // False where nobody can be given what is left, or wants it: then the end comes at once.
    private bool TryBreak(ActorPoller home, string operation, IoResult result, long refused)
    {
        if (IsBroken)
        {
            return true;
        }

        if (_phase != ConnectionPhase.Open || _handler is null || _isHandlerBusy || _cold is { IsReadDeadlineReported: true } || ReasonOf(result) != CloseReason.Reset)
        {
            return false;
        }

        // Each of its own, since dropping the queue tells those who flush, and they look.
        Cold.Broken = new BrokenState(ToException(operation, result), OutputBytes + refused);
        _corkedBytes = 0;
        _isWriteClosed = true;
        _isFinSent = true;
        CancelLimits();
        DropOutput(home);
        _isOutputHigh = false;
        _isSuspended = false;
        _cold!.Demand = long.MaxValue;
        _cold.DemandsBytes = false;
        _hasUnread = true;
        return true;
    }

    /// <summary>What is left to tell of a connection whose peer is gone.</summary>
    /// <param name="Exception">What the system said.</param>
    /// <param name="BytesUnsent">Bytes that waited for it.</param>
    private sealed record BrokenState(Exception Exception, long BytesUnsent);
}
