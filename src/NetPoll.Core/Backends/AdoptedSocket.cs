using System.Net;
using System.Runtime.InteropServices;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>Takes over a socket that somebody else has made: a service manager, another library, the program that started this one.</summary>
internal static class AdoptedSocket
{
    /// <inheritdoc cref="PollPlatform.AdoptSocket"/>
    internal static PollableSocket Adopt(SafeHandle handle, PollKind role)
    {
        int descriptor = AdoptedHandle.Duplicate(handle, out int original);
        try
        {
            PollableSocket socket = Wrap(descriptor, original, role);
            socket.MayLinger();
            int result = Libc.SetNonBlocking(descriptor);
            if (result < 0)
            {
                throw IoResult.From(result).ToException($"adopt {AdoptedHandle.Describe(original)}");
            }

            AdoptedHandle.GiveUp(handle, descriptor);
            return socket;
        }
        catch
        {
            _ = Libc.Close(descriptor);
            throw;
        }
    }

    private static PollableSocket Wrap(int descriptor, int original, PollKind role)
    {
        string expected = role switch
        {
            PollKind.Listener => "a TCP or Unix domain socket that listens",
            PollKind.Datagram => "a UDP socket",
            _ => "a TCP or Unix domain socket that is connected",
        };
        if (Libc.GetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_DOMAIN, out int family) < 0
            || Libc.GetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_TYPE, out int type) < 0
            || Libc.GetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_ACCEPTCONN, out int listens) < 0)
        {
            throw Refused(original, "is no socket", expected);
        }

        bool isIP = family is Libc.AF_INET or Libc.AF_INET6;
        bool isUnix = family == Libc.AF_UNIX;
        if (type != (role == PollKind.Datagram ? Libc.SOCK_DGRAM : Libc.SOCK_STREAM) || !(isIP || (isUnix && role != PollKind.Datagram)))
        {
            throw Refused(original, $"is a socket of family {family} and type {type}", expected);
        }

        if (role != PollKind.Datagram && listens != 0 != (role == PollKind.Listener))
        {
            throw Refused(original, listens != 0 ? "listens" : "does not listen", expected);
        }

        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxUnixSize];
        bool hasPeer = Libc.PeerAddress(descriptor, address, out int length) >= 0;
        ReadOnlySpan<byte> peer = address[..Math.Min(length, address.Length)];
        if (role == PollKind.Socket && !hasPeer)
        {
            throw Refused(original, "is not connected", expected);
        }

        if (isUnix)
        {
            return new UnixSocket(descriptor, hasPeer ? SocketAddressLayout.ReadUnix(peer) : null);
        }

        IPEndPoint? remote = hasPeer ? SocketAddressLayout.Read(peer) : null;
        return role == PollKind.Datagram ? UdpSocket.Adopt(descriptor, family == Libc.AF_INET6, remote) : new TcpSocket(descriptor, remote);
    }

    private static ArgumentException Refused(int descriptor, string what, string expected) =>
        new($"{AdoptedHandle.Describe(descriptor)} {what}; expected {expected}.");
}
