using NetPoll.Actors.Pollers;
using NetPoll.Core;

namespace NetPoll.Actors.Connections;

/// <content>The deadlines of the phase that the connection is in, and its heartbeat.</content>
internal partial class Connection
{
    /// <summary>When bytes last came, on the poller's clock.</summary>
    internal long LastReceived => _lastReceived;

    /// <summary>The deadlines of the present phase; null before the first. Setting it begins a phase. The poller's thread.</summary>
    internal DeadlineProfile? Deadlines
    {
        get => _cold?.Phase?.Profile;
        set
        {
            ActorPoller home = CheckThread();
            ArgumentNullException.ThrowIfNull(value);
            value.Validate();
            if (_phase > ConnectionPhase.ReadClosed)
            {
                return;
            }

            IdleTimeout = value.Idle;
            PhaseTimer phase = Cold.Phase ??= new PhaseTimer(this, home.Poller.Now);
            phase.Switch(value, home.Poller.Now);
            if (_output is { HasDeadline: true } output)
            {
                // What waits has the new time, from now on.
                output.HasDeadline = WriteTimeout != Timeout.InfiniteTimeSpan;
                home.Poller.SetDeadline(_descriptor, PollMode.Write, Deadline.After(WriteTimeout));
            }
        }
    }

    /// <summary>How the peer is asked for signs of life; null for not at all. The poller's thread.</summary>
    internal Heartbeat? Heartbeat
    {
        get => _cold?.Heartbeat?.Heartbeat;
        set
        {
            ActorPoller home = CheckThread();
            value?.Validate();
            if (_cold?.Heartbeat is { } old)
            {
                home.Poller.Wheel.Cancel(old);
                _cold.Heartbeat = null;
            }

            if (value is not null && _phase == ConnectionPhase.Open)
            {
                Cold.Heartbeat = new HeartbeatTimer(this, value, home.Poller.Now);
                Cold.Heartbeat.Arm();
            }
        }
    }

    private TimeSpan WriteTimeout => _cold?.Phase?.Profile.Write ?? _owner.ConnectionOptions.WriteTimeout;

    /// <summary>The handler has recognised an answer to a ping. The poller's thread.</summary>
    internal void HeartbeatAnswered() => _cold?.Heartbeat?.Answered(CheckThread().Poller.Now);

    /// <summary>The timer of the phase has come up. Between turns.</summary>
    internal void PhaseTimePassed(PhaseTimer phase)
    {
        if (_isHandlerBusy && _phase <= ConnectionPhase.ReadClosed && phase.TakeLifetime(Home.Poller.Now))
        {
            // A handler that awaits cannot be asked, and the peer shall not gain by that.
            phase.Arm();
            Close(CloseReason.DeadlineExceeded);
        }
        else
        {
            Signal(ConnectionSignals.PhasePassed);
        }
    }

    /// <summary>The timer of the heartbeat has come up. Between turns.</summary>
    internal void HeartbeatTimePassed(HeartbeatTimer heartbeat)
    {
        if (_isHandlerBusy && ReferenceEquals(_cold?.Heartbeat, heartbeat) && _phase == ConnectionPhase.Open && heartbeat.IsDue(Home.Poller.Now))
        {
            Beat(Home, heartbeat, counts: false);
        }
        else
        {
            Signal(ConnectionSignals.HeartbeatDue);
        }
    }

    // What the owner's options ask for from the beginning.
    private void BeginPhases()
    {
        ConnectionOptions options = _owner.ConnectionOptions;
        if (options.Deadlines is { } deadlines)
        {
            Deadlines = deadlines;
        }

        if (options.Heartbeat is { } heartbeat)
        {
            Heartbeat = heartbeat;
        }

        if (options.RateLimits is { } limits)
        {
            RateLimits = limits;
        }
    }

    // The turn only, after what had come was read.
    private void LookAtPhase(ActorPoller home, PhaseTimer phase)
    {
        long now = home.Poller.Now;
        if (_phase == ConnectionPhase.Open && phase.TakeFirstByte(now))
        {
            _handler!.DeadlinePassed(DeadlineKind.FirstByte);
            if (_isHandlerBusy)
            {
                Defer(ConnectionSignals.PhasePassed);
                return;
            }
        }

        // The handler may have begun another phase, whose deadlines these are by now.
        if (_phase <= ConnectionPhase.ReadClosed && Pending is null && phase.TakeLifetime(now))
        {
            _handler!.DeadlinePassed(DeadlineKind.Lifetime);
        }

        if (_phase <= ConnectionPhase.ReadClosed)
        {
            phase.Arm();
        }
    }

    private void LookAtHeartbeat(ActorPoller home, HeartbeatTimer heartbeat)
    {
        if (_phase != ConnectionPhase.Open || Pending is not null)
        {
            // Nothing can come any more.
            return;
        }

        if (!heartbeat.IsDue(home.Poller.Now))
        {
            heartbeat.Arm();
            return;
        }

        bool mayAnswer = WantsBytes();
        if (mayAnswer && heartbeat.IsLost)
        {
            RequestClose(CloseReason.HeartbeatMissed, exception: null, reset: true);
        }
        else
        {
            Beat(home, heartbeat, mayAnswer);
        }
    }

    private void Beat(ActorPoller home, HeartbeatTimer heartbeat, bool counts)
    {
        heartbeat.Beat(home.Poller.Now, counts);
        heartbeat.Arm();
        if (_output is null)
        {
            Send(heartbeat.Heartbeat.Ping.Span);
        }
    }

    private void CancelPhases(ActorPoller home)
    {
        if (_cold is { } cold)
        {
            if (cold.Phase is not null)
            {
                home.Poller.Wheel.Cancel(cold.Phase);
            }

            if (cold.Heartbeat is not null)
            {
                home.Poller.Wheel.Cancel(cold.Heartbeat);
            }

            CancelLimits();
        }
    }
}
