namespace NetPoll.Core.Deadlines;

/// <summary>A time provider's monotonic clock in nanoseconds. Any thread.</summary>
internal readonly struct PollerClock
{
    internal const long NanosecondsPerMillisecond = 1_000_000;

    private const long NanosecondsPerSecond = 1_000_000_000;

    private readonly TimeProvider _provider;
    private readonly long _multiplier;

    internal PollerClock(TimeProvider provider)
    {
        _provider = provider;
        _multiplier = NanosecondsPerSecond % provider.TimestampFrequency == 0
            ? NanosecondsPerSecond / provider.TimestampFrequency
            : 0;
    }

    /// <summary>Always above 0, so that 0 and negative numbers are free to mean "none" and "past".</summary>
    internal long Nanoseconds
    {
        get
        {
            long timestamp = _provider.GetTimestamp();
            long nanoseconds = _multiplier != 0
                ? timestamp * _multiplier
                : (long)((Int128)timestamp * NanosecondsPerSecond / _provider.TimestampFrequency);
            return Math.Max(nanoseconds, 1);
        }
    }

    internal long UtcTicks => _provider.GetUtcNow().UtcTicks;
}
