using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>A UDP socket by System.Net.Sockets alone.</summary>
/// <remarks>
/// Its calls with addresses tell by an exception that nothing is there, so each is behind a look; and they do not tell on every system that a
/// datagram was longer than the buffer, so each is received where the longest fits.
/// </remarks>
internal sealed class PortableDatagramSocket : PortableHandle, IDatagramSocket
{
    private const int Inet6Size = 28;

    [ThreadStatic]
    private static byte[]? _scratch;

    private readonly bool _isIPv6;
    private readonly bool _isConnected;

    // The reader's, and the writer's.
    private readonly SocketAddress _from;
    private readonly SocketAddress _to;
    private Receiver? _receiver;

    // Whether a receive is in flight, which takes nothing. Any thread sets it (Exchange) and starts one; its completion clears it and then tells, so
    // whoever finds it set is told.
    private int _isInFlight;

    // What a completion found, or a batch behind its datagrams: the next receive's.
    private HeldError _heldError;

    private PortableDatagramSocket(Socket socket, IPEndPoint? remote)
        : base(socket, remote)
    {
        _isIPv6 = socket.AddressFamily == AddressFamily.InterNetworkV6;
        _isConnected = remote is not null;
        _from = new SocketAddress(socket.AddressFamily, Inet6Size);
        _to = new SocketAddress(socket.AddressFamily);
    }

    internal override PollKind Kind => PollKind.Datagram;

    // A datagram that fills its buffer in part says nothing of the next.
    internal override bool MayReadShort => true;

    /// <summary>Makes a socket, binds it and connects it, either as far as it is asked for.</summary>
    internal static IoResult Open(IPEndPoint? local, IPEndPoint? remote, bool shareAddress, out PollableSocket? opened)
    {
        Socket? socket = null;
        PortableDatagramSocket? made = null;
        IoResult result = Try(() =>
        {
            socket = new Socket((local ?? remote!).AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            Prepare(socket, local, remote, shareAddress);
            made = new PortableDatagramSocket(socket, remote);
        });
        if (made is null)
        {
            socket?.Dispose();
        }

        opened = made;
        return result;
    }

    public IoResult ReceiveFrom(Span<byte> buffer, out ReceivedDatagram datagram)
    {
        datagram = default;
        if (_heldError.TryTake(out IoResult held))
        {
            return held;
        }

        if (!IsReady(SelectMode.SelectRead))
        {
            return IoResult.TryAgain;
        }

        byte[] scratch = _scratch ??= GC.AllocateUninitializedArray<byte>(DatagramBatch.LongestDatagram);
        try
        {
            _from.Size = Inet6Size;
            int length = Socket.ReceiveFrom(scratch, SocketFlags.None, _from);
            int count = Math.Min(length, buffer.Length);
            scratch.AsSpan(0, count).CopyTo(buffer);
            datagram = new ReceivedDatagram(count, new DatagramAddress(ReadAddress(_from)), length > count);
            return IoResult.Bytes(count);
        }
        catch (SocketException exception)
        {
            return PortableErrors.ToResult(exception.SocketErrorCode);
        }
        catch (ObjectDisposedException)
        {
            return IoResult.Gone;
        }
    }

    public IoResult SendTo(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        try
        {
            if (to.IsEmpty)
            {
                int sent = Socket.Send(payload, SocketFlags.None, out SocketError error);
                return PortableErrors.ToResult(sent, error);
            }

            WriteAddress(to.Compact, _to, _isIPv6);
            return IoResult.Bytes(Socket.SendTo(payload, SocketFlags.None, _to));
        }
        catch (SocketException exception)
        {
            return PortableErrors.ToResult(exception.SocketErrorCode);
        }
        catch (ObjectDisposedException)
        {
            return IoResult.Gone;
        }
    }

    public IoResult ReceiveBatch(DatagramBatch batch)
    {
        batch.Count = 0;
        while (batch.Count < batch.Capacity)
        {
            IoResult result = ReceiveFrom(batch.Slot(batch.Count), out ReceivedDatagram datagram);
            if (!result.IsSuccess)
            {
                if (batch.Count == 0)
                {
                    return result;
                }

                if (!result.WouldBlock)
                {
                    _heldError.Hold(result.Error);
                }

                break;
            }

            batch.Set(batch.Count++, datagram);
        }

        return IoResult.Bytes(batch.Count);
    }

    public IoResult SendBatch(DatagramBatch batch, int start)
    {
        int sent = 0;
        for (; start + sent < batch.Count; sent++)
        {
            IoResult result = SendTo(batch.Payload(start + sent).Span, batch[start + sent].From);
            if (!result.IsSuccess)
            {
                if (sent == 0)
                {
                    return result;
                }

                // The next call begins with it, and tells.
                break;
            }
        }

        return IoResult.Bytes(sent);
    }

    public IoResult SetDatagramSetting(DatagramSetting setting, int value)
    {
        SocketOptionLevel level = _isIPv6 ? SocketOptionLevel.IPv6 : SocketOptionLevel.IP;
        return Try(() =>
        {
            switch (setting)
            {
                case DatagramSetting.Broadcast:
                    Socket.EnableBroadcast = value != 0;
                    break;
                case DatagramSetting.MulticastTimeToLive:
                    Socket.SetSocketOption(level, SocketOptionName.MulticastTimeToLive, value);
                    break;
                case DatagramSetting.MulticastLoopback:
                    Socket.SetSocketOption(level, SocketOptionName.MulticastLoopback, value);
                    break;
                case DatagramSetting.MulticastInterface:
                    // For IPv4 an address in the network's order, of which one that begins with 0 is an index.
                    Socket.SetSocketOption(level, SocketOptionName.MulticastInterface, _isIPv6 ? value : IPAddress.HostToNetworkOrder(value));
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(setting), setting, "Expected a setting of datagrams.");
            }
        });
    }

    public IoResult ChangeMembership(IPAddress group, int interfaceIndex, bool join)
    {
        if (interfaceIndex > 0xFF_FFFF)
        {
            // More than the option of IPv4 can name, which would be told by another exception than that there is no such interface.
            return PortableErrors.ToResult(SocketError.AddressNotAvailable);
        }

        SocketOptionName change = join ? SocketOptionName.AddMembership : SocketOptionName.DropMembership;
        return Try(() =>
        {
            if (group.AddressFamily == AddressFamily.InterNetworkV6)
            {
                Socket.SetSocketOption(SocketOptionLevel.IPv6, change, new IPv6MulticastOption(group, interfaceIndex));
            }
            else
            {
                Socket.SetSocketOption(SocketOptionLevel.IP, change, new MulticastOption(group, interfaceIndex));
            }
        });
    }

    internal override IoResult Read(Span<byte> buffer) => ReceiveFrom(buffer, out _);

    internal override IoResult Write(ReadOnlySpan<byte> buffer) => SendTo(buffer, default);

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => PortableErrors.ToResult(SocketError.OperationNotSupported);

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        accepted = null;
        return PortableErrors.ToResult(SocketError.OperationNotSupported);
    }

    internal override IoResult FinishConnect() => _isConnected ? IoResult.Success : PortableErrors.ToResult(SocketError.NotConnected);

    internal override IoResult Probe(PollMode mode) =>
        (mode == PollMode.Read && _heldError.IsHeld) || IsReady(mode == PollMode.Read ? SelectMode.SelectRead : SelectMode.SelectWrite)
            ? IoResult.Success
            : IoResult.TryAgain;

    internal override void Arm(PollMode mode)
    {
        if ((mode & PollMode.Write) != 0)
        {
            WantsRoom = true;
            Watch?.Report(PortableNews.LookForRoom);
        }

        if ((mode & PollMode.Read) == 0)
        {
            return;
        }

        if (_heldError.IsHeld)
        {
            Watch?.Report(PortableNews.Read);
        }
        else if (Interlocked.Exchange(ref _isInFlight, 1) == 0)
        {
            ArmReceive();
        }
    }

    protected override PortableNews PendingNews() => _heldError.IsHeld ? PortableNews.Read : PortableNews.None;

    protected override void AfterClose() => _receiver?.Dispose();

    private static void Prepare(Socket socket, IPEndPoint? local, IPEndPoint? remote, bool shareAddress)
    {
        const int LinuxSocketLevel = 1;
        const int LinuxReuseAddress = 2;
        const int LinuxIPLevel = 0;
        const int LinuxMulticastAll = 49;
        const int LinuxIPv6Level = 41;
        const int LinuxIPv6MulticastAll = 29;
        const int WindowsRefusalsAsErrors = unchecked((int)0x9800000C);
        if (OperatingSystem.IsLinux())
        {
            // By their numbers: .NET's own sharing means more than this, and the others it does not name. See UdpSocket for what they do.
            byte[] no = BitConverter.GetBytes(0);
            _ = Try(() => socket.SetRawSocketOption(LinuxIPLevel, LinuxMulticastAll, no));
            _ = Try(() => socket.SetRawSocketOption(LinuxIPv6Level, LinuxIPv6MulticastAll, no));
        }

        if (shareAddress && OperatingSystem.IsLinux())
        {
            socket.SetRawSocketOption(LinuxSocketLevel, LinuxReuseAddress, BitConverter.GetBytes(1));
        }
        else if (shareAddress)
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        }

        if (remote is null && OperatingSystem.IsWindows())
        {
            // One that is not connected hears of no refusal.
            _ = socket.IOControl(WindowsRefusalsAsErrors, [0, 0, 0, 0], null);
        }

        bool isMixed = socket.AddressFamily == AddressFamily.InterNetworkV6 && remote is { AddressFamily: AddressFamily.InterNetwork };
        if (isMixed || remote is { Address.IsIPv4MappedToIPv6: true } || (local is not null && local.Address.Equals(IPAddress.IPv6Any)))
        {
            socket.DualMode = true;
        }

        if (local is not null)
        {
            socket.Bind(local);
        }

        if (remote is not null)
        {
            socket.Connect(isMixed ? new IPEndPoint(remote.Address.MapToIPv6(), remote.Port) : remote);
        }
    }

    // The places are the same on every system; only the family, which .NET reads and writes, is not.
    private static CompactEndPoint ReadAddress(SocketAddress address)
    {
        ReadOnlySpan<byte> bytes = address.Buffer.Span;
        ushort port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        return address.Family == AddressFamily.InterNetworkV6
            ? new CompactEndPoint(bytes.Slice(8, 16), port, BitConverter.ToUInt32(bytes[24..]))
            : new CompactEndPoint(bytes.Slice(4, 4), port, 0);
    }

    private static void WriteAddress(in CompactEndPoint endPoint, SocketAddress target, bool asIPv6)
    {
        Span<byte> bytes = target.Buffer.Span;
        Span<byte> address = stackalloc byte[16];
        endPoint.WriteAddress(address);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)endPoint.Port);
        if (!asIPv6)
        {
            address[..4].CopyTo(bytes[4..]);
            return;
        }

        bytes[4..Inet6Size].Clear();
        if (endPoint.IsIPv6)
        {
            address.CopyTo(bytes[8..]);
            BitConverter.TryWriteBytes(bytes[24..], endPoint.Scope);
        }
        else
        {
            bytes[18] = 0xFF;
            bytes[19] = 0xFF;
            address[..4].CopyTo(bytes[20..]);
        }
    }

    private void ArmReceive()
    {
        Receiver receiver = _receiver ??= new Receiver(this);
        if (!StartReceive(receiver, out SocketError error))
        {
            ReceiveCompleted(error);
        }
    }

    // A thread of the pool, or the caller of an arming that found something at once.
    private void ReceiveCompleted(SocketError error)
    {
        // Too long for no bytes at all is what Windows says of every datagram, which stays where it is.
        if (error is not (SocketError.Success or SocketError.OperationAborted or SocketError.MessageSize))
        {
            _heldError.Hold(error);
        }

        Interlocked.Exchange(ref _isInFlight, 0);
        Watch?.Report(PortableNews.Read);
    }

    private sealed class Receiver : SocketAsyncEventArgs
    {
        private readonly PortableDatagramSocket _socket;

        internal Receiver(PortableDatagramSocket socket)
            : base(true)
        {
            _socket = socket;
            SetBuffer(Array.Empty<byte>(), 0, 0);
            SocketFlags = SocketFlags.Peek;
        }

        protected override void OnCompleted(SocketAsyncEventArgs e) => _socket.ReceiveCompleted(SocketError);
    }
}
