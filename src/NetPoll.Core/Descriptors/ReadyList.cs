using System.Diagnostics.CodeAnalysis;

namespace NetPoll.Core.Descriptors;

/// <summary>The waiters that one batch of events freed, in order. The poller's thread only; reused from batch to batch.</summary>
/// <remarks>
/// <code>
/// 0 ... continued ... kept ... taken ... count
///       |             |        |         each to be resumed
///       |             |        nothing
///       |             resumed, and kept: each to go on when its neighbours were resumed
///       nothing
/// </code>
/// One that is kept stays where it is if all before it were kept, which is the rule: then nothing is written for it.
/// Go: the <c>gList</c> that <c>netpoll</c> returns.
/// </remarks>
internal sealed class ReadyList
{
    private const int Nothing = -1;

    private Entry[] _entries = new Entry[64];
    private int _continued;
    private int _kept;
    private int _taken;
    private int _count;

    // The place of the one that was given out last. Written by the poller's thread, read by anybody who asks what holds it.
    private int _inHand = Nothing;

    internal bool IsEmpty => _continued == _count;

    /// <summary>Who was given out last; null when he has come back. Any thread; perhaps over by now.</summary>
    internal IPollWaiter? InHand
    {
        get
        {
            int place = Volatile.Read(ref _inHand);
            Entry[] entries = Volatile.Read(ref _entries);
            return (uint)place < (uint)entries.Length ? entries[place].Waiter : null;
        }
    }

    internal void Add(IPollWaiter waiter, PollSignals signals)
    {
        if (_count == _entries.Length)
        {
            Array.Resize(ref _entries, _entries.Length * 2);
        }

        _entries[_count++] = new Entry(waiter, signals);
    }

    /// <summary>Gives the oldest out that was not resumed yet. The list keeps it alive until it is called again.</summary>
    internal bool TryTake([NotNullWhen(true)] out IPollWaiter? waiter, out PollSignals signals)
    {
        LetGo();
        if (_taken == _count)
        {
            waiter = null;
            signals = PollSignals.None;
            ClearIfDone();
            return false;
        }

        _inHand = _taken++;
        ref Entry entry = ref _entries[_inHand];
        waiter = entry.Waiter;
        signals = entry.Signals;
        return true;
    }

    /// <summary>Who <see cref="TryTake"/> gives out next; null when nobody is left.</summary>
    internal IPollWaiter? Peek(out PollSignals signals)
    {
        if (_taken == _count)
        {
            signals = PollSignals.None;
            return null;
        }

        ref Entry entry = ref _entries[_taken];
        signals = entry.Signals;
        return entry.Waiter;
    }

    /// <summary>Who <see cref="TryContinue"/> gives out next; null when nobody is left.</summary>
    internal IPollWaiter? PeekKept() => _continued == _kept ? null : _entries[_continued].Waiter;

    /// <summary>Keeps the one that is being resumed, for <see cref="TryContinue"/>.</summary>
    /// <returns>False: this one is not being resumed now.</returns>
    internal bool TryKeep(IPollWaiter waiter)
    {
        // What goes on, or was kept already, lies before.
        if (_inHand < _kept || !ReferenceEquals(_entries[_inHand].Waiter, waiter))
        {
            return false;
        }

        if (_inHand != _kept)
        {
            int left = _inHand;
            _entries[_kept] = _entries[left];
            _inHand = _kept;
            _entries[left] = default;
        }

        _kept++;
        return true;
    }

    /// <summary>Gives the oldest out that was kept.</summary>
    internal bool TryContinue([NotNullWhen(true)] out IPollWaiter? waiter)
    {
        LetGo();
        if (_continued == _kept)
        {
            waiter = null;
            _continued = _taken;
            _kept = _taken;
            ClearIfDone();
            return false;
        }

        _inHand = _continued++;
        waiter = _entries[_inHand].Waiter;
        return true;
    }

    private void LetGo()
    {
        if (_inHand != Nothing)
        {
            if (_inHand >= _kept || _inHand < _continued)
            {
                _entries[_inHand] = default;
            }

            _inHand = Nothing;
        }
    }

    private void ClearIfDone()
    {
        if (_taken == _count && _continued == _kept)
        {
            _continued = 0;
            _kept = 0;
            _taken = 0;
            _count = 0;
        }
    }

    private readonly record struct Entry(IPollWaiter Waiter, PollSignals Signals);
}
