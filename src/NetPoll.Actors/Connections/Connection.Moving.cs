using NetPoll.Actors.Groups;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using Proto;

namespace NetPoll.Actors.Connections;

/// <content>
/// Another poller. The connection leaves between two turns, with its mailbox busy, so that no turn can begin: first everything that the old
/// poller has of it is taken out there (descriptor, timers, gathered output, its places in lists), then, as the old poller's last act, the
/// object is posted to the new one, which puts everything in again and lets the next turn run. Who owns it in between: <c>PollerMailbox._home</c>.
/// What groups were ordered: <see cref="GroupGate"/>.
/// </content>
internal partial class Connection
{
    /// <inheritdoc/>
    internal override bool IsHere => Home.Poller.IsCurrent && _cold is not { Move.IsOnItsWay: true };

    /// <summary>Moves it to a poller when its turn has ended. The poller's thread.</summary>
    /// <param name="poller">The poller's PID.</param>
    /// <param name="replyTo">Who is told of the outcome; null for nobody.</param>
    /// <returns>False when it is known already that it stays.</returns>
    internal bool RequestMove(PID poller, PID? replyTo)
    {
        ActorPoller home = CheckThread();
        if (Array.Find(home.Extension.Homes, candidate => candidate.Pid.Equals(poller)) is not { } target)
        {
            AnswerMove(replyTo, poller, MoveOutcome.NoSuchPoller);
            return false;
        }

        if (ReasonToStay(home, target) is { } outcome)
        {
            AnswerMove(replyTo, poller, outcome);
            return outcome == MoveOutcome.AlreadyThere;
        }

        EndMove(MoveOutcome.Superseded);
        Cold.Move = new MoveState(target, replyTo);
        RequestLeave();
        return true;
    }

    /// <summary>It has come to another poller. That poller's thread, in its place among what was ordered of it.</summary>
    /// <param name="home">The poller.</param>
    /// <param name="taken">What it was ordered to do where it lived before, and has not done.</param>
    internal void Arrive(ActorPoller home, List<GroupCommand> taken)
    {
        home.Poller.AssertCurrent();
        MoveState move = _cold!.Move!;
        move.IsOnItsWay = false;
        home.Connections.Add(this);
        home.Groups.Arrive(this);
        home.Traffic.QueuedBytes += QueuedBytes;
        home.Traffic.Moves++;
        ArmTimers(home);
        AtArrival(home);
        WaitHere(home);
        foreach (GroupCommand command in taken)
        {
            command.Apply();
            command.GiveUp();
        }

        // A hang-up that the system told before it was watched for here is looked for. The turn arms what waits for bytes.
        SignalNextTurn(ConnectionSignals.InputPending | ConnectionSignals.Hangup | ConnectionSignals.Moved);
        home.Poller.Post(this);
        EndMove(MoveOutcome.Moved);
        home.Arrivals.Leave();
    }

    /// <inheritdoc/>
    protected override bool TryLeave(ActorPoller home)
    {
        if (_cold?.Move is not { } move || _output is { Sources: > 0 })
        {
            // The end of the stream asks again.
            StayHere();
            return false;
        }

        if (_handler is null || IsSuspended)
        {
            // Not started, or failed: asked again before its next turn.
            return false;
        }

        ActorPoller target = move.Target;

        // Counted first, looked at second: whoever drains marks the poller first and then waits for those who are on their way to it.
        _ = target.Arrivals.TryEnter();
        if (ReasonToStay(home, target) is null && TryDetach(home, target, out PollDescriptor? moved))
        {
            Leave(home, target, move, moved!);
            return true;
        }

        target.Arrivals.Leave();
        StayHere();
        EndMove(ReasonToStay(home, target) ?? MoveOutcome.NoRoom);
        return false;
    }

    /// <summary>It leaves its poller. That poller's thread.</summary>
    protected virtual void AtLeaving(ActorPoller home)
    {
    }

    /// <summary>It has come to a poller. That poller's thread.</summary>
    protected virtual void AtArrival(ActorPoller home)
    {
    }

    // Sends what gathered, takes its parks back and goes over to a descriptor of the other poller's.
    private bool TryDetach(ActorPoller home, ActorPoller target, out PollDescriptor? moved)
    {
        if (_isFlushQueued)
        {
            // With all that the poller's others have in the scratch, which leaves it no pointer to us.
            home.Flush();
        }

        moved = null;
        if (ReasonToStay(home, target) is not null)
        {
            return false;
        }

        // A signal that is on its way instead comes as a bit, and means no more than that somebody should look.
        _ = _descriptor.TryWithdraw(PollMode.Read, this);
        _isReadArmed = false;
        _descriptor.WatchHangup(null);
        _output?.Withdraw(_descriptor);
        if (home.Poller.Move(_descriptor, target.Poller, out moved).IsSuccess)
        {
            return true;
        }

        WaitHere(home);
        return false;
    }

    // For a hang-up, and for room if output waits for that: it is not tried, since a few bytes that the system takes would pass for progress of
    // the peer, and move its write timeout. Reading is armed by the turn that follows.
    private void WaitHere(ActorPoller home)
    {
        _descriptor.WatchHangup(this);
        if (_output is { IsArmed: false } output && _cold is not { Outbound.IsClosed: true })
        {
            output.Arm(home.Poller, _descriptor);
        }
    }

    private void Leave(ActorPoller home, ActorPoller target, MoveState move, PollDescriptor moved)
    {
        _descriptor = moved;
        TakeTimers(home, home.Poller.Clock.ShiftTo(target.Poller.Clock));
        home.Traffic.QueuedBytes -= QueuedBytes;
        AtLeaving(home);
        home.Connections.Remove(this);
        StayHere();
        move.IsOnItsWay = true;
        GroupGate gate = home.Extension.GroupGate;
        gate.Close();
        try
        {
            List<GroupCommand>? taken = home.GroupCommands.TakeAlong(this, target);
            home.Groups.Leave(this, target.Poller.Index);
            MoveTo(target);

            // Nothing of this object may be touched any more behind the post.
            target.Poller.Post(new Arrival(target, this, taken));
        }
        finally
        {
            gate.Open();
        }
    }

    private MoveOutcome? ReasonToStay(ActorPoller home, ActorPoller target)
    {
        if (_phase > ConnectionPhase.ReadClosed || Pending is not null || IsBroken)
        {
            return MoveOutcome.Closing;
        }

        if (ReferenceEquals(home, target))
        {
            return MoveOutcome.AlreadyThere;
        }

        return target.IsDraining || target.Poller.HasStopped || home.Poller.HasStopped || home.Extension.IsStopping ? MoveOutcome.PollerDraining : null;
    }

    // Tells whoever waits for the move that was asked for, if one was.
    private void EndMove(MoveOutcome outcome)
    {
        if (_cold is { Move: { } move } cold)
        {
            cold.Move = null;
            AnswerMove(move.ReplyTo, move.Target.Pid, outcome);
        }
    }

    private void AnswerMove(PID? replyTo, PID poller, MoveOutcome outcome)
    {
        if (replyTo is not null && Pid is { } pid)
        {
            System.Root.Send(replyTo, new ConnectionMoved(pid, poller, outcome));
        }
    }

    // A stream has ended: a move that waited for that may go on.
    private void SourceEnded()
    {
        if (_cold is { Move: not null })
        {
            RequestLeave();
        }
    }

    // Out of the wheel of this poller; each remembers its time, on the clock of the other.
    private void TakeTimers(ActorPoller home, long shift)
    {
        _lastReceived += shift;
        _output?.Shift(shift);
        TimingWheel wheel = home.Poller.Wheel;
        ColdState cold = _cold!;
        if (cold.Idle is { } idle)
        {
            wheel.Cancel(idle);
            idle.StartedAt += shift;
        }

        if (cold.Phase is { } phase)
        {
            wheel.Cancel(phase);
            phase.Shift(shift);
        }

        if (cold.Heartbeat is { } heartbeat)
        {
            wheel.Cancel(heartbeat);
            heartbeat.Shift(shift);
        }

        cold.Inbound?.Leave(shift);
        cold.Outbound?.Leave(shift);
    }

    private void ArmTimers(ActorPoller home)
    {
        ColdState cold = _cold!;
        if (cold.Idle is { Timeout: > 0 } idle)
        {
            home.Poller.Wheel.Arm(idle, idle.Due);
        }

        cold.Phase?.Arm();
        cold.Heartbeat?.Arm();
        cold.Inbound?.Arrive();
        cold.Outbound?.Arrive();
    }

    /// <summary>A move that was asked for and has not ended.</summary>
    private sealed class MoveState(ActorPoller target, PID? replyTo)
    {
        internal ActorPoller Target => target;

        internal PID? ReplyTo => replyTo;

        /// <summary>It has left, and not arrived. Written by the old poller before it gives the connection away, then by the new one.</summary>
        internal bool IsOnItsWay { get; set; }
    }
}
