using System.Net;
using NetPoll.Core.Backends;

namespace NetPoll.Core;

/// <summary>An address and a port as a value: names a datagram's peer without an object, and can be a key. The default value names nobody.</summary>
/// <remarks>An IPv4 peer of a socket that is bound to an IPv6 address has an IPv4-mapped address, as the system tells it.</remarks>
public readonly record struct DatagramAddress
{
    /// <summary>The same address and port.</summary>
    public DatagramAddress(IPEndPoint endPoint)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        Compact = new CompactEndPoint(endPoint);
    }

    internal DatagramAddress(CompactEndPoint compact) => Compact = compact;

    /// <summary>The port; 0 for nobody.</summary>
    public int Port => Compact.Port;

    /// <summary>Whether it names nobody.</summary>
    public bool IsEmpty => Compact.IsEmpty;

    internal CompactEndPoint Compact { get; }

    /// <summary>As an object, a new one each time; null for nobody.</summary>
    public IPEndPoint? ToEndPoint() => Compact.ToEndPoint();

    /// <inheritdoc/>
    public override string ToString() => $"{ToEndPoint()}";
}

/// <summary>A datagram that was received.</summary>
/// <param name="Count">Its bytes in the buffer; 0 is a datagram without any, which is nothing special.</param>
/// <param name="From">Who sent it.</param>
/// <param name="IsTruncated">Whether it was longer than the buffer; the rest is lost.</param>
public readonly record struct ReceivedDatagram(int Count, DatagramAddress From, bool IsTruncated);
