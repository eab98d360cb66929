using System.Diagnostics.CodeAnalysis;

namespace NetPoll.Core.Descriptors;

/// <summary>The waiters that one batch of events freed, in order. The poller's thread only; reused from batch to batch.</summary>
/// <remarks>Go: the <c>gList</c> that <c>netpoll</c> returns.</remarks>
internal sealed class ReadyList
{
    private Entry[] _entries = new Entry[64];
    private int _first;
    private int _count;

    internal void Add(IPollWaiter waiter, PollSignals signals)
    {
        if (_count == _entries.Length)
        {
            Array.Resize(ref _entries, _entries.Length * 2);
        }

        _entries[_count++] = new Entry(waiter, signals);
    }

    /// <summary>Takes out the oldest entry, so that the list neither keeps its waiter alive nor gives it out again.</summary>
    internal bool TryTake([NotNullWhen(true)] out IPollWaiter? waiter, out PollSignals signals)
    {
        if (_first == _count)
        {
            _first = 0;
            _count = 0;
            waiter = null;
            signals = PollSignals.None;
            return false;
        }

        ref Entry entry = ref _entries[_first++];
        waiter = entry.Waiter;
        signals = entry.Signals;
        entry = default;
        return true;
    }

    private readonly record struct Entry(IPollWaiter Waiter, PollSignals Signals);
}
