using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Actors.Listening;

/// <summary>The first bits of an address: what a limit counts by. Scopes are left out.</summary>
internal readonly record struct NetworkKey
{
    private const int IPv4Bits = 32;
    private const int IPv6Bits = 128;

    private readonly UInt128 _bits;
    private readonly bool _isIPv4;

    private NetworkKey(UInt128 bits, bool isIPv4)
    {
        _bits = bits;
        _isIPv4 = isIPv4;
    }

    /// <summary>The network of an address; an IPv4 address that is written as an IPv6 one counts as IPv4.</summary>
    internal static NetworkKey Of(IPAddress address, int ipv4PrefixLength, int ipv6PrefixLength)
    {
        Span<byte> bytes = stackalloc byte[IPv6Bits / 8];
        _ = address.TryWriteBytes(bytes, out _);
        if (address.AddressFamily == AddressFamily.InterNetwork)
        {
            return new NetworkKey(First(BinaryPrimitives.ReadUInt32BigEndian(bytes), IPv4Bits, ipv4PrefixLength), isIPv4: true);
        }

        return address.IsIPv4MappedToIPv6
            ? new NetworkKey(First(BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]), IPv4Bits, ipv4PrefixLength), isIPv4: true)
            : new NetworkKey(First(BinaryPrimitives.ReadUInt128BigEndian(bytes), IPv6Bits, ipv6PrefixLength), isIPv4: false);
    }

    // A shift by the whole width would be a shift by nothing.
    private static UInt128 First(UInt128 bits, int width, int prefixLength) => prefixLength == 0 ? 0 : bits >> (width - prefixLength);
}
