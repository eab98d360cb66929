using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <content>Datagrams.</content>
internal static unsafe partial class Libc
{
    internal const int SO_BROADCAST = 6;
    internal const int IPPROTO_IP = 0;
    internal const int IP_MULTICAST_IF = 32;
    internal const int IP_MULTICAST_TTL = 33;
    internal const int IP_MULTICAST_LOOP = 34;
    internal const int IP_ADD_MEMBERSHIP = 35;
    internal const int IP_DROP_MEMBERSHIP = 36;
    internal const int IP_MULTICAST_ALL = 49;
    internal const int IPV6_MULTICAST_ALL = 29;
    internal const int IPV6_MULTICAST_IF = 17;
    internal const int IPV6_MULTICAST_HOPS = 18;
    internal const int IPV6_MULTICAST_LOOP = 19;
    internal const int IPV6_ADD_MEMBERSHIP = 20;
    internal const int IPV6_DROP_MEMBERSHIP = 21;

    internal const int SOCK_DGRAM = 2;
    private const int MSG_TRUNC = 0x20;

    /// <summary>socket(2): a UDP socket, non-blocking and close-on-exec.</summary>
    /// <returns>The number, or the negative errno.</returns>
    internal static int DatagramSocket(int family) => Result(socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));

    /// <summary>recvfrom(2) of one datagram, with MSG_TRUNC: the result is its whole length, though the buffer may have less.</summary>
    /// <returns>The datagram's bytes, or the negative errno.</returns>
    internal static int ReceiveFrom(int descriptor, Span<byte> buffer, Span<byte> address, out int addressLength)
    {
        fixed (byte* start = buffer)
        fixed (byte* name = address)
        {
            while (true)
            {
                // A null pointer is an error even for no bytes.
                byte none;
                uint length = (uint)address.Length;
                nint count = recvfrom(descriptor, start == null ? &none : start, (nuint)buffer.Length, MSG_TRUNC, name, &length);
                if (count >= 0)
                {
                    addressLength = (int)Math.Min(length, (uint)address.Length);
                    return (int)count;
                }

                int error = Marshal.GetLastSystemError();
                if (error != Errno.EINTR)
                {
                    addressLength = 0;
                    return -error;
                }
            }
        }
    }

    /// <summary>sendto(2) of one datagram; without an address, to the peer that the socket is connected to.</summary>
    /// <returns>Bytes, or the negative errno.</returns>
    internal static int SendTo(int descriptor, ReadOnlySpan<byte> payload, ReadOnlySpan<byte> address)
    {
        fixed (byte* start = payload)
        fixed (byte* name = address)
        {
            while (true)
            {
                nint count = sendto(descriptor, start, (nuint)payload.Length, MSG_NOSIGNAL, name, (uint)address.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                int error = Marshal.GetLastSystemError();
                if (error != Errno.EINTR)
                {
                    return -error;
                }
            }
        }
    }

    /// <summary>recvmmsg(2), with MSG_TRUNC and no time limit: on a non-blocking socket it takes what is there.</summary>
    /// <returns>Datagrams, or the negative errno.</returns>
    internal static int ReceiveMany(int descriptor, MessageVector* messages, int count)
    {
        int result;
        do
        {
            result = Result(recvmmsg(descriptor, messages, (uint)count, MSG_TRUNC, null));
        }
        while (result == -Errno.EINTR);

        return result;
    }

    /// <summary>sendmmsg(2).</summary>
    /// <returns>Datagrams, or the negative errno of the first.</returns>
    internal static int SendMany(int descriptor, MessageVector* messages, int count)
    {
        int result;
        do
        {
            result = Result(sendmmsg(descriptor, messages, (uint)count, MSG_NOSIGNAL));
        }
        while (result == -Errno.EINTR);

        return result;
    }

    /// <summary>setsockopt(2): joins or leaves a multicast group on an interface; 0 lets the system choose.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int ChangeMembership(int descriptor, IPAddress group, int interfaceIndex, bool join)
    {
        // struct ip_mreqn { in_addr group; in_addr address; int index; } or ipv6_mreq { in6_addr group; int index; }.
        byte* request = stackalloc byte[20];
        Span<byte> bytes = new(request, 20);
        bytes.Clear();
        group.TryWriteBytes(bytes, out int size);
        if (group.AddressFamily == AddressFamily.InterNetwork)
        {
            BitConverter.TryWriteBytes(bytes[8..], interfaceIndex);
            return Result(setsockopt(descriptor, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, request, 12));
        }

        BitConverter.TryWriteBytes(bytes[size..], interfaceIndex);
        return Result(setsockopt(descriptor, IPPROTO_IPV6, join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP, request, 20));
    }

    /// <summary>setsockopt(2), IP_MULTICAST_IF by index: struct ip_mreqn.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int SetMulticastInterface(int descriptor, int interfaceIndex)
    {
        int* request = stackalloc int[3] { 0, 0, interfaceIndex };
        return Result(setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, request, 12));
    }

    [LibraryImport("libc", EntryPoint = "recvfrom")]
    private static partial nint recvfrom(int descriptor, byte* buffer, nuint count, int flags, byte* address, uint* addressLength);

    [LibraryImport("libc", EntryPoint = "sendto")]
    private static partial nint sendto(int descriptor, byte* buffer, nuint count, int flags, byte* address, uint addressLength);

    [LibraryImport("libc", EntryPoint = "recvmmsg")]
    private static partial int recvmmsg(int descriptor, MessageVector* messages, uint count, int flags, void* timeout);

    [LibraryImport("libc", EntryPoint = "sendmmsg")]
    private static partial int sendmmsg(int descriptor, MessageVector* messages, uint count, int flags);
}

/// <summary><c>struct mmsghdr</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MessageVector
{
    internal MessageHeader Header;
    internal uint Length;
}
