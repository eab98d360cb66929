using System.Net;

namespace NetPoll.Actors.Listening;

/// <summary>Some networks. Never changes; any thread.</summary>
internal sealed class NetworkSet
{
    private readonly IPNetwork[] _networks;

    internal NetworkSet(IEnumerable<IPNetwork> networks) => _networks = [.. networks];

    /// <summary>Whether one of them has the address; an IPv4 address that is written as an IPv6 one counts as IPv4.</summary>
    internal bool Contains(IPAddress address)
    {
        if (_networks.Length == 0)
        {
            return false;
        }

        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }

        foreach (IPNetwork network in _networks)
        {
            if (network.Contains(address))
            {
                return true;
            }
        }

        return false;
    }
}
