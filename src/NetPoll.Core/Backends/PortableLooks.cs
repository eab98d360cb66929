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
    private readonly List<PortableWatch>[] _levels;
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
        _levels = new List<PortableWatch>[count];
        _due = new long[count];
        for (int level = 0; level < count; level++)
        {
            _levels[level] = [];
            _due[level] = long.MaxValue;
        }
    }

    /// <summary>When the next look is due, by the clock of <see cref="PortableBackend.Microseconds"/>; the end of time when nobody waits.</summary>
    internal long NextDue { get; private set; } = long.MaxValue;

    /// <summary>Looks now, and from now on until it is there.</summary>
    /// <returns>Whether it is there already.</returns>
    internal bool Add(PortableWatch watch, long now)
    {
        if (Look(watch))
        {
            return true;
        }

        if (!IsListed(watch))
        {
            SetListed(watch, isListed: true);
            Put(watch, _first, now);
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
        List<PortableWatch> watches = _levels[level];
        int above = Math.Min(level + 1, _levels.Length - 1);
        int kept = 0;
        for (int index = 0; index < watches.Count; index++)
        {
            PortableWatch watch = watches[index];
            if (watch.IsClosed)
            {
                SetListed(watch, isListed: false);
            }
            else if (Look(watch))
            {
                SetListed(watch, isListed: false);
                watch.Report(_found);
            }
            else if (above == level)
            {
                watches[kept++] = watch;
            }
            else
            {
                Put(watch, above, now);
            }
        }

        watches.RemoveRange(kept, watches.Count - kept);
        _due[level] = kept == 0 ? long.MaxValue : now + (1000L << level);
    }

    private void Put(PortableWatch watch, int level, long now)
    {
        if (_levels[level].Count == 0)
        {
            _due[level] = now + (1000L << level);
        }

        _levels[level].Add(watch);
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

    private bool Look(PortableWatch watch) => watch.Socket.IsReady(_mode);

    private bool IsListed(PortableWatch watch) => _mode == SelectMode.SelectWrite ? watch.IsInWriteLooks : watch.IsInHangupLooks;

    private void SetListed(PortableWatch watch, bool isListed)
    {
        if (_mode == SelectMode.SelectWrite)
        {
            watch.IsInWriteLooks = isListed;
        }
        else
        {
            watch.IsInHangupLooks = isListed;
        }
    }
}
