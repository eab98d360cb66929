using NetPoll.Actors.Pollers;

namespace NetPoll.Actors.Connections;

/// <content>
/// What is counted, for the live table and the meter: plain fields of the connection and of its poller, written on the poller's thread.
/// </content>
internal partial class Connection
{
    private long _messagesReceived;
    private long _messagesSent;

    /// <summary>Messages in both directions.</summary>
    internal long Messages => _messagesReceived + _messagesSent;

    /// <summary>Bytes that the handler was given.</summary>
    internal long BytesReceived { get; private set; }

    /// <summary>Bytes that the system took.</summary>
    internal long BytesSent { get; private set; }

    /// <summary>The row of the live table; null for a connection that has no actor yet or is closed. The poller's thread.</summary>
    internal ConnectionInfo? Describe()
    {
        if (_phase == ConnectionPhase.Closed || Pid is not { } pid)
        {
            return null;
        }

        ActorPoller home = Home;
        TimeSpan idle = home.Poller.Since(_lastReceived);
        return new ConnectionInfo(
            pid,
            _owner.Id,
            home.Pid,
            RemoteEndPoint,
            IsClosing: !IsWritable,
            BytesReceived,
            BytesSent,
            _messagesReceived,
            _messagesSent,
            OutputBytes,
            OldestUnsent: _output is { IsEmpty: false } output ? home.Poller.Since(output.OldestAt) : TimeSpan.Zero,
            LastReceived: home.Poller.TimeProvider.GetUtcNow() - idle,
            idle,
            UserMessageCount);
    }

    private void CountReceived(ActorPoller home, int bytes)
    {
        BytesReceived += bytes;
        home.Traffic.BytesReceived += bytes;
    }

    private void CountSent(ActorPoller home, int bytes)
    {
        BytesSent += bytes;
        home.Traffic.BytesSent += bytes;
    }

    private void CountMessageSent(ActorPoller home, int size)
    {
        _cold?.Outbound?.Add(size);
        _messagesSent++;
        home.Traffic.MessagesSent++;
    }
}
