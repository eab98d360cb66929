using NetPoll.Actors.Connections;
using NetPoll.Core.Deadlines;

namespace NetPoll.Actors;

/// <summary>A token bucket in bytes, in messages, or in both: so much a second, and so much at once after a quiet time. Immutable.</summary>
/// <remarks>A message is a frame, or a piece of bytes where there are no frames; outbound it is what one call or message sends.</remarks>
public sealed record RateLimit
{
    /// <summary>Bytes a second, above 0; null, the default, for no limit.</summary>
    public double? BytesPerSecond { get; init; }

    /// <summary>Bytes at once, 1 or more; null, the default, for what comes in a second.</summary>
    public long? BytesBurst { get; init; }

    /// <summary>Messages a second, above 0; null, the default, for no limit.</summary>
    public double? MessagesPerSecond { get; init; }

    /// <summary>Messages at once, 1 or more; null, the default, for what comes in a second, at least 1.</summary>
    public long? MessagesBurst { get; init; }

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Require(BytesPerSecond is null or (> 0 and < double.PositiveInfinity), nameof(BytesPerSecond), BytesPerSecond, "more than 0, or null");
        Require(BytesBurst is null or > 0, nameof(BytesBurst), BytesBurst, "1 or more, or null");
        Require(MessagesPerSecond is null or (> 0 and < double.PositiveInfinity), nameof(MessagesPerSecond), MessagesPerSecond, "more than 0, or null");
        Require(MessagesBurst is null or > 0, nameof(MessagesBurst), MessagesBurst, "1 or more, or null");
        Require(BytesPerSecond is not null || MessagesPerSecond is not null, nameof(BytesPerSecond), null, $"a rate of bytes or of messages ({nameof(MessagesPerSecond)})");
    }

    // A wait for bytes is for a tenth of a second's worth, so that a slow connection does not wake for every byte.
    internal TokenBucket? MakeBytes(long now) => BytesPerSecond is { } rate ? new TokenBucket(rate, BytesBurst ?? AtLeast1(rate), AtLeast1(rate / 10), now) : null;

    internal TokenBucket? MakeMessages(long now) => MessagesPerSecond is { } rate ? new TokenBucket(rate, MessagesBurst ?? AtLeast1(rate), quantum: 1, now) : null;

    private static long AtLeast1(double value) => (long)Math.Clamp(value, 1, long.MaxValue / 4);

    private static void Require(bool holds, string name, object? value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException(FormattableString.Invariant($"{nameof(RateLimit)}.{name} is {value ?? "null"}; expected {expected}."), name);
        }
    }
}

/// <summary>One limit for many connections together: those of a tenant, a listener, a whole server. Any thread.</summary>
/// <remarks>
/// Connections whose bucket is empty take turns. Each may take a tenth of a second's worth when its turn comes, so for a moment the limit may
/// be exceeded by as much for each connection; over time it is not.
/// </remarks>
public sealed class SharedRateLimit
{
    private readonly PollerClock _clock;

    /// <param name="limit">What all of them may do together.</param>
    /// <param name="timeProvider">Null for the system's clock.</param>
    /// <exception cref="ArgumentException">The limit is out of its range; the message names value and range.</exception>
    public SharedRateLimit(RateLimit limit, TimeProvider? timeProvider = null)
    {
        ArgumentNullException.ThrowIfNull(limit);
        limit.Validate();
        Limit = limit;
        _clock = new PollerClock(timeProvider ?? TimeProvider.System);
        Bytes = limit.MakeBytes(_clock.Nanoseconds);
        Messages = limit.MakeMessages(_clock.Nanoseconds);
    }

    /// <summary>What all of them may do together.</summary>
    public RateLimit Limit { get; }

    internal long Now => _clock.Nanoseconds;

    internal TokenBucket? Bytes { get; }

    internal TokenBucket? Messages { get; }
}

/// <summary>How fast a connection may be. Immutable, but for the limits that it shares.</summary>
/// <remarks>
/// Inbound, a connection that has used up its tokens reads nothing until there are some: the peer is held back by TCP, and nothing is dropped.
/// Outbound, what is sent waits: it counts against the watermarks and <see cref="ConnectionOptions.MaxOutputBytes"/>, so payloads of groups are
/// dropped by <see cref="ConnectionOptions.SlowConsumerPolicy"/> only where too much waits. The write timeout does not run while the limit is what
/// holds output back.
/// </remarks>
public sealed record RateLimits
{
    /// <summary>What this connection may receive; null for anything.</summary>
    public RateLimit? Inbound { get; init; }

    /// <summary>What this connection may send; null for anything.</summary>
    public RateLimit? Outbound { get; init; }

    /// <summary>What this and others may receive together; null for anything.</summary>
    public SharedRateLimit? SharedInbound { get; init; }

    /// <summary>What this and others may send together; null for anything.</summary>
    public SharedRateLimit? SharedOutbound { get; init; }

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Inbound?.Validate();
        Outbound?.Validate();
    }
}
