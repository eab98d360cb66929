using System.Diagnostics.CodeAnalysis;

namespace NetPoll.Core.Scheduling;

/// <summary>What is runnable on a poller's thread, first in, first out. That thread's alone.</summary>
internal sealed class RunQueue
{
    private IPollerWork? _head;
    private IPollerWork? _tail;

    // Written by the poller's thread, read by anybody's snapshot.
    private int _count;

    internal bool IsEmpty => _head is null;

    internal int Count => Volatile.Read(ref _count);

    internal void Enqueue(IPollerWork work)
    {
        work.Next = null;
        if (_tail is null)
        {
            _head = work;
        }
        else
        {
            _tail.Next = work;
        }

        _tail = work;
        _count++;
    }

    /// <summary>Shows everything that is queued, in order; nothing is taken out.</summary>
    internal void Visit<TState>(TState state, Action<IPollerWork, TState> look)
    {
        for (IPollerWork? work = _head; work is not null; work = work.Next)
        {
            look(work, state);
        }
    }

    internal bool TryDequeue([NotNullWhen(true)] out IPollerWork? work)
    {
        work = _head;
        if (work is null)
        {
            return false;
        }

        _head = work.Next;
        if (_head is null)
        {
            _tail = null;
        }

        // Free to be queued again, by the very Run that follows.
        work.Next = null;
        _count--;
        return true;
    }
}
