namespace NetPoll.Actors.Connections;

/// <summary>Tokens that come at a rate and are kept up to a number. Any thread.</summary>
/// <remarks>
/// Whoever has taken tokens is told how long to wait before he takes more: until a quantum is there for him, behind all who took before. So the
/// sharers of a bucket take turns, and the number may fall below zero by a quantum for each of them; for one alone it never does.
/// </remarks>
internal sealed class TokenBucket
{
    private readonly double _perNanosecond;
    private readonly long _burst;
    private readonly long _quantum;

    // Guards what follows.
    private readonly Lock _gate = new();
    private double _tokens;
    private long _at;

    /// <param name="perSecond">Above 0.</param>
    /// <param name="burst">1 or more; the bucket begins full.</param>
    /// <param name="quantum">What a wait is for, at least 1; no more than the burst counts.</param>
    /// <param name="now">Nanoseconds of the clock that every call uses.</param>
    internal TokenBucket(double perSecond, long burst, long quantum, long now)
    {
        _perNanosecond = perSecond / 1e9;
        _burst = burst;
        _quantum = Math.Min(quantum, burst);
        _tokens = burst;
        _at = now;
    }

    /// <summary>What may be taken by one whose wait is over: a quantum at least.</summary>
    internal long Available(long now)
    {
        lock (_gate)
        {
            Refill(now);
            return Math.Max(_quantum, (long)_tokens);
        }
    }

    /// <summary>Takes tokens.</summary>
    /// <returns>Nanoseconds to wait before more are taken; 0 for none.</returns>
    internal long Take(long count, long now)
    {
        lock (_gate)
        {
            Refill(now);
            _tokens -= count;
            return _tokens >= _quantum ? 0 : (long)Math.Min(Math.Ceiling((_quantum - _tokens) / _perNanosecond), long.MaxValue / 4);
        }
    }

    /// <summary>The clock of every call is another one from here on, ahead by so much.</summary>
    internal void Shift(long nanoseconds)
    {
        lock (_gate)
        {
            _at += nanoseconds;
        }
    }

    private void Refill(long now)
    {
        if (now > _at)
        {
            _tokens = Math.Min(_burst, _tokens + ((now - _at) * _perNanosecond));
            _at = now;
        }
    }
}
