using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A UDP socket of libc.</summary>
internal sealed class UdpSocket : LibcSocket, IDatagramSocket
{
    private readonly bool _isIPv6;
    private IPEndPoint? _remote;

    private UdpSocket(int descriptor, bool isIPv6, IPEndPoint? remote)
        : base(descriptor)
    {
        _isIPv6 = isIPv6;
        _remote = remote;
    }

    /// <summary>One that somebody else has made.</summary>
    internal static UdpSocket Adopt(int descriptor, bool isIPv6, IPEndPoint? remote) => new(descriptor, isIPv6, remote);

    internal override PollKind Kind => PollKind.Datagram;

    internal override IPEndPoint? LocalEndPoint
    {
        get
        {
            Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
            return Libc.LocalAddress(Descriptor, address, out int length) < 0 ? null : SocketAddressLayout.Read(address[..length]);
        }
    }

    internal override IPEndPoint? RemoteEndPoint => _remote;

    // A datagram that fills its buffer in part says nothing of the next.
    internal override bool MayReadShort => true;

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => _remote = endPoint;

    /// <summary>Makes a socket, binds it and connects it, either as far as it is asked for.</summary>
    internal static IoResult Open(IPEndPoint? local, IPEndPoint? remote, bool shareAddress, out PollableSocket? socket)
    {
        socket = null;
        IPEndPoint either = local ?? remote!;
        int descriptor = Libc.DatagramSocket(SocketAddressLayout.Family(either));
        if (descriptor < 0)
        {
            return IoResult.From(descriptor);
        }

        int result = Prepare(descriptor, local, remote, shareAddress);
        if (result < 0)
        {
            _ = Libc.Close(descriptor);
            return IoResult.From(result);
        }

        socket = new UdpSocket(descriptor, either.AddressFamily == AddressFamily.InterNetworkV6, remote);
        return IoResult.Success;
    }

    public IoResult ReceiveFrom(Span<byte> buffer, out ReceivedDatagram datagram)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        int length = Libc.ReceiveFrom(Descriptor, buffer, address, out int addressLength);
        if (length < 0)
        {
            datagram = default;
            return IoResult.From(length);
        }

        int count = Math.Min(length, buffer.Length);
        datagram = new ReceivedDatagram(count, new DatagramAddress(SocketAddressLayout.ReadCompact(address[..addressLength])), length > count);
        return IoResult.Bytes(count);
    }

    public IoResult SendTo(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        int length = to.IsEmpty ? 0 : SocketAddressLayout.Write(to.Compact, address, _isIPv6);
        return IoResult.From(Libc.SendTo(Descriptor, payload, address[..length]));
    }

    public IoResult ReceiveBatch(DatagramBatch batch) => VectorsOf(batch).Receive(Descriptor, batch);

    public IoResult SendBatch(DatagramBatch batch, int start) => VectorsOf(batch).Send(Descriptor, batch, start, _isIPv6);

    public IoResult SetDatagramSetting(DatagramSetting setting, int value) => IoResult.From(setting switch
    {
        DatagramSetting.Broadcast => Libc.SetOption(Descriptor, Libc.SOL_SOCKET, Libc.SO_BROADCAST, value),
        DatagramSetting.MulticastTimeToLive => Set(Libc.IP_MULTICAST_TTL, Libc.IPV6_MULTICAST_HOPS, value),
        DatagramSetting.MulticastLoopback => Set(Libc.IP_MULTICAST_LOOP, Libc.IPV6_MULTICAST_LOOP, value),
        DatagramSetting.MulticastInterface when _isIPv6 => Libc.SetOption(Descriptor, Libc.IPPROTO_IPV6, Libc.IPV6_MULTICAST_IF, value),
        DatagramSetting.MulticastInterface => Libc.SetMulticastInterface(Descriptor, value),
        _ => throw new ArgumentOutOfRangeException(nameof(setting), setting, "Expected a setting of datagrams."),
    });

    public IoResult ChangeMembership(IPAddress group, int interfaceIndex, bool join) =>
        IoResult.From(Libc.ChangeMembership(Descriptor, group, interfaceIndex, join));

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        accepted = null;
        return IoResult.Failure(Errno.EOPNOTSUPP);
    }

    private static MessageVectors VectorsOf(DatagramBatch batch)
    {
        if (batch.BackendState is not MessageVectors vectors)
        {
            vectors = new MessageVectors(batch);
            batch.BackendState = vectors;
        }

        return vectors;
    }

    private static int Prepare(int descriptor, IPEndPoint? local, IPEndPoint? remote, bool shareAddress)
    {
        int result = 0;
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxSize];
        if (shareAddress)
        {
            result = Libc.SetOption(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEADDR, 1);
        }

        // Or it would get what is sent to groups that others on this machine have joined. Systems that cannot say so go without.
        _ = Libc.SetOption(descriptor, Libc.IPPROTO_IP, Libc.IP_MULTICAST_ALL, 0);
        _ = Libc.SetOption(descriptor, Libc.IPPROTO_IPV6, Libc.IPV6_MULTICAST_ALL, 0);

        if (result >= 0 && local is not null)
        {
            if (local.Address.Equals(IPAddress.IPv6Any))
            {
                // Dual stack, whatever the system's default is.
                _ = Libc.SetOption(descriptor, Libc.IPPROTO_IPV6, Libc.IPV6_V6ONLY, 0);
            }

            int length = SocketAddressLayout.Write(local, address);
            result = Libc.Bind(descriptor, address[..length]);
        }

        if (result >= 0 && remote is not null)
        {
            bool asIPv6 = (local ?? remote).AddressFamily == AddressFamily.InterNetworkV6;
            int length = SocketAddressLayout.Write(new CompactEndPoint(remote), address, asIPv6);
            result = Libc.Connect(descriptor, address[..length]);
        }

        return result;
    }

    private int Set(int inet, int inet6, int value) => _isIPv6
        ? Libc.SetOption(Descriptor, Libc.IPPROTO_IPV6, inet6, value)
        : Libc.SetOption(Descriptor, Libc.IPPROTO_IP, inet, value);
}
