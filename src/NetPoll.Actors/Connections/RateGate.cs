using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Connections;

/// <summary>One direction of a connection that has a limit: closed while its tokens are used up. The poller's thread.</summary>
internal abstract class RateGate : DeadlineNode
{
    private readonly TokenBucket? _bytes;
    private readonly TokenBucket? _messages;
    private readonly SharedRateLimit? _shared;

    // On its way to another poller: when it is to open.
    private long _due;

    /// <param name="connection">Whose.</param>
    /// <param name="limit">Its own; null for none.</param>
    /// <param name="shared">That of many; null for none.</param>
    protected RateGate(Connection connection, RateLimit? limit, SharedRateLimit? shared)
    {
        Connection = connection;
        _bytes = limit?.MakeBytes(Now);
        _messages = limit?.MakeMessages(Now);
        _shared = shared;

        // Behind the others, if the tokens of all are used up.
        TakeBytes(0);
        TakeMessages(0);
    }

    /// <summary>Whether nothing may move.</summary>
    internal bool IsClosed { get; private set; }

    protected Connection Connection { get; }

    protected bool CountsMessages => _messages is not null || _shared?.Messages is not null;

    /// <summary>How many bytes may move now, 1 or more; while it is open.</summary>
    protected long Bytes => Math.Min(_bytes?.Available(Now) ?? long.MaxValue, _shared?.Bytes?.Available(_shared.Now) ?? long.MaxValue);

    /// <summary>How many messages may move now, 1 or more; while it is open.</summary>
    protected long Messages => Math.Min(_messages?.Available(Now) ?? long.MaxValue, _shared?.Messages?.Available(_shared.Now) ?? long.MaxValue);

    private long Now => Connection.Home.Poller.Now;

    /// <summary>Leaves the wheel for another poller's. The present one's thread.</summary>
    /// <param name="nanoseconds">What its clock is ahead by.</param>
    internal void Leave(long nanoseconds)
    {
        _bytes?.Shift(nanoseconds);
        _messages?.Shift(nanoseconds);
        if (IsInWheel)
        {
            _due = (Tick * PollerClock.NanosecondsPerMillisecond) + nanoseconds;
            Cancel();
        }
    }

    /// <summary>Goes on where it left. The new poller's thread.</summary>
    internal void Arrive()
    {
        if (IsClosed)
        {
            Connection.Home.Poller.Wheel.Arm(this, _due);
        }
    }

    /// <summary>Is no longer the connection's.</summary>
    internal void Cancel() => Connection.Home.Poller.Wheel.Cancel(this);

    /// <summary>Bytes have moved.</summary>
    internal void TakeBytes(long count)
    {
        Close(_bytes?.Take(count, Now));
        Close(_shared?.Bytes?.Take(count, _shared.Now));
    }

    /// <inheritdoc/>
    internal sealed override void OnDue(long now, ReadyList ready)
    {
        IsClosed = false;
        Opened(ready);
    }

    /// <summary>Messages have moved.</summary>
    protected void TakeMessages(long count)
    {
        Close(_messages?.Take(count, Now));
        Close(_shared?.Messages?.Take(count, _shared.Now));
    }

    /// <summary>There are tokens again.</summary>
    protected abstract void Opened(ReadyList ready);

    private void Close(long? wait)
    {
        if (wait > 0)
        {
            // The longest of the waits counts.
            long due = Now + wait.Value;
            if (!IsClosed || TimingWheel.TickOf(due) > Tick)
            {
                Connection.Home.Poller.Wheel.Arm(this, due);
            }

            IsClosed = true;
        }
    }
}

/// <summary>What a connection may receive.</summary>
internal sealed class InboundGate(Connection connection, RateLimit? limit, SharedRateLimit? shared) : RateGate(connection, limit, shared)
{
    /// <summary>As much of the room as may be filled now.</summary>
    internal Span<byte> Limit(Span<byte> room) => Bytes is long most && most < room.Length ? room[..(int)most] : room;

    /// <summary>A message is handed over.</summary>
    internal void TakeMessage() => TakeMessages(1);

    /// <inheritdoc/>
    protected override void Opened(ReadyList ready) => ready.Add(Connection, (PollSignals)ConnectionSignals.InputPending);
}

/// <summary>What a connection may send. Knows where each message that waits ends, if messages are limited.</summary>
internal sealed class OutboundGate : RateGate, IPollWaiter
{
    // Enough for one system call.
    private const long MostAtOnce = 256 * 1024;

    private readonly Queue<int> _lengths = new();

    // Bytes before all of them that belong to none; then what was sent of the first.
    private long _unmetered;
    private long _sentOfFirst;

    /// <param name="connection">Whose.</param>
    /// <param name="limit">Its own; null for none.</param>
    /// <param name="shared">That of many; null for none.</param>
    /// <param name="waiting">Bytes that wait already.</param>
    internal OutboundGate(Connection connection, RateLimit? limit, SharedRateLimit? shared, long waiting)
        : base(connection, limit, shared) => _unmetered = waiting;

    /// <summary>How many bytes may be sent now; while it is open.</summary>
    internal long Most
    {
        get
        {
            long most = Math.Min(Bytes, MostAtOnce);
            if (!CountsMessages || _unmetered >= most)
            {
                return most;
            }

            long messages = Messages;
            long sum = _unmetered - _sentOfFirst;
            foreach (int length in _lengths)
            {
                if (messages-- == 0 || sum >= most)
                {
                    break;
                }

                sum += length;
            }

            return Math.Max(1, Math.Min(most, sum));
        }
    }

    /// <summary>A message waits, behind all others.</summary>
    internal void Add(int length)
    {
        if (CountsMessages && length > 0)
        {
            _lengths.Enqueue(length);
        }
    }

    /// <summary>Bytes of no message wait, before all others.</summary>
    internal void AddFirst(int length)
    {
        if (CountsMessages)
        {
            _unmetered += length;
        }
    }

    /// <summary>A message that waited has been dropped.</summary>
    /// <param name="before">Bytes that wait before it.</param>
    internal void Remove(long before)
    {
        before -= _unmetered - _sentOfFirst;
        for (int left = _lengths.Count; left > 0; left--)
        {
            int length = _lengths.Dequeue();
            if (before != 0)
            {
                _lengths.Enqueue(length);
            }

            before -= length;
        }
    }

    /// <summary>Bytes were sent.</summary>
    internal void Sent(int count)
    {
        TakeBytes(count);
        if (!CountsMessages)
        {
            return;
        }

        long unmetered = Math.Min(count, _unmetered);
        _unmetered -= unmetered;
        _sentOfFirst += count - unmetered;
        int messages = 0;
        while (_lengths.TryPeek(out int length) && length <= _sentOfFirst)
        {
            _lengths.Dequeue();
            _sentOfFirst -= length;
            messages++;
        }

        if (messages > 0)
        {
            TakeMessages(messages);
        }
    }

    /// <inheritdoc/>
    public void Resume(PollSignals signals)
    {
        if (Connection.IsHere)
        {
            Connection.OutputMayGoOn();
        }
        else
        {
            Schedule(signals);
        }
    }

    /// <inheritdoc/>
    public void Schedule(PollSignals signals) => Connection.Home.Poller.Post(() => Resume(signals));

    /// <inheritdoc/>
    protected override void Opened(ReadyList ready) => ready.Add(this, PollSignals.None);
}
