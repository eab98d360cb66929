namespace NetPoll.Core.Descriptors;

/// <summary>The waiters that one batch of events freed, in order. The poller's thread only; reused from batch to batch.</summary>
/// <remarks>Go: the <c>gList</c> that <c>netpoll</c> returns.</remarks>
internal sealed class ReadyList
{
    private Entry[] _entries = new Entry[64];

    internal int Count { get; private set; }

    internal void Add(IPollWaiter waiter, PollSignals signals)
    {
        if (Count == _entries.Length)
        {
            Array.Resize(ref _entries, _entries.Length * 2);
        }

        _entries[Count++] = new Entry(waiter, signals);
    }

    /// <summary>Takes out the entry at <paramref name="index"/>, so that the list does not keep its waiter alive.</summary>
    internal IPollWaiter Take(int index, out PollSignals signals)
    {
        ref Entry entry = ref _entries[index];
        IPollWaiter waiter = entry.Waiter;
        signals = entry.Signals;
        entry = default;
        return waiter;
    }

    /// <summary>Empties the list, whose entries were all taken.</summary>
    internal void Reset() => Count = 0;

    private readonly record struct Entry(IPollWaiter Waiter, PollSignals Signals);
}
