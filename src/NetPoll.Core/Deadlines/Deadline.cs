namespace NetPoll.Core;

/// <summary>When operations stop waiting: never, already, after a time from when it is set, or at a moment of the wall clock.</summary>
/// <remarks>
/// The default value is <see cref="None"/>. A deadline becomes an absolute time of the poller's monotonic clock when it is set, so later
/// jumps of the wall clock do not move it; a value beyond the clock's range never comes.
/// </remarks>
public readonly struct Deadline : IEquatable<Deadline>
{
    private readonly Kind _kind;
    private readonly long _ticks;

    private Deadline(Kind kind, long ticks)
    {
        _kind = kind;
        _ticks = ticks;
    }

    private enum Kind : byte
    {
        None,
        Past,
        After,
        At,
    }

    /// <summary>No deadline: wait for ever. Go: the zero <c>time.Time</c>.</summary>
    public static Deadline None => default;

    /// <summary>Already over: everything in progress and everything later fails at once.</summary>
    public static Deadline Past => new(Kind.Past, 0);

    /// <summary>A time from the moment at which the deadline is set; on the poller's own thread, from the end of the turn in which it is.</summary>
    /// <param name="timeout">
    /// Zero or negative is <see cref="Past"/>; <see cref="Timeout.InfiniteTimeSpan"/> is <see cref="None"/>. Rounded up to a millisecond.
    /// </param>
    public static Deadline After(TimeSpan timeout)
    {
        if (timeout == Timeout.InfiniteTimeSpan)
        {
            return None;
        }

        return timeout <= TimeSpan.Zero ? Past : new Deadline(Kind.After, timeout.Ticks);
    }

    /// <summary>A moment of the wall clock, which is looked at once, when the deadline is set.</summary>
    public static Deadline At(DateTimeOffset moment) => new(Kind.At, moment.UtcTicks);

    /// <summary>Whether two values mean the same.</summary>
    public static bool operator ==(Deadline left, Deadline right) => left.Equals(right);

    /// <summary>Whether two values mean different things.</summary>
    public static bool operator !=(Deadline left, Deadline right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(Deadline other) => _kind == other._kind && _ticks == other._ticks;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Deadline other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_kind, _ticks);

    /// <inheritdoc/>
    public override string ToString() => _kind switch
    {
        Kind.None => "none",
        Kind.Past => "past",
        Kind.After => $"after {TimeSpan.FromTicks(_ticks)}",
        _ => $"at {new DateTimeOffset(_ticks, TimeSpan.Zero):O}",
    };

    /// <summary>The deadline on a clock: 0 for none, -1 for past, else nanoseconds.</summary>
    internal long Resolve(in Deadlines.PollerClock clock)
    {
        switch (_kind)
        {
            case Kind.None:
                return 0;
            case Kind.Past:
                return -1;
            default:
                long ticks = _kind == Kind.After ? _ticks : _ticks - clock.UtcTicks;
                if (ticks <= 0)
                {
                    return -1;
                }

                return End(clock.Nanoseconds, ToNanoseconds(ticks));
        }
    }

    /// <summary>Whether it is a time from when it is set, and how long, in nanoseconds.</summary>
    internal bool IsTime(out long nanoseconds)
    {
        nanoseconds = _kind == Kind.After ? ToNanoseconds(_ticks) : 0;
        return _kind == Kind.After;
    }

    /// <summary>When a time is over that begins now. An overflow is the end of time, never the past.</summary>
    internal static long End(long now, long nanoseconds) => nanoseconds > long.MaxValue - now ? long.MaxValue : now + nanoseconds;

    private static long ToNanoseconds(long ticks) => ticks > long.MaxValue / 100 ? long.MaxValue : ticks * 100;
}
