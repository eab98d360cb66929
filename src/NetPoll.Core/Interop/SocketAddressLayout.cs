using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Interop;

/// <summary>Turns the kernel's <c>sockaddr</c> into an <see cref="IPEndPoint"/> and back.</summary>
/// <remarks>Layouts are Linux's: the family in the host's byte order, port and address in the network's.</remarks>
internal static class SocketAddressLayout
{
    /// <summary>Bytes that hold any address of the internet: <c>sockaddr_in6</c>.</summary>
    internal const int MaxSize = 28;

    /// <summary>Bytes that hold the address of any Unix domain socket: <c>sockaddr_un</c>.</summary>
    internal const int MaxUnixSize = 110;

    private const int SizeInet = 16;
    private const int SizeFamily = 2;

    // Makes others: .NET has no constructor for what the kernel tells.
    private static readonly UnixDomainSocketEndPoint UnixMaker = new("/");

    /// <summary>The address family that a socket for this end point needs.</summary>
    internal static int Family(IPEndPoint endPoint) => endPoint.AddressFamily switch
    {
        AddressFamily.InterNetwork => Libc.AF_INET,
        AddressFamily.InterNetworkV6 => Libc.AF_INET6,
        _ => throw new ArgumentException(
            $"The address family {endPoint.AddressFamily} of {endPoint} is not supported: expected InterNetwork or InterNetworkV6.",
            nameof(endPoint)),
    };

    /// <summary>Writes the end point as a sockaddr.</summary>
    /// <returns>Bytes written.</returns>
    internal static int Write(IPEndPoint endPoint, Span<byte> target)
    {
        int family = Family(endPoint);
        target.Clear();
        BitConverter.TryWriteBytes(target, (ushort)family);
        BinaryPrimitives.WriteUInt16BigEndian(target[2..], (ushort)endPoint.Port);
        if (family == Libc.AF_INET)
        {
            endPoint.Address.TryWriteBytes(target[4..], out _);
            return SizeInet;
        }

        endPoint.Address.TryWriteBytes(target[8..], out _);
        BitConverter.TryWriteBytes(target[24..], (uint)endPoint.Address.ScopeId);
        return MaxSize;
    }

    /// <summary>Writes a path or an abstract name as a sockaddr.</summary>
    /// <returns>Bytes written.</returns>
    internal static int Write(UnixDomainSocketEndPoint endPoint, Span<byte> target)
    {
        SocketAddress address = endPoint.Serialize();
        address.Buffer.Span[..address.Size].CopyTo(target);
        BitConverter.TryWriteBytes(target, (ushort)Libc.AF_UNIX);
        return address.Size;
    }

    /// <summary>Reads the sockaddr of a Unix domain socket, byte for byte; one without a name has an empty end point.</summary>
    internal static UnixDomainSocketEndPoint ReadUnix(ReadOnlySpan<byte> source)
    {
        SocketAddress address = new(AddressFamily.Unix, Math.Clamp(source.Length, SizeFamily, MaxUnixSize));
        if (source.Length > SizeFamily)
        {
            source[SizeFamily..address.Size].CopyTo(address.Buffer.Span[SizeFamily..]);
        }

        return (UnixDomainSocketEndPoint)UnixMaker.Create(address);
    }

    /// <summary>Reads a sockaddr; an address of another family is null.</summary>
    internal static IPEndPoint? Read(ReadOnlySpan<byte> source)
    {
        if (source.Length < SizeInet)
        {
            return null;
        }

        ushort family = BitConverter.ToUInt16(source);
        int port = BinaryPrimitives.ReadUInt16BigEndian(source[2..]);
        return family switch
        {
            Libc.AF_INET => new IPEndPoint(new IPAddress(source.Slice(4, 4)), port),
            Libc.AF_INET6 when source.Length >= MaxSize =>
                new IPEndPoint(new IPAddress(source.Slice(8, 16), BitConverter.ToUInt32(source[24..])), port),
            _ => null,
        };
    }
}
