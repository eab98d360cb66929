namespace NetPoll.Actors.Listening;

/// <summary>The proxies whose word a listener takes. Any thread.</summary>
internal sealed class TrustedProxies
{
    internal TrustedProxies(ProxyProtocolOptions options)
    {
        Options = options;
        Trusted = new NetworkSet(options.TrustedNetworks);
    }

    internal ProxyProtocolOptions Options { get; }

    /// <summary>Where they are.</summary>
    internal NetworkSet Trusted { get; }
}
