using System.Diagnostics.CodeAnalysis;

namespace NetPoll.Core.Scheduling;

/// <summary>What is runnable on a poller's thread, first in, first out. That thread's alone.</summary>
/// <remarks>
/// A ring. To link the work itself would need no room, but write to two pieces of work for each that comes and goes, and each such write of a
/// reference is a call of the collector's.
/// </remarks>
internal sealed class RunQueue
{
    private const int Initial = 64;

    // Half a megabyte: what a larger burst needed is given back when it is over.
    private const int MostKept = 64 * 1024;

    // A power of two.
    private Entry[] _entries = new Entry[Initial];
    private int _head;

    // Written by the poller's thread, read by anybody's snapshot.
    private int _count;

    internal bool IsEmpty => _count == 0;

    internal int Count => Volatile.Read(ref _count);

    /// <summary>How much is queued without allocating.</summary>
    internal int Room => _entries.Length;

    internal void Enqueue(IPollerWork work)
    {
        if (_count == _entries.Length)
        {
            Resize(_count * 2);
        }

        EntryAt(_count).Work = work;
        _count++;
    }

    /// <summary>Shows everything that is queued, in order; nothing is taken out.</summary>
    internal void Visit<TState>(TState state, Action<IPollerWork, TState> look)
    {
        for (int index = 0; index < _count; index++)
        {
            look(EntryAt(index).Work!, state);
        }
    }

    internal bool TryDequeue([NotNullWhen(true)] out IPollerWork? work)
    {
        if (_count == 0)
        {
            work = null;
            return false;
        }

        ref Entry entry = ref EntryAt(0);
        work = entry.Work!;
        entry.Work = null;
        _head++;
        if (--_count == 0 && _entries.Length > MostKept)
        {
            Resize(Initial);
        }

        return true;
    }

    private ref Entry EntryAt(int index) => ref _entries[(_head + index) & (_entries.Length - 1)];

    private void Resize(int length)
    {
        Entry[] entries = new Entry[length];
        for (int index = 0; index < _count; index++)
        {
            entries[index] = EntryAt(index);
        }

        _entries = entries;
        _head = 0;
    }

    // A structure, or each store would be checked against the array's type.
    private struct Entry
    {
        internal IPollerWork? Work;
    }
}
