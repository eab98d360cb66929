using NetPoll.Actors.Pollers;
using NetPoll.Core;

namespace NetPoll.Actors.Connections;

/// <content>
/// Another actor in the place of one that failed. From the failure to the restart the mailbox is suspended: signals and messages wait, output goes
/// on. The new handler finds the connection as a new one would be, but for the bytes: what no handler was given, and what waits to be sent.
/// </content>
internal partial class Connection
{
    /// <summary>Whether a handler that throws may have a successor.</summary>
    internal bool IsRestartable => _owner.ConnectionOptions.Restart is not null;

    /// <summary>Whether the handler that is about to attach is a successor.</summary>
    internal bool IsRestarting => _cold is { RestartedBy: not null };

    /// <summary>The handler threw over the first bytes of what it was offered; the rest is for its successor. Inside <c>Received</c> only.</summary>
    /// <param name="rest">The end of what was offered.</param>
    internal void KeepAfterFailure(ReadOnlySpan<byte> rest)
    {
        if (!IsRestartable || _phase > ConnectionPhase.ReadClosed)
        {
            return;
        }

        if (_input.IsEmpty)
        {
            _input.Keep(rest);
        }
        else
        {
            _input.Consume(_input.Length - rest.Length);
        }
    }

    /// <summary>The failed actor goes. The turn only.</summary>
    internal void HandlerRestarts(Exception failure) => Cold.RestartedBy = failure;

    /// <summary>A new actor has started in the place of one that failed. The turn only.</summary>
    /// <returns>What the other one threw; null when the connection has ended meanwhile, and that is all there is to tell.</returns>
    internal Exception? Reattach(IConnectionHandler handler)
    {
        ActorPoller home = CheckThread();
        ColdState cold = Cold;
        Exception failure = cold.RestartedBy!;
        cold.RestartedBy = null;
        _handler = handler;
        _handlerCountsMessages = handler.CountsMessages;
        _isHandlerBusy = false;
        if (_phase == ConnectionPhase.Closed || Pending is not null)
        {
            Signal(ConnectionSignals.CloseRequested);
            return null;
        }

        // What the other one had asked for is gone with it. The lifetime and the rates are the peer's, and go on.
        _isSuspended = false;
        cold.Demand = long.MaxValue;
        cold.DemandsBytes = false;
        cold.IsHangupTold = false;
        SetReadDeadline(Deadline.None);
        IdleTimeout = null;
        if (cold.Phase is not null)
        {
            Deadlines = _owner.ConnectionOptions.Deadlines ?? new DeadlineProfile();
        }

        Heartbeat = _owner.ConnectionOptions.Heartbeat;
        _mustOfferAgain = !_input.IsEmpty;
        _isToldOfHigh = false;

        // With what the failed turn had taken of the signals and did not come to: hints, but for the shutdown.
        bool isStopping = home.IsDraining || home.Extension.IsStopping;
        SignalNextTurn(ConnectionSignals.InputPending | ConnectionSignals.WriteDeadline | ConnectionSignals.OutputNotice | ConnectionSignals.Restarted
            | (isStopping ? ConnectionSignals.ShutdownRequested : 0));
        return failure;
    }

    // The peer's FIN is told again: whoever was told is gone, and nobody else would end our side.
    private void TellOfRestart()
    {
        if (_phase == ConnectionPhase.ReadClosed && Pending is null)
        {
            if (_isWriteClosed)
            {
                Close(CloseReason.Local);
            }
            else
            {
                _handler!.PeerClosed();
            }
        }
    }
}
