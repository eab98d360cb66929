using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>Sockets whose state no completion tells, looked at from time to time: soon after they came, then less and less often.</summary>
/// <remarks>
/// The wait for room to write is one: a zero-byte send completes at once on a full socket, and a send of real bytes would take them from
/// their owner, who may still give up. The interval doubles from look to look, so a socket is seen to be ready at the latest after twice
/// the time that it took, or after the longest interval. A system tells of room when a third of the buffer is free, so the buffer is not
/// empty by then, and the sender loses nothing. A look costs 0.6 microseconds. The poller's thread only.
/// </remarks>
internal sealed class PortableLooks
{
    private readonly SelectMode _mode;
    private readonly PortableNews _found;

    // By interval: 1, 2, 4 ... milliseconds.
    private readonly List<Entry>[] _levels;
    private readonly long[] _due;
    private readonly int _first;

    /// <param name="mode">What is looked for.</param>
    /// <param name="found">What is told when it is there.</param>
    /// <param name="firstMilliseconds">The first interval, a power of 2.</param>
    /// <param name="longestMilliseconds">The longest, a power of 2.</param>
    internal PortableLooks(SelectMode mode, PortableNews found, int firstMilliseconds, int longestMilliseconds)
    {
        _mode = mode;
        _found = found;
        _first = System.Numerics.BitOperations.Log2((uint)firstMilliseconds);
        int count = System.Numerics.BitOperations.Log2((uint)longestMilliseconds) + 1;
        _levels = new List<Entry>[count];
        _due = new long[count];
        for (int level = 0; level < count; level++)
        {
            _levels[level] = [];
            _due[level] = long.MaxValue;
        }
    }

    /// <summary>When the next look is due, by the clock of <see cref="PortableBackend.Microseconds"/>; the end of time when nobody waits.</summary>
    internal long NextDue { get; private set; } = long.MaxValue;

    /// <summary>How many are listed. Who is no longer wanted leaves at the look that was due for him.</summary>
    internal int Count => _levels.Sum(static level => level.Count);

    /// <summary>Looks now, and from now on, soon at first, until it is there or nobody wants to know any more.</summary>
    /// <returns>Whether it is there already.</returns>
    internal bool Add(PortableWatch watch, long now)
    {
        ref PortableLook look = ref watch.Look(_mode);
        if (!IsWanted(watch))
        {
            return false;
        }

        // What a look for an error has told and did not end the connection was none: urgent data look the same, and stay for as long as nobody
        // reads. From then on it is told at the pace of the looks, or a peer could keep the poller running.
        if (!(look.WasTold && _mode == SelectMode.SelectError) && IsThere(watch))
        {
            look.Leave();
            look.WasTold = true;
            return true;
        }

        if (!look.IsListed || look.Level > _first)
        {
            // An entry of a longer interval is nobody's by that, and goes when its time comes.
            look.Leave();
            Put(watch, ref look, _first, now);
            FindNextDue();
        }

        return false;
    }

    /// <summary>Looks at those whose time has come, and reports what is there.</summary>
    internal void Run(long now)
    {
        if (now < NextDue)
        {
            return;
        }

        // From the longest interval down, so that nobody who moves up is looked at twice.
        for (int level = _levels.Length - 1; level >= 0; level--)
        {
            if (now >= _due[level])
            {
                RunLevel(level, now);
            }
        }

        FindNextDue();
    }

    private void RunLevel(int level, long now)
    {
        List<Entry> entries = _levels[level];
        int above = Math.Min(level + 1, _levels.Length - 1);
        int kept = 0;
        for (int index = 0; index < entries.Count; index++)
        {
            Entry entry = entries[index];
            PortableWatch watch = entry.Watch;
            ref PortableLook look = ref watch.Look(_mode);
            if (!look.IsListed || look.Turn != entry.Turn)
            {
                continue;
            }

            if (watch.IsClosed || !IsWanted(watch))
            {
                look.Leave();
            }
            else if (IsThere(watch))
            {
                look.Leave();
                look.WasTold = true;
                watch.Report(_found);
            }
            else if (above == level)
            {
                entries[kept++] = entry;
            }
            else
            {
                Put(watch, ref look, above, now);
            }
        }

        entries.RemoveRange(kept, entries.Count - kept);
        _due[level] = kept == 0 ? long.MaxValue : now + (1000L << level);
    }

    private void Put(PortableWatch watch, ref PortableLook look, int level, long now)
    {
        look.Enter(level);
        if (_levels[level].Count == 0)
        {
            _due[level] = now + (1000L << level);
        }

        _levels[level].Add(new Entry(watch, look.Turn));
    }

    private void FindNextDue()
    {
        long next = long.MaxValue;
        foreach (long due in _due)
        {
            next = Math.Min(next, due);
        }

        NextDue = next;
    }

    private bool IsThere(PortableWatch watch) => watch.Socket.IsReady(_mode);

    private bool IsWanted(PortableWatch watch) => _mode == SelectMode.SelectWrite ? watch.Socket.WantsRoom : watch.Socket.WantsReset;

    private readonly record struct Entry(PortableWatch Watch, ushort Turn);
}

/// <summary>How far the looks at one socket for one thing are. A mutable part of its watch: never copied. The poller's thread.</summary>
internal struct PortableLook
{
    private byte _level;

    /// <summary>Whether it is looked at from time to time.</summary>
    internal bool IsListed { get; private set; }

    /// <summary>Whether it was there once.</summary>
    internal bool WasTold { get; set; }

    /// <summary>What tells the entry that counts from those that were left behind.</summary>
    internal ushort Turn { get; private set; }

    internal readonly int Level => _level;

    internal void Enter(int level)
    {
        IsListed = true;
        _level = (byte)level;
    }

    internal void Leave()
    {
        IsListed = false;
        Turn++;
    }
}
