using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <content>
/// Time: the read deadline is the descriptor's; the write deadline is set by the connection itself while output waits; the idle timeout has
/// a node of its own that only remembers when bytes last came, so that receiving costs one store.
/// </content>
internal partial class Connection
{
    private long _lastReceived;

    /// <summary>How long nothing may be received before the handler is told; null for ever. The poller's thread.</summary>
    internal TimeSpan? IdleTimeout
    {
        get => _cold?.Idle is { Timeout: > 0 } idle ? TimeSpan.FromTicks(idle.Timeout / 100) : null;
        set
        {
            ActorPoller home = CheckThread();
            if (_phase > ConnectionPhase.ReadClosed)
            {
                // Nothing is received any more, and nothing counts the time.
                return;
            }

            if (value is { } timeout && timeout != Timeout.InfiniteTimeSpan)
            {
                ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
                IdleReminder idle = Cold.Idle ??= new IdleReminder(this);
                idle.Timeout = PollerClock.InNanoseconds(timeout);
                RestartIdle(home, idle);
            }
            else if (_cold?.Idle is { } idle)
            {
                idle.Timeout = 0;
                home.Poller.Wheel.Cancel(idle);
            }
        }
    }

    /// <summary>Sets the read deadline. The poller's thread.</summary>
    internal void SetReadDeadline(Deadline deadline)
    {
        ActorPoller home = CheckThread();
        if (_phase != ConnectionPhase.Closed)
        {
            _cold?.IsReadDeadlineReported = false;
            home.Poller.SetDeadline(_descriptor, PollMode.Read, deadline);
            TakeATurn(home);
        }
    }

    // Each signal is a hint: what holds now is looked up, so a deadline that was moved meanwhile is never reported.
    private void LookAtDeadlines(int signals)
    {
        if (_phase > ConnectionPhase.Closing)
        {
            return;
        }

        PollInfo info = _descriptor.Info;
        if (info.IsReadExpired && _cold is not { IsReadDeadlineReported: true } && _phase == ConnectionPhase.Open)
        {
            Cold.IsReadDeadlineReported = true;
            _handler!.DeadlinePassed(DeadlineKind.Read);
            if (_isHandlerBusy)
            {
                Defer(signals);
                return;
            }
        }

        if ((signals & ConnectionSignals.WriteDeadline) != 0)
        {
            WriteDeadlinePassed();
            if (_isHandlerBusy)
            {
                Defer(signals & ~ConnectionSignals.WriteDeadline);
                return;
            }
        }

        if ((signals & ConnectionSignals.IdlePassed) != 0 && _phase <= ConnectionPhase.ReadClosed && _cold?.Idle is { Timeout: > 0 } idle)
        {
            ActorPoller home = Home;
            if (home.Poller.Now >= idle.Due && !IsThrottled)
            {
                _handler!.DeadlinePassed(DeadlineKind.Idle);
            }

            if (_phase <= ConnectionPhase.ReadClosed && idle.Timeout > 0)
            {
                RestartIdle(home, idle);
            }

            if (_isHandlerBusy)
            {
                Defer(signals & ~ConnectionSignals.IdlePassed);
                return;
            }
        }

        if ((signals & ConnectionSignals.PhasePassed) != 0 && _cold?.Phase is { } phase)
        {
            LookAtPhase(Home, phase);
        }

        if ((signals & ConnectionSignals.HeartbeatDue) != 0 && _cold?.Heartbeat is { } heartbeat)
        {
            LookAtHeartbeat(Home, heartbeat);
        }
    }

    // Between turns. A handler that awaits cannot be asked, and the peer shall not gain by that: its connection ends.
    private void WriteDeadlineDue()
    {
        if (_isHandlerBusy)
        {
            Abandon(CloseReason.DeadlineExceeded);
        }
        else
        {
            Signal(ConnectionSignals.WriteDeadline);
        }
    }

    // A time that came up in the turn in which the handler became busy. Between turns.
    private void LookWhileBusy(int signals)
    {
        if (!IsHere)
        {
            // The handler has ended, and the connection has moved since.
            LookLater(signals);
            return;
        }

        if (_phase == ConnectionPhase.Closed)
        {
            return;
        }

        if ((signals & ConnectionSignals.WriteDeadline) != 0 && _output is not null && _descriptor.Info.IsWriteExpired)
        {
            WriteDeadlineDue();
        }

        if ((signals & ConnectionSignals.PhasePassed) != 0 && _cold?.Phase is { } phase)
        {
            PhaseTimePassed(phase);
        }

        if ((signals & ConnectionSignals.HeartbeatDue) != 0 && _cold?.Heartbeat is { } heartbeat)
        {
            HeartbeatTimePassed(heartbeat);
        }
    }

    private void WriteDeadlinePassed()
    {
        if (_output is not { } output || !_descriptor.Info.IsWriteExpired)
        {
            return;
        }

        // Another period for a handler that does not object to waiting.
        ActorPoller home = Home;
        output.HasDeadline = false;
        home.Poller.SetDeadline(_descriptor, PollMode.Write, Deadline.None);
        if (_phase == ConnectionPhase.Closing)
        {
            CloseNow(CloseReason.DeadlineExceeded, exception: null, reset: true);
            return;
        }

        _handler!.DeadlinePassed(DeadlineKind.Write);
        if (_phase != ConnectionPhase.Closed)
        {
            WriteQueued(home);
        }
    }

    private static void RestartIdle(ActorPoller home, IdleReminder idle)
    {
        idle.StartedAt = home.Poller.Now;
        home.Poller.Wheel.Arm(idle, idle.Due);
    }

    private void StartLinger(ActorPoller home)
    {
        ClosingState closing = _cold!.Closing!;
        if (closing.Linger is { } begun)
        {
            // Begun while the handler awaited.
            home.Poller.Wheel.Cancel(begun);
        }

        closing.Linger = new Reminder(this, ConnectionSignals.LingerPassed);
        home.Poller.Wheel.Arm(closing.Linger, home.Poller.Now + PollerClock.InNanoseconds(_owner.ConnectionOptions.LingerTimeout));
    }

    private void CancelTimers(ActorPoller home)
    {
        if (_cold?.Idle is { } idle)
        {
            home.Poller.Wheel.Cancel(idle);
        }

        if (_cold?.Closing?.Linger is { } linger)
        {
            home.Poller.Wheel.Cancel(linger);
        }

        CancelPhases(home);
    }

    /// <summary>Raises a signal when its time has come.</summary>
    private class Reminder(Connection connection, int signal) : DeadlineNode
    {
        protected Connection Connection => connection;

        internal override void OnDue(long now, ReadyList ready) => ready.Add(connection, (PollSignals)signal);
    }

    /// <summary>Calls when its time has come, between turns, whatever the handler does. What holds by then is the callee's to look up.</summary>
    private sealed class Alarm(Connection connection, Action<Connection> action) : DeadlineNode, IPollWaiter
    {
        public void Resume(PollSignals signals) => action(connection);

        public void Schedule(PollSignals signals) => connection.Home.Poller.Post(() => action(connection));

        internal override void OnDue(long now, ReadyList ready) => ready.Add(this, PollSignals.None);
    }

    /// <summary>Looks first whether bytes came meanwhile.</summary>
    private sealed class IdleReminder(Connection connection) : Reminder(connection, ConnectionSignals.IdlePassed)
    {
        /// <summary>Nanoseconds; 0 for never.</summary>
        internal long Timeout { get; set; }

        /// <summary>When the time was started anew without bytes.</summary>
        internal long StartedAt { get; set; }

        internal long Due => Math.Max(StartedAt, Connection._lastReceived) + Timeout;

        internal override void OnDue(long now, ReadyList ready)
        {
            if (Due > now)
            {
                Connection.Home.Poller.Wheel.Arm(this, Due);
            }
            else
            {
                base.OnDue(now, ready);
            }
        }
    }
}
