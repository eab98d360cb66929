using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <content>
/// Time: the read deadline is the descriptor's; the write deadline is set by the connection itself while output waits; the idle timeout has
/// a node of its own that only remembers when bytes last came, so that receiving costs one store.
/// </content>
internal sealed partial class Connection
{
    private Reminder? _idle;
    private Reminder? _linger;
    private long _idleTimeout;
    private long _lastReceived;

    // The handler was told that the read deadline has passed, and neither moved nor cleared it: no bytes until it does.
    private bool _isReadDeadlineReported;
    private bool _hasWriteDeadline;

    /// <summary>How long nothing may be received before the handler is told; null for ever. The poller's thread.</summary>
    internal TimeSpan? IdleTimeout
    {
        get => _idleTimeout == 0 ? null : TimeSpan.FromTicks(_idleTimeout / 100);
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
                _idleTimeout = (long)Math.Min(timeout.Ticks * 100.0, long.MaxValue / 4);
                RestartIdle(home);
            }
            else
            {
                _idleTimeout = 0;
                if (_idle is not null)
                {
                    home.Poller.Wheel.Cancel(_idle);
                }
            }
        }
    }

    /// <summary>Sets the read deadline. The poller's thread.</summary>
    internal void SetReadDeadline(Deadline deadline)
    {
        ActorPoller home = CheckThread();
        if (_phase != ConnectionPhase.Closed)
        {
            _isReadDeadlineReported = false;
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
        if (info.IsReadExpired && !_isReadDeadlineReported && _phase == ConnectionPhase.Open)
        {
            _isReadDeadlineReported = true;
            _handler!.DeadlinePassed(DeadlineKind.Read);
        }

        if ((signals & ConnectionSignals.WriteDeadline) != 0)
        {
            _isWriteArmed = false;
            WriteDeadlinePassed();
        }

        if ((signals & ConnectionSignals.IdlePassed) != 0 && _phase <= ConnectionPhase.ReadClosed && _idleTimeout != 0)
        {
            ActorPoller home = Home;
            if (home.Poller.Now - _lastReceived >= _idleTimeout)
            {
                _handler!.DeadlinePassed(DeadlineKind.Idle);
            }

            if (_phase <= ConnectionPhase.ReadClosed && _idleTimeout != 0)
            {
                RestartIdle(home);
            }
        }
    }

    private void WriteDeadlinePassed()
    {
        if (_output.IsEmpty || !_descriptor.Info.IsWriteExpired)
        {
            return;
        }

        // Another period for a handler that does not object to waiting.
        ActorPoller home = Home;
        _hasWriteDeadline = false;
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

    private void RestartIdle(ActorPoller home)
    {
        _lastReceived = home.Poller.Now;
        _idle ??= new Reminder(this, ConnectionSignals.IdlePassed);
        home.Poller.Wheel.Arm(_idle, _lastReceived + _idleTimeout);
    }

    private void StartLinger(ActorPoller home)
    {
        _linger ??= new Reminder(this, ConnectionSignals.LingerPassed);
        home.Poller.Wheel.Arm(_linger, home.Poller.Now + (_options.LingerTimeout.Ticks * 100));
    }

    private void CancelTimers(ActorPoller home)
    {
        if (_idle is not null)
        {
            home.Poller.Wheel.Cancel(_idle);
        }

        if (_linger is not null)
        {
            home.Poller.Wheel.Cancel(_linger);
        }
    }

    /// <summary>Raises a signal when its time has come; the idle one looks first whether bytes came meanwhile.</summary>
    private sealed class Reminder : DeadlineNode
    {
        private readonly Connection _connection;
        private readonly int _signal;

        internal Reminder(Connection connection, int signal)
        {
            _connection = connection;
            _signal = signal;
        }

        internal override void OnDue(long now, ReadyList ready)
        {
            if (_signal == ConnectionSignals.IdlePassed)
            {
                long due = _connection._lastReceived + _connection._idleTimeout;
                if (due > now)
                {
                    _connection.Home.Poller.Wheel.Arm(this, due);
                    return;
                }
            }

            ready.Add(_connection, (PollSignals)_signal);
        }
    }
}
