using System.Net;

namespace NetPoll.Actors.Listening;

/// <summary>The networks that a listener knows, and what its limits allow them.</summary>
/// <remarks>
/// Any thread: the pollers share it, and an accept costs far more than the lock. A network is remembered while it has connections open, and
/// afterwards until its bucket is full again; who is forgotten would find the same as who is remembered.
/// </remarks>
internal sealed class AddressTable
{
    // Each newcomer adds one use a limit at most and removes so many: the table never holds more than what one interval brought.
    private const int ForgottenPerEntry = 2;

    private readonly Lock _gate = new(); // Guards all of the uses.
    private readonly LimitedNetworks[] _limits;
    private readonly NetworkSet _exempt;

    internal AddressTable(IEnumerable<AddressLimit> limits, IEnumerable<IPNetwork> exempt)
    {
        _limits = [.. limits.Select(static limit => new LimitedNetworks(limit))];
        _exempt = new NetworkSet(exempt);
    }

    /// <summary>Networks that are remembered, counted once for each limit.</summary>
    internal int Count
    {
        get
        {
            lock (_gate)
            {
                return _limits.Sum(static limit => limit.Count);
            }
        }
    }

    /// <summary>Counts a connection in under every limit, or under none.</summary>
    /// <param name="address">Whose connection it is.</param>
    /// <param name="now">Any monotonic clock, in nanoseconds, always the same.</param>
    /// <param name="uses">What to give to <see cref="Leave"/> when it has ended; null where there is nothing to give.</param>
    /// <returns>Null when it may come in; otherwise why not.</returns>
    internal RefusalReason? TryEnter(IPAddress address, long now, out NetworkUse[]? uses)
    {
        uses = null;
        if (_exempt.Contains(address))
        {
            return null;
        }

        lock (_gate)
        {
            foreach (LimitedNetworks limit in _limits)
            {
                limit.Forget(now, ForgottenPerEntry);
                if (limit.Refuses(address, now) is { } reason)
                {
                    return reason;
                }
            }

            uses = new NetworkUse[_limits.Length];
            for (int index = 0; index < uses.Length; index++)
            {
                uses[index] = _limits[index].Enter(address, now);
            }

            return null;
        }
    }

    /// <summary>Counts a connection out.</summary>
    internal void Leave(NetworkUse[] uses, long now)
    {
        lock (_gate)
        {
            for (int index = 0; index < uses.Length; index++)
            {
                _limits[index].Leave(uses[index], now);
            }
        }
    }

    /// <summary>One limit and the networks that it counts. Under the table's lock.</summary>
    private sealed class LimitedNetworks
    {
        private readonly Dictionary<NetworkKey, NetworkUse> _uses = [];

        // Those without a connection, in the order in which their last one ended.
        private readonly LinkedList<NetworkUse> _idle = new();
        private readonly int _ipv4PrefixLength;
        private readonly int _ipv6PrefixLength;
        private readonly int _maxConcurrent;

        // Nanoseconds in which a bucket gains one, and in which it gains all; 0 without a rate.
        private readonly long _perToken;
        private readonly long _perBucket;

        internal LimitedNetworks(AddressLimit limit)
        {
            _ipv4PrefixLength = limit.IPv4PrefixLength;
            _ipv6PrefixLength = limit.IPv6PrefixLength;
            _maxConcurrent = limit.MaxConcurrent;
            _perToken = limit.MaxPerInterval is { } max ? limit.Interval.Ticks * 100 / max : 0;
            _perBucket = _perToken * (limit.MaxPerInterval ?? 0);
        }

        internal int Count => _uses.Count;

        internal RefusalReason? Refuses(IPAddress address, long now)
        {
            if (!_uses.TryGetValue(KeyOf(address), out NetworkUse? use))
            {
                return null;
            }

            if (use.Concurrent >= _maxConcurrent)
            {
                return RefusalReason.NetworkConcurrency;
            }

            // Another poller may have come with a later reading of the clock: without a rate that must not look like an empty bucket.
            return _perToken > 0 && Math.Max(use.FullAt, now) + _perToken - now > _perBucket ? RefusalReason.NetworkRate : null;
        }

        internal NetworkUse Enter(IPAddress address, long now)
        {
            NetworkKey key = KeyOf(address);
            if (!_uses.TryGetValue(key, out NetworkUse? use))
            {
                use = new NetworkUse(key);
                _uses.Add(key, use);
            }
            else if (use.Concurrent == 0)
            {
                _idle.Remove(use.Place);
            }

            use.Concurrent++;
            use.FullAt = Math.Max(use.FullAt, now) + _perToken;
            return use;
        }

        internal void Leave(NetworkUse use, long now)
        {
            if (--use.Concurrent > 0)
            {
                return;
            }

            if (use.FullAt <= now)
            {
                _uses.Remove(use.Key);
                return;
            }

            use.IdleSince = now;
            _idle.AddLast(use.Place);
        }

        // Whoever has been idle for as long as a bucket takes has a full one, so the oldest are always the first that can go.
        internal void Forget(long now, int count)
        {
            while (count-- > 0 && _idle.First is { } oldest && oldest.Value.IdleSince + _perBucket <= now)
            {
                _idle.Remove(oldest);
                _uses.Remove(oldest.Value.Key);
            }
        }

        private NetworkKey KeyOf(IPAddress address) => NetworkKey.Of(address, _ipv4PrefixLength, _ipv6PrefixLength);
    }
}

/// <summary>One network under one limit. The table's, under its lock.</summary>
internal sealed class NetworkUse
{
    internal NetworkUse(NetworkKey key)
    {
        Key = key;
        Place = new LinkedListNode<NetworkUse>(this);
    }

    internal NetworkKey Key { get; }

    /// <summary>Where it stands among the idle ones, when it has no connection.</summary>
    internal LinkedListNode<NetworkUse> Place { get; }

    internal int Concurrent { get; set; }

    /// <summary>When the bucket will be full again, in nanoseconds.</summary>
    internal long FullAt { get; set; }

    internal long IdleSince { get; set; }
}
