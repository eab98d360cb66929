namespace Chat.Load;

/// <summary>What one client has seen of its room's numbering: each message must come once, and in order. One thread at a time.</summary>
internal sealed class Arrivals
{
    private readonly SortedSet<long> _missing = [];
    private long _last;

    /// <param name="joinedAt">The number of the last message before the client was in the room.</param>
    public Arrivals(long joinedAt) => _last = joinedAt;

    /// <summary>Messages that came a second time.</summary>
    public long Duplicated { get; private set; }

    /// <summary>Messages that came behind a later one.</summary>
    public long OutOfOrder { get; private set; }

    /// <summary>Notes a message.</summary>
    public void Note(long sequence)
    {
        if (sequence > _last)
        {
            for (long skipped = _last + 1; skipped < sequence; skipped++)
            {
                _missing.Add(skipped);
            }

            _last = sequence;
        }
        else if (_missing.Remove(sequence))
        {
            OutOfOrder++;
        }
        else
        {
            Duplicated++;
        }
    }

    /// <summary>Messages that have not come, of those up to a number.</summary>
    public long Missing(long end) => _missing.Count + Math.Max(0, end - _last);
}
