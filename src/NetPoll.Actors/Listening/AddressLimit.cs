namespace NetPoll.Actors;

/// <summary>How many connections one network may have, and how often it may come. A network is what shares the first bits of its addresses.</summary>
/// <remarks>
/// The rate is a token bucket: it holds <see cref="MaxPerInterval"/> and is refilled evenly within <see cref="Interval"/>. A quiet network may
/// so come that often at once, and afterwards each time that <see cref="Interval"/> divided by it has passed. What is refused takes nothing
/// out. IPv4 addresses on an IPv6 socket count as IPv4.
/// </remarks>
public sealed class AddressLimit
{
    /// <summary>Bits of an IPv4 address that make a network, 0 to 32. Default 32: each address by itself.</summary>
    public int IPv4PrefixLength { get; set; } = 32;

    /// <summary>Bits of an IPv6 address that make a network, 0 to 128. Default 64: what one customer usually has.</summary>
    public int IPv6PrefixLength { get; set; } = 64;

    /// <summary>Connections of one network that may be open at once, 1 or more. Default: no limit.</summary>
    public int MaxConcurrent { get; set; } = int.MaxValue;

    /// <summary>Connections of one network that may come at once or in an interval, 1 to 1,000,000. Default null: no limit.</summary>
    public int? MaxPerInterval { get; set; }

    /// <summary>The interval, 1 ms to 1 day. Default 1 minute. A network is remembered that long.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Require(IPv4PrefixLength is >= 0 and <= 32, nameof(IPv4PrefixLength), IPv4PrefixLength, "0 to 32");
        Require(IPv6PrefixLength is >= 0 and <= 128, nameof(IPv6PrefixLength), IPv6PrefixLength, "0 to 128");
        Require(MaxConcurrent > 0, nameof(MaxConcurrent), MaxConcurrent, "1 or more");
        Require(MaxPerInterval is null or (> 0 and <= 1_000_000), nameof(MaxPerInterval), MaxPerInterval!, "1 to 1,000,000, or null");
        Require(Interval >= TimeSpan.FromMilliseconds(1) && Interval <= TimeSpan.FromDays(1), nameof(Interval), Interval, "1 ms to 1 day");
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(AddressLimit)}.{name} is {value}; expected {expected}.", name);
        }
    }
}
