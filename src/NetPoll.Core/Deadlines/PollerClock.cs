namespace NetPoll.Core.Deadlines;

/// <summary>A time provider's monotonic clock in nanoseconds since this clock was made. Any thread.</summary>
/// <remarks>
/// Counted from its own start, since a provider's timestamp may be any number: a fake clock's is the date, which in nanoseconds is more
/// than 64 bits hold.
/// </remarks>
internal readonly struct PollerClock
{
    internal const long NanosecondsPerMillisecond = 1_000_000;

    private const long NanosecondsPerSecond = 1_000_000_000;

    private readonly TimeProvider _provider;
    private readonly long _origin;
    private readonly long _multiplier;

    internal PollerClock(TimeProvider provider)
    {
        _provider = provider;
        _origin = provider.GetTimestamp();
        _multiplier = NanosecondsPerSecond % provider.TimestampFrequency == 0
            ? NanosecondsPerSecond / provider.TimestampFrequency
            : 0;
    }

    /// <summary>Begins at one tick: always above 0, so that 0 and negative numbers are free to mean "none" and "past".</summary>
    internal long Nanoseconds
    {
        get
        {
            long elapsed = _provider.GetTimestamp() - _origin;
            return NanosecondsPerMillisecond + (_multiplier != 0
                ? elapsed * _multiplier
                : (long)((Int128)elapsed * NanosecondsPerSecond / _provider.TimestampFrequency));
        }
    }

    /// <summary>A time in nanoseconds. One beyond the clock's range never ends, and can still be added to a moment.</summary>
    internal static long InNanoseconds(TimeSpan time) => (long)Math.Min(time.Ticks * 100.0, long.MaxValue / 4);

    /// <summary>What a moment of this clock has to be moved by to be the same one on another clock of the same provider, in nanoseconds.</summary>
    internal long ShiftTo(in PollerClock other)
    {
        long apart = _origin - other._origin;
        return _multiplier != 0 ? apart * _multiplier : (long)((Int128)apart * NanosecondsPerSecond / _provider.TimestampFrequency);
    }

    internal long UtcTicks => _provider.GetUtcNow().UtcTicks;
}
