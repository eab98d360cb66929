using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>An address and a port in 24 bytes, where the objects of <see cref="IPEndPoint"/> take 72 for as long as a connection lives.</summary>
internal readonly struct CompactEndPoint
{
    private const int Inet6Size = 16;

    // The address in the network's order, an IPv4 one in the first four bytes.
    private readonly ulong _high;
    private readonly ulong _low;
    private readonly uint _scope;
    private readonly ushort _port;
    private readonly byte _size;

    /// <param name="endPoint">Null is kept as well.</param>
    internal CompactEndPoint(IPEndPoint? endPoint)
    {
        if (endPoint is null)
        {
            return;
        }

        Span<byte> bytes = stackalloc byte[Inet6Size];
        bytes.Clear();
        endPoint.Address.TryWriteBytes(bytes, out int size);
        _high = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        _low = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        _scope = endPoint.AddressFamily == AddressFamily.InterNetworkV6 ? (uint)endPoint.Address.ScopeId : 0;
        _port = (ushort)endPoint.Port;
        _size = (byte)size;
    }

    /// <summary>A new object each time.</summary>
    internal IPEndPoint? ToEndPoint()
    {
        if (_size == 0)
        {
            return null;
        }

        Span<byte> bytes = stackalloc byte[Inet6Size];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, _high);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], _low);
        return new IPEndPoint(_size == Inet6Size ? new IPAddress(bytes, _scope) : new IPAddress(bytes[.._size]), _port);
    }
}
