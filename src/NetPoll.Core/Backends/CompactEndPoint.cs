using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>An address and a port in 24 bytes, where the objects of <see cref="IPEndPoint"/> take 72 for as long as a connection lives.</summary>
internal readonly record struct CompactEndPoint
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

    /// <param name="address">4 or 16 bytes, in the network's order.</param>
    /// <param name="port">In the host's order.</param>
    /// <param name="scope">Of an IPv6 address.</param>
    internal CompactEndPoint(ReadOnlySpan<byte> address, ushort port, uint scope)
    {
        Span<byte> bytes = stackalloc byte[Inet6Size];
        bytes.Clear();
        address.CopyTo(bytes);
        _high = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        _low = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        _scope = scope;
        _port = port;
        _size = (byte)address.Length;
    }

    /// <summary>Whether it is nobody's.</summary>
    internal bool IsEmpty => _size == 0;

    internal int Port => _port;

    internal uint Scope => _scope;

    internal bool IsIPv6 => _size == Inet6Size;

    /// <summary>Writes the address in the network's order.</summary>
    /// <param name="target">16 bytes; an IPv4 address takes the first four, the rest are 0.</param>
    internal void WriteAddress(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(target, _high);
        BinaryPrimitives.WriteUInt64LittleEndian(target[8..], _low);
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
