using System.Net;

namespace NetPoll.Actors;

/// <summary>How a listener behind proxies learns whose connections it gets (HAProxy's PROXY protocol, versions 1 and 2).</summary>
/// <remarks>
/// Every connection must come from a trusted network and begin with a header; before the header is read no actor is made, and its bytes
/// never reach one. The address in it takes the place of the proxy's: <c>RemoteEndPoint</c>, address limits and logs go by it. A header
/// that names nobody (LOCAL, UNKNOWN) leaves the proxy's own address, for which no limit by address holds. TLVs are skipped.
/// </remarks>
public sealed class ProxyProtocolOptions
{
    // The largest header without TLVs: version 2 with two names of Unix sockets.
    private const int SmallestLimit = 232;
    private const int LargestLimit = 16 * 1024;

    /// <summary>Where the proxies are; at least one, unless <see cref="TrustUnixSockets"/>. Whoever comes from elsewhere is refused: he could claim to be anybody.</summary>
    public IList<IPNetwork> TrustedNetworks { get; } = [];

    /// <summary>
    /// Whether whoever can connect to the listener's Unix domain socket counts as a trusted proxy: the permissions of its path decide who that
    /// is. Default false, and all are refused there.
    /// </summary>
    public bool TrustUnixSockets { get; set; }

    /// <summary>How long a proxy may take for the whole header, above 0 to 5 minutes. Default 5 s.</summary>
    public TimeSpan HeaderTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Bytes of a header of version 2 with all its TLVs, 232 to 16,384. Default 4,096. Version 1 has at most 107.</summary>
    public int MaxHeaderBytes { get; set; } = 4096;

    /// <summary>Throws for a value that is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what was expected.</exception>
    public void Validate()
    {
        Require(TrustedNetworks.Count > 0 || TrustUnixSockets, nameof(TrustedNetworks), "empty", $"one network or more, or {nameof(TrustUnixSockets)}");
        Require(HeaderTimeout > TimeSpan.Zero && HeaderTimeout <= TimeSpan.FromMinutes(5), nameof(HeaderTimeout), HeaderTimeout, "above 0, up to 5 minutes");
        Require(MaxHeaderBytes is >= SmallestLimit and <= LargestLimit, nameof(MaxHeaderBytes), MaxHeaderBytes, $"{SmallestLimit} to {LargestLimit}");
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(ProxyProtocolOptions)}.{name} is {value}; expected {expected}.", name);
        }
    }
}
