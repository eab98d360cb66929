using System.Net;
using System.Net.Sockets;

namespace NetPoll.Actors.Listening;

/// <summary>The proxies whose word a listener takes. Any thread.</summary>
internal sealed class TrustedProxies
{
    private readonly NetworkSet _networks;

    internal TrustedProxies(ProxyProtocolOptions options)
    {
        Options = options;
        _networks = new NetworkSet(options.TrustedNetworks);
    }

    internal ProxyProtocolOptions Options { get; }

    /// <summary>Whether a peer is one of them.</summary>
    internal bool Contains(EndPoint? peer) => peer switch
    {
        IPEndPoint address => _networks.Contains(address.Address),
        UnixDomainSocketEndPoint => Options.TrustUnixSockets,
        _ => false,
    };
}
