using System.Numerics;
using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Deadlines;

/// <summary>Arms, moves and clears deadlines in constant time and reminds them in batches as the clock advances.</summary>
/// <remarks>
/// Owned by the poller's thread; it has no lock, so none is ever held around a call into a descriptor. Resolution 1 ms. Never early:
/// <see cref="Advance"/> rounds the clock down, <see cref="Arm"/> rounds the deadline up.
/// Four levels of 256 buckets: a level's bucket spans all of the level below it, so the levels reach 256 ms, 65 s, 4.6 h and 49 days.
/// What lies farther out waits in the last level and is looked at again when its bucket comes round. A bitmap per level finds the next
/// occupied bucket without walking the empty ones. Go: the timers <c>rt</c> and <c>wt</c> of <c>pollDesc</c>.
/// </remarks>
internal sealed class TimingWheel
{
    private const int LevelBits = 8;
    private const int BucketsPerLevel = 1 << LevelBits;
    private const int Levels = 4;
    private const int WordsPerLevel = BucketsPerLevel / 64;
    private const long Span = 1L << (LevelBits * Levels);

    private readonly DeadlineNode?[] _buckets = new DeadlineNode?[Levels * BucketsPerLevel];
    private readonly ulong[] _occupied = new ulong[Levels * WordsPerLevel];

    // Everything due at or before this tick has been reminded; but for some that are due at it, while that is unfinished.
    private long _current;
    private bool _isUnfinished;

    // Written by the poller's thread, read by anybody's snapshot.
    private long _expired;

    internal TimingWheel(long now) => _current = now / PollerClock.NanosecondsPerMillisecond;

    /// <summary>Nodes in the wheel, which lazily counts those whose deadline was cleared meanwhile.</summary>
    internal int Count { get; private set; }

    /// <summary>Deadlines of descriptors that have passed since the start, without what was reminded for nothing. Any thread.</summary>
    internal long Expired => Volatile.Read(ref _expired);

    internal void CountExpired(int count) => _expired += count;

    /// <summary>The first tick at or after a time. Rounded up, so that nothing is early.</summary>
    internal static long TickOf(long nanoseconds) =>
        (nanoseconds / PollerClock.NanosecondsPerMillisecond) + (nanoseconds % PollerClock.NanosecondsPerMillisecond == 0 ? 0 : 1);

    /// <summary>Puts a node in, or moves it.</summary>
    /// <param name="node">Not in another wheel.</param>
    /// <param name="due">When to remind it, in nanoseconds; a time that has passed is reminded by the next <see cref="Advance"/>.</param>
    internal void Arm(DeadlineNode node, long due)
    {
        long tick = Math.Max(TickOf(due), _current + 1);
        if (node.IsInWheel)
        {
            if (node.Tick == tick)
            {
                return;
            }

            Unlink(node);
        }

        node.Tick = tick;
        Link(node);
    }

    /// <summary>Takes a node out; harmless when it is not in.</summary>
    internal void Cancel(DeadlineNode node)
    {
        if (node.IsInWheel)
        {
            Unlink(node);
            node.Tick = -1;
        }
    }

    /// <summary>The time at which <see cref="Advance"/> has something to do, in nanoseconds; <see cref="long.MaxValue"/> if never.</summary>
    internal long NextDue()
    {
        if (Count == 0)
        {
            return long.MaxValue;
        }

        if (_isUnfinished)
        {
            return _current * PollerClock.NanosecondsPerMillisecond;
        }

        long next = long.MaxValue;
        for (int level = 0; level < Levels; level++)
        {
            int shift = level * LevelBits;
            long position = _current >> shift;
            int distance = NextOccupied(level, (int)(position & (BucketsPerLevel - 1)));
            if (distance > 0)
            {
                next = Math.Min(next, (position + distance) << shift);
            }
        }

        return next > long.MaxValue / PollerClock.NanosecondsPerMillisecond ? long.MaxValue : next * PollerClock.NanosecondsPerMillisecond;
    }

    /// <summary>Reminds every node that is due. Nodes that arm themselves again meanwhile are due in a later call.</summary>
    /// <param name="now">The clock, in nanoseconds.</param>
    /// <param name="ready">Where the waiters go that this frees.</param>
    /// <param name="most">How many nodes at most; the others are due in the next call.</param>
    /// <returns>Nodes reminded.</returns>
    internal int Advance(long now, ReadyList ready, int most = int.MaxValue)
    {
        long target = now / PollerClock.NanosecondsPerMillisecond;
        int reminded = _isUnfinished ? Expire(now, ready, most) : 0;
        while (_current < target && !_isUnfinished)
        {
            long next = Count == 0 ? long.MaxValue : NextDue() / PollerClock.NanosecondsPerMillisecond;
            if (next > target)
            {
                _current = target;
                break;
            }

            _current = next;
            Cascade();
            reminded += Expire(now, ready, most - reminded);
        }

        return reminded;
    }

    // Spreads the bucket of each higher level that begins at the current tick over the levels below.
    private void Cascade()
    {
        for (int level = Levels - 1; level > 0; level--)
        {
            int shift = level * LevelBits;
            if ((_current & ((1L << shift) - 1)) != 0)
            {
                continue;
            }

            DeadlineNode? node = DetachBucket(BucketIndex(level, _current >> shift));
            while (node is not null)
            {
                DeadlineNode? next = node.NextNode;
                Link(node);
                node = next;
            }
        }
    }

    private int Expire(long now, ReadyList ready, int most)
    {
        int reminded = 0;
        int bucket = BucketIndex(0, _current);
        _isUnfinished = false;

        // One at a time: a reminder may cancel any other node, and one that arms itself again lands in a later bucket.
        while (_buckets[bucket] is { } node)
        {
            if (reminded == most)
            {
                _isUnfinished = true;
                break;
            }

            Unlink(node);
            node.Tick = -1;
            node.OnDue(now, ready);
            reminded++;
        }

        return reminded;
    }

    private void Link(DeadlineNode node)
    {
        long distance = node.Tick - _current;
        long tick = distance < Span ? node.Tick : _current + Span - 1;
        int level = 0;
        while (level < Levels - 1 && distance >= 1L << ((level + 1) * LevelBits))
        {
            level++;
        }

        int bucket = BucketIndex(level, tick >> (level * LevelBits));
        node.Bucket = bucket;
        node.PreviousNode = null;
        node.NextNode = _buckets[bucket];
        if (node.NextNode is not null)
        {
            node.NextNode.PreviousNode = node;
        }

        _buckets[bucket] = node;
        _occupied[bucket / 64] |= 1UL << (bucket % 64);
        Count++;
    }

    private void Unlink(DeadlineNode node)
    {
        if (node.PreviousNode is null)
        {
            _buckets[node.Bucket] = node.NextNode;
            if (node.NextNode is null)
            {
                _occupied[node.Bucket / 64] &= ~(1UL << (node.Bucket % 64));
            }
        }
        else
        {
            node.PreviousNode.NextNode = node.NextNode;
        }

        if (node.NextNode is not null)
        {
            node.NextNode.PreviousNode = node.PreviousNode;
        }

        node.NextNode = null;
        node.PreviousNode = null;
        Count--;
    }

    private DeadlineNode? DetachBucket(int bucket)
    {
        DeadlineNode? first = _buckets[bucket];
        _buckets[bucket] = null;
        _occupied[bucket / 64] &= ~(1UL << (bucket % 64));
        for (DeadlineNode? node = first; node is not null; node = node.NextNode)
        {
            Count--;
        }

        return first;
    }

    private static int BucketIndex(int level, long position) => (level * BucketsPerLevel) + (int)(position & (BucketsPerLevel - 1));

    // How many buckets ahead of 'from' the next occupied one of a level is: 1 to 256; 0 when the level is empty. The bucket at 'from'
    // itself counts as a whole round ahead: what was due in it has been spread or reminded already.
    private int NextOccupied(int level, int from)
    {
        int first = level * WordsPerLevel;
        int start = (from + 1) & (BucketsPerLevel - 1);
        for (int step = 0; step <= WordsPerLevel; step++)
        {
            int word = ((start / 64) + step) % WordsPerLevel;
            ulong bits = _occupied[first + word];
            if (step == 0)
            {
                bits &= ulong.MaxValue << (start % 64);
            }
            else if (step == WordsPerLevel)
            {
                bits &= ~(ulong.MaxValue << (start % 64));
            }

            if (bits != 0)
            {
                int bucket = (word * 64) + BitOperations.TrailingZeroCount(bits);
                return ((bucket - start + BucketsPerLevel) & (BucketsPerLevel - 1)) + 1;
            }
        }

        return 0;
    }
}
