using System.Text;

namespace Chat.Domain;

/// <summary>The last messages of a room, for those who come or come back. The room's turns only.</summary>
/// <remarks>Bounded in count, bytes and age. A replay that the bounds cut says which messages are missing.</remarks>
internal sealed class RoomLog
{
    // A message without its text: names, number, time.
    private const int OverheadBytes = 100;

    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly Queue<RoomMessage> _messages = new();
    private long _bytes;

    public RoomLog(ChatOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
    }

    /// <summary>The number of the last message; 0 before the first.</summary>
    public long Sequence { get; private set; }

    /// <summary>Goes on where the store says that the room was.</summary>
    public void Load(StoredRoom stored)
    {
        foreach (RoomMessage message in stored.Messages)
        {
            Add(message);
        }

        Sequence = stored.Sequence;
    }

    public void Add(RoomMessage message)
    {
        _messages.Enqueue(message);
        _bytes += Size(message);
        Sequence = message.Sequence;
        while (_messages.Count > _options.ReplayMessages || _bytes > _options.ReplayBytes)
        {
            _bytes -= Size(_messages.Dequeue());
        }
    }

    /// <summary>The messages that are asked for, as far as they are here, and which are not.</summary>
    public (IReadOnlyList<RoomMessage> Messages, Gap? Gap) Take(Replay replay)
    {
        // A number that the room has not reached comes from before its history was lost: all of this is news.
        long after = replay.Since is { } since ? (since <= Sequence ? since : 0) : Math.Max(0, Sequence - Math.Max(0, replay.Last));
        if (after == Sequence)
        {
            return ([], null);
        }

        DateTimeOffset oldest = _time.GetUtcNow() - _options.ReplayAge;
        RoomMessage[] messages = [.. _messages.Where(message => message.Sequence > after && message.Time >= oldest)];
        long first = messages.Length > 0 ? messages[0].Sequence : Sequence + 1;

        // Whoever asks for the last few has missed nothing.
        return (messages, replay.Since is not null && first > after + 1 ? new Gap(after + 1, first - 1) : null);
    }

    private static long Size(RoomMessage message) => Encoding.UTF8.GetByteCount(message.Text) + OverheadBytes;
}
