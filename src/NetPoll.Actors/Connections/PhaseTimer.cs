using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <summary>The deadlines of a connection's phase that nothing else keeps: first byte and lifetime, by one node in the wheel.</summary>
/// <remarks>The node only reminds; what has passed is looked up in the connection's turn, so a switch before it leaves nothing to be told.</remarks>
internal sealed class PhaseTimer : DeadlineNode, IPollWaiter
{
    private readonly Connection _connection;
    private long _startedAt;

    // On the poller's clock; 0 for never.
    private long _firstByteDue;
    private long _lifetimeDue;
    private long _bytesBefore;

    internal PhaseTimer(Connection connection, long now)
    {
        _connection = connection;
        _startedAt = now;
    }

    internal DeadlineProfile Profile { get; private set; } = new();

    /// <summary>Begins a phase.</summary>
    internal void Switch(DeadlineProfile profile, long now)
    {
        Profile = profile;
        _bytesBefore = _connection.BytesReceived;
        _firstByteDue = After(now, profile.FirstByte);
        _lifetimeDue = After(_startedAt, profile.Lifetime);
        Arm();
    }

    /// <summary>The clock is another one from here on. Before it is armed there.</summary>
    internal void Shift(long nanoseconds)
    {
        _startedAt += nanoseconds;
        _firstByteDue = ShiftDue(_firstByteDue, nanoseconds);
        _lifetimeDue = ShiftDue(_lifetimeDue, nanoseconds);
    }

    /// <summary>Puts the node where the deadlines want it.</summary>
    internal void Arm()
    {
        TimingWheel wheel = _connection.Home.Poller.Wheel;
        long next = Math.Min(NeverAs0(_firstByteDue), NeverAs0(_lifetimeDue));
        if (next == long.MaxValue)
        {
            wheel.Cancel(this);
        }
        else
        {
            wheel.Arm(this, next);
        }
    }

    /// <summary>Whether the lifetime has passed and was not told yet; it has been after this.</summary>
    internal bool TakeLifetime(long now) => Take(ref _lifetimeDue, now);

    /// <summary>Whether the first byte is overdue and that was not told yet; it has been after this.</summary>
    internal bool TakeFirstByte(long now) => Take(ref _firstByteDue, now) && _connection.BytesReceived == _bytesBefore;

    /// <inheritdoc/>
    public void Resume(PollSignals signals)
    {
        if (_connection.IsHere)
        {
            _connection.PhaseTimePassed(this);
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
        if (_connection.BytesReceived != _bytesBefore)
        {
            _firstByteDue = 0;
        }

        if (Math.Min(NeverAs0(_firstByteDue), NeverAs0(_lifetimeDue)) <= now)
        {
            ready.Add(this, PollSignals.None);
        }
        else
        {
            Arm();
        }
    }

    private static bool Take(ref long due, long now)
    {
        bool hasPassed = due != 0 && due <= now;
        if (hasPassed)
        {
            due = 0;
        }

        return hasPassed;
    }

    // 0 stays never, and what was above it stays there.
    private static long ShiftDue(long due, long by) => due == 0 ? 0 : Math.Max(1, due + by);

    private static long NeverAs0(long due) => due == 0 ? long.MaxValue : due;

    private static long After(long start, TimeSpan? time) =>
        time is { } span ? start + PollerClock.InNanoseconds(span) : 0;
}
