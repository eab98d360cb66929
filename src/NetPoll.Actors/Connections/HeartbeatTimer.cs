using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <summary>When a connection's peer is to be asked for a sign of life, and how often it has not given one.</summary>
internal sealed class HeartbeatTimer : DeadlineNode, IPollWaiter
{
    private readonly Connection _connection;
    private readonly long _interval;

    // On the poller's clock: when it was asked last, or at the beginning; and when the handler last said that it answered.
    private long _beatAt;
    private long _answeredAt;

    internal HeartbeatTimer(Connection connection, Heartbeat heartbeat, long now)
    {
        _connection = connection;
        Heartbeat = heartbeat;
        _interval = PollerClock.InNanoseconds(heartbeat.Interval);
        _beatAt = now;
        _answeredAt = now;
    }

    internal Heartbeat Heartbeat { get; }

    /// <summary>Pings that nothing has come after.</summary>
    internal int Missed { get; private set; }

    private long LastAnswer => Heartbeat.Answer == HeartbeatAnswer.AnyBytes ? _connection.LastReceived : _answeredAt;

    private long Due => Math.Max(_beatAt, LastAnswer) + _interval;

    internal void Answered(long now) => _answeredAt = now;

    internal bool IsDue(long now) => Due <= now;

    /// <summary>It is being asked.</summary>
    /// <param name="now">The poller's clock.</param>
    /// <param name="counts">Whether it could have answered the last time.</param>
    internal void Beat(long now, bool counts)
    {
        if (LastAnswer >= _beatAt)
        {
            Missed = 0;
        }

        if (counts)
        {
            Missed++;
        }

        _beatAt = now;
    }

    /// <summary>Whether as many pings as may be have gone unanswered.</summary>
    internal bool IsLost => Missed >= Heartbeat.MaxMissed && LastAnswer < _beatAt;

    /// <summary>The clock is another one from here on. Before it is armed there.</summary>
    internal void Shift(long nanoseconds)
    {
        _beatAt += nanoseconds;
        _answeredAt += nanoseconds;
    }

    internal void Arm() => _connection.Home.Poller.Wheel.Arm(this, Due);

    /// <inheritdoc/>
    public void Resume(PollSignals signals)
    {
        if (_connection.IsHere)
        {
            _connection.HeartbeatTimePassed(this);
        }
        else
        {
            Schedule(signals);
        }
    }

    /// <inheritdoc/>
    public void Schedule(PollSignals signals) => _connection.Home.Poller.Post(() => Resume(signals));

    /// <inheritdoc/>
    internal override void OnDue(long now, ReadyList ready)
    {
        if (Due <= now)
        {
            ready.Add(this, PollSignals.None);
        }
        else
        {
            Arm();
        }
    }
}
