namespace Chat.Domain;

/// <summary>What the chat counts, for status lines and metrics. Any thread.</summary>
public sealed class ChatFigures
{
    private long _people;
    private long _rooms;
    private long _stored;
    private long _refused;

    /// <summary>People who have a name.</summary>
    public long People => Volatile.Read(ref _people);

    /// <summary>Rooms that exist.</summary>
    public long Rooms => Volatile.Read(ref _rooms);

    /// <summary>Messages that were stored since the start; repetitions count again.</summary>
    public long MessagesStored => Volatile.Read(ref _stored);

    /// <summary>Requests that came too fast and were refused, since the start.</summary>
    public long FloodRefusals => Volatile.Read(ref _refused);

    internal void PersonCame() => Interlocked.Increment(ref _people);

    internal void PersonWent() => Interlocked.Decrement(ref _people);

    internal void RoomOpened() => Interlocked.Increment(ref _rooms);

    internal void RoomClosed() => Interlocked.Decrement(ref _rooms);

    internal void Stored(int messages) => Interlocked.Add(ref _stored, messages);

    internal void FloodRefused() => Interlocked.Increment(ref _refused);
}
