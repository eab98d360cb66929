using System.Net;

namespace NetPoll.Actors;

/// <summary>Why a listener did not serve a connection that it took.</summary>
public enum RefusalReason
{
    /// <summary>As many are open as <see cref="ListenerOptions.MaxConnections"/> allows.</summary>
    TooManyConnections,

    /// <summary>Its network has as many open as <see cref="AddressLimit.MaxConcurrent"/> allows.</summary>
    NetworkConcurrency,

    /// <summary>Its network came more often than <see cref="AddressLimit.MaxPerInterval"/> allows.</summary>
    NetworkRate,

    /// <summary>The process or the system is out of descriptors, or the poller takes no more.</summary>
    OutOfDescriptors,

    /// <summary>The factory of the connection's actor threw, or gave none.</summary>
    FactoryFailed,

    /// <summary>
    /// A PROXY header is expected, and the peer is in no network that <see cref="ProxyProtocolOptions.TrustedNetworks"/> has, or came by a Unix
    /// domain socket without <see cref="ProxyProtocolOptions.TrustUnixSockets"/>.
    /// </summary>
    UntrustedProxy,

    /// <summary>A PROXY header is expected, and what came is none.</summary>
    ProxyHeaderInvalid,

    /// <summary>A PROXY header is expected, and was not all there within <see cref="ProxyProtocolOptions.HeaderTimeout"/>.</summary>
    ProxyHeaderTimeout,

    /// <summary>The server stops.</summary>
    Stopping,
}

/// <summary>A connection that is refused, before its socket is closed.</summary>
/// <param name="Reason">Why.</param>
/// <param name="RemoteEndPoint">Whose it is; null when the system did not tell.</param>
public readonly record struct Refusal(RefusalReason Reason, EndPoint? RemoteEndPoint);

/// <summary>How many connections a listener refused since its start, by reason.</summary>
public sealed class RefusalCounts : IEquatable<RefusalCounts>
{
    private readonly long[] _counts;

    internal RefusalCounts(long[] counts) => _counts = counts;

    /// <summary>None at all.</summary>
    public static RefusalCounts None { get; } = new(new long[Enum.GetValues<RefusalReason>().Length]);

    /// <summary>All reasons together.</summary>
    public long Total => _counts.Sum();

    /// <summary>Those of one reason.</summary>
    public long this[RefusalReason reason] => _counts[(int)reason];

    /// <inheritdoc/>
    public bool Equals(RefusalCounts? other) => other is not null && _counts.AsSpan().SequenceEqual(other._counts);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as RefusalCounts);

    /// <inheritdoc/>
    public override int GetHashCode() => Total.GetHashCode();

    /// <inheritdoc/>
    public override string ToString() => Total == 0
        ? "none"
        : string.Join(", ", Enum.GetValues<RefusalReason>().Where(reason => this[reason] > 0).Select(reason => $"{this[reason]} {reason}"));
}
