using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>UDP: one datagram and many, connected and not, multicast, broadcast, and what goes wrong.</summary>
public sealed class NetDatagramSocketTests : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly PollerGroup _group = new(new PollerOptions { PollerCount = 1 });

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _group.DisposeAsync();

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("::1", "::1")]
    [InlineData("::", "127.0.0.1")]
    public async Task A_datagram_goes_to_whom_it_is_sent_and_tells_whence(string bound, string target)
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6 || !bound.Contains(':', StringComparison.Ordinal), "This system has no IPv6.");
        await using NetDatagramSocket server = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Parse(bound), 0), _group);
        await using NetDatagramSocket client = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Parse(target), 0), _group);
        byte[] buffer = new byte[64];
        Task<ReceivedDatagram> receiving = server.ReceiveAsync(buffer).AsTask();
        await Eventually.True("the receiver waits", () => server.Fd.Descriptor.HasReader);

        await client.SendAsync("question"u8.ToArray(), new DatagramAddress(new IPEndPoint(IPAddress.Parse(target), server.LocalEndPoint.Port)));
        ReceivedDatagram question = await receiving.WaitAsync(Limit, Cancellation);
        Assert.Equal("question"u8.ToArray(), buffer[..question.Count]);
        await server.SendAsync("answer"u8.ToArray(), question.From);
        ReceivedDatagram answer = await ReceiveAsync(client, buffer);

        Assert.Equal("answer"u8.ToArray(), buffer[..answer.Count]);
        Assert.Equal(client.LocalEndPoint.Port, question.From.Port);
        IPAddress from = question.From.ToEndPoint()!.Address;
        Assert.Equal(IPAddress.Parse(target), from.IsIPv4MappedToIPv6 ? from.MapToIPv4() : from);
        Assert.Equal(new DatagramAddress(client.LocalEndPoint), target == bound ? question.From : new DatagramAddress(client.LocalEndPoint));
        Assert.False(question.IsTruncated);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Memory_that_its_owner_took_away_ends_the_operation_and_the_next_one_goes_on(bool isConnected)
    {
        await using NetDatagramSocket peer = NetDatagramSocket.Bind(AnyPort, _group);
        NetDatagramSocket socket = isConnected
            ? NetDatagramSocket.Connect(peer.LocalEndPoint, AnyPort, _group)
            : NetDatagramSocket.Bind(AnyPort, _group);
        DatagramAddress to = new(peer.LocalEndPoint);
        VanishingMemory memory = new();
        Memory<byte> gone = memory.Memory;
        memory.IsGone = true;

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await socket.ReceiveAsync(gone));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => SendAsync(gone));

        byte[] buffer = new byte[8];
        await SendAsync("1"u8.ToArray()).WaitAsync(Limit, Cancellation);
        ReceivedDatagram question = await ReceiveAsync(peer, buffer);
        await peer.SendAsync("2"u8.ToArray(), question.From);
        Assert.Equal(1, (await ReceiveAsync(socket, buffer)).Count);
        await socket.CloseAsync().WaitAsync(Limit, Cancellation);

        Task SendAsync(ReadOnlyMemory<byte> payload) => isConnected ? socket.SendAsync(payload).AsTask() : socket.SendAsync(payload, to).AsTask();
    }

    [Theory]
    [InlineData("239.1.2.3")]
    [InlineData("ff02::1:2")]
    public async Task A_group_on_an_interface_that_there_is_not_is_refused_and_the_socket_closes_as_ever(string group)
    {
        IPAddress address = IPAddress.Parse(group);
        Assert.SkipUnless(Socket.OSSupportsIPv6 || address.AddressFamily == AddressFamily.InterNetwork, "This system has no IPv6.");
        IPAddress any = address.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any;
        NetDatagramSocket socket = NetDatagramSocket.Bind(new IPEndPoint(any, 0), _group);

        Assert.Throws<IOException>(() => socket.JoinGroup(address, interfaceIndex: 0xFF_FFFF));
        Assert.Throws<IOException>(() => socket.JoinGroup(address, interfaceIndex: int.MaxValue));

        await socket.CloseAsync().WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task A_connected_socket_hears_its_peer_alone()
    {
        await using NetDatagramSocket peer = NetDatagramSocket.Bind(AnyPort, _group);
        await using NetDatagramSocket stranger = NetDatagramSocket.Bind(AnyPort, _group);
        await using NetDatagramSocket connected = NetDatagramSocket.Connect(peer.LocalEndPoint, AnyPort, _group);
        byte[] buffer = new byte[16];

        await connected.SendAsync("1"u8.ToArray());
        ReceivedDatagram received = await ReceiveAsync(peer, buffer);
        await stranger.SendAsync("no"u8.ToArray(), received.From);
        await peer.SendAsync("yes"u8.ToArray(), received.From);

        ReceivedDatagram answer = await ReceiveAsync(connected, buffer);
        Assert.Equal("yes"u8.ToArray(), buffer[..answer.Count]);
        Assert.Equal(peer.LocalEndPoint, connected.RemoteEndPoint);
        Assert.Equal(new DatagramAddress(connected.LocalEndPoint), received.From);
    }

    [Fact]
    public async Task What_does_not_fit_is_reported_and_the_next_is_whole()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;
        byte[] buffer = new byte[4];

        await client.SendAsync("too long"u8.ToArray());
        await client.SendAsync("fits"u8.ToArray());
        ReceivedDatagram cut = await ReceiveAsync(server, buffer);
        Assert.Equal((4, true), (cut.Count, cut.IsTruncated));
        Assert.Equal("too "u8.ToArray(), buffer);
        ReceivedDatagram whole = await ReceiveAsync(server, buffer);

        Assert.Equal((4, false), (whole.Count, whole.IsTruncated));
        Assert.Equal("fits"u8.ToArray(), buffer);
    }

    [Fact]
    public async Task A_datagram_without_bytes_is_a_datagram_also_for_an_empty_buffer()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;

        await client.SendAsync(default);
        await client.SendAsync("x"u8.ToArray());
        await client.SendAsync("y"u8.ToArray());

        ReceivedDatagram empty = await ReceiveAsync(server, new byte[4]);
        ReceivedDatagram dropped = await ReceiveAsync(server, default);
        byte[] buffer = new byte[4];
        ReceivedDatagram last = await ReceiveAsync(server, buffer);
        Assert.Equal((0, false, client.LocalEndPoint.Port), (empty.Count, empty.IsTruncated, empty.From.Port));
        Assert.Equal((0, true), (dropped.Count, dropped.IsTruncated));
        Assert.Equal((1, (byte)'y'), (last.Count, buffer[0]));
    }

    [Fact]
    public async Task Batches_are_sent_and_received_whole_in_order_and_with_their_addresses()
    {
        await using NetDatagramSocket server = NetDatagramSocket.Bind(AnyPort, _group);
        await using NetDatagramSocket client = NetDatagramSocket.Bind(AnyPort, _group);
        DatagramBatch outgoing = new(100, 16);
        for (int number = 0; number < 100; number++)
        {
            outgoing.Add(BitConverter.GetBytes(number).AsSpan(0, number % 2 == 0 ? 4 : 1), new DatagramAddress(server.LocalEndPoint));
        }

        Assert.Throws<InvalidOperationException>(() => outgoing.Add(default));
        for (int sent = 0; sent < outgoing.Count;)
        {
            sent += await client.SendBatchAsync(outgoing, sent).AsTask().WaitAsync(Limit, Cancellation);
        }

        DatagramBatch incoming = new(32, 2);
        int received = 0;
        int calls = 0;
        while (received < 100)
        {
            int count = await server.ReceiveBatchAsync(incoming).AsTask().WaitAsync(Limit, Cancellation);
            calls++;
            Assert.Equal(count, incoming.Count);
            for (int index = 0; index < count; index++, received++)
            {
                Assert.Equal((byte)received, incoming.Payload(index).Span[0]);
                Assert.Equal(received % 2 == 0 ? 2 : 1, incoming[index].Count);
                Assert.Equal(received % 2 == 0, incoming[index].IsTruncated);
                Assert.Equal(new DatagramAddress(client.LocalEndPoint), incoming[index].From);
            }
        }

        // They were all there: the system's batches are full but the last.
        Assert.Equal(4, calls);
        Assert.Throws<ArgumentException>(() => new DatagramBatch(1, 2).Add("abc"u8));
    }

    [Fact]
    public async Task A_batch_waits_for_its_first_datagram()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;
        DatagramBatch batch = new(8);
        Task<int> receiving = server.ReceiveBatchAsync(batch).AsTask();
        await Eventually.True("the receiver waits", () => server.Fd.Descriptor.HasReader);

        await client.SendAsync("here"u8.ToArray());

        Assert.Equal(1, await receiving.WaitAsync(Limit, Cancellation));
        Assert.Equal("here"u8.ToArray(), batch.Payload(0).ToArray());
    }

    [Fact]
    public async Task A_refusal_is_told_once_and_the_socket_goes_on()
    {
        IPEndPoint nobody;
        await using (NetDatagramSocket closed = NetDatagramSocket.Bind(AnyPort, _group))
        {
            nobody = closed.LocalEndPoint;
        }

        await using NetDatagramSocket client = NetDatagramSocket.Connect(nobody, AnyPort, _group);
        byte[] buffer = new byte[16];
        Task<ReceivedDatagram> receiving = client.ReceiveAsync(buffer).AsTask();
        await Eventually.True("the receiver waits", () => client.Fd.Descriptor.HasReader);
        await client.SendAsync("anybody?"u8.ToArray());

        IOException refused = await Assert.ThrowsAsync<IOException>(() => receiving.WaitAsync(Limit, Cancellation));
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(refused.InnerException).SocketErrorCode);
        Assert.Contains($"{nobody}", refused.Message, StringComparison.Ordinal);

        // Somebody comes: the same socket serves as if nothing had been.
        await using NetDatagramSocket peer = NetDatagramSocket.Bind(nobody, _group);
        Task<ReceivedDatagram> again = client.ReceiveAsync(buffer).AsTask();
        await client.SendAsync("now?"u8.ToArray());
        ReceivedDatagram question = await ReceiveAsync(peer, new byte[16]);
        await peer.SendAsync("yes"u8.ToArray(), question.From);
        Assert.Equal(3, (await again.WaitAsync(Limit, Cancellation)).Count);
    }

    [Fact]
    public async Task One_that_is_not_connected_hears_of_no_refusal()
    {
        IPEndPoint nobody;
        await using (NetDatagramSocket closed = NetDatagramSocket.Bind(AnyPort, _group))
        {
            nobody = closed.LocalEndPoint;
        }

        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;
        for (int number = 0; number < 3; number++)
        {
            await server.SendAsync("anybody?"u8.ToArray(), new DatagramAddress(nobody));
        }

        await client.SendAsync("me"u8.ToArray());

        Assert.Equal(2, (await ReceiveAsync(server, new byte[16])).Count);
    }

    [Fact]
    public async Task NP067_A_read_deadline_in_the_past_wins_over_what_is_there_and_a_later_one_lets_it_through()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;
        await client.SendAsync("there"u8.ToArray());
        server.SetReadDeadline(Deadline.Past);

        for (int time = 0; time < 2; time++)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(() => server.ReceiveAsync(new byte[16]).AsTask());
        }

        server.SetReadDeadline(Deadline.After(Limit));
        Assert.Equal(5, (await ReceiveAsync(server, new byte[16])).Count);
        server.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(20)));
        for (int time = 0; time < 2; time++)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(() => server.ReceiveAsync(new byte[16]).AsTask().WaitAsync(Limit, Cancellation));
        }
    }

    [Fact]
    public async Task NP070_A_write_deadline_in_the_past_wins_over_room_and_one_that_passes_ends_a_loop_of_sends()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;
        client.SetWriteDeadline(Deadline.Past);
        for (int time = 0; time < 2; time++)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(() => client.SendAsync("x"u8.ToArray()).AsTask());
        }

        client.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(50)));
        int sent = 0;
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (true)
            {
                await client.SendAsync("x"u8.ToArray());
                sent++;
                await Task.Delay(1, Cancellation);
            }
        }).WaitAsync(Limit, Cancellation);

        Assert.True(sent > 0);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => client.SendAsync("x"u8.ToArray()).AsTask());
    }

    [Fact]
    public async Task NP071_A_receive_that_gets_nothing_ends_at_its_deadline_and_not_before()
    {
        await using NetDatagramSocket server = NetDatagramSocket.Bind(AnyPort, _group);
        long start = TimeProvider.System.GetTimestamp();
        server.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(100)));

        await Assert.ThrowsAsync<DeadlineExceededException>(() => server.ReceiveAsync(new byte[16]).AsTask().WaitAsync(Limit, Cancellation));

        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public async Task NP102_After_the_close_everything_is_refused_and_who_waited_is_told()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket other = client;
        Task<ReceivedDatagram> waiting = server.ReceiveAsync(new byte[16]).AsTask();
        await Eventually.True("the receiver waits", () => server.Fd.Descriptor.HasReader);

        await server.CloseAsync().WaitAsync(Limit, Cancellation);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting.WaitAsync(Limit, Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => server.ReceiveAsync(new byte[16]).AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => server.ReceiveBatchAsync(new DatagramBatch(1)).AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => server.SendAsync("x"u8.ToArray(), new DatagramAddress(AnyPort)).AsTask());
        Assert.Throws<ObjectDisposedException>(() => server.SetDeadline(Deadline.Past));
        Assert.Throws<ObjectDisposedException>(() => server.SetBroadcast(true));
        await server.CloseAsync();
    }

    [Fact]
    public async Task A_token_ends_one_wait_and_consumes_nothing()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;
        using CancellationTokenSource source = new();
        Task<ReceivedDatagram> waiting = server.ReceiveAsync(new byte[16], source.Token).AsTask();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Limit, Cancellation));

        await client.SendAsync("kept"u8.ToArray());

        Assert.Equal(4, (await ReceiveAsync(server, new byte[16])).Count);
    }

    [Fact]
    public async Task Members_of_a_group_get_what_is_sent_to_it_until_they_leave()
    {
        int loopback = NetworkInterface.GetAllNetworkInterfaces().First(static one => one.NetworkInterfaceType == NetworkInterfaceType.Loopback).GetIPProperties().GetIPv4Properties().Index;
        IPAddress group = IPAddress.Parse("239.255.77.77");
        await using NetDatagramSocket one = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Any, 0), _group, shareAddress: true);
        await using NetDatagramSocket other = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Any, one.LocalEndPoint.Port), _group, shareAddress: true);
        await using NetDatagramSocket sender = NetDatagramSocket.Bind(AnyPort, _group);
        one.JoinGroup(group, loopback);
        other.JoinGroup(group, loopback);
        sender.SetMulticastInterface(loopback);
        sender.SetMulticastTimeToLive(0);
        sender.SetMulticastLoopback(true);
        DatagramAddress target = new(new IPEndPoint(group, one.LocalEndPoint.Port));
        byte[] buffer = new byte[16];

        await sender.SendAsync("all"u8.ToArray(), target);
        Assert.Equal(3, (await ReceiveAsync(one, buffer)).Count);
        Assert.Equal(3, (await ReceiveAsync(other, buffer)).Count);
        other.LeaveGroup(group, loopback);
        await sender.SendAsync("the rest"u8.ToArray(), target);
        Assert.Equal(8, (await ReceiveAsync(one, buffer)).Count);
        other.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(20)));

        await Assert.ThrowsAsync<DeadlineExceededException>(() => ReceiveAsync(other, buffer));
        Assert.Throws<IOException>(() => other.LeaveGroup(group, loopback));
        Assert.Throws<ArgumentException>(() => one.JoinGroup(IPAddress.Loopback));
    }

    [Fact]
    public async Task Members_of_an_IPv6_group_get_what_is_sent_to_it_until_they_leave()
    {
        int? found = MulticastIPv6();
        Assert.SkipWhen(found is null, "This system has no interface with IPv6 and multicast.");
        int index = found!.Value;

        // A group of the interface alone: nothing of it leaves this machine.
        IPAddress group = IPAddress.Parse("ff01::4e50:7777");
        await using NetDatagramSocket one = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0), _group, shareAddress: true);
        await using NetDatagramSocket other = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.IPv6Any, one.LocalEndPoint.Port), _group, shareAddress: true);
        await using NetDatagramSocket sender = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0), _group);
        one.JoinGroup(group, index);
        other.JoinGroup(group, index);
        sender.SetMulticastInterface(index);
        sender.SetMulticastTimeToLive(0);
        sender.SetMulticastLoopback(true);
        DatagramAddress target = new(new IPEndPoint(group, one.LocalEndPoint.Port));
        byte[] buffer = new byte[16];

        await sender.SendAsync("all"u8.ToArray(), target);
        ReceivedDatagram received = await ReceiveAsync(one, buffer);
        Assert.Equal((3, sender.LocalEndPoint.Port), (received.Count, received.From.Port));
        Assert.Equal(3, (await ReceiveAsync(other, buffer)).Count);

        // Who sends may see to it that its own machine does not hear it: what comes next is what comes after.
        sender.SetMulticastLoopback(false);
        await sender.SendAsync("nobody here"u8.ToArray(), target);
        sender.SetMulticastLoopback(true);
        other.LeaveGroup(group, index);
        await sender.SendAsync("the rest"u8.ToArray(), target);
        Assert.Equal(8, (await ReceiveAsync(one, buffer)).Count);

        other.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(20)));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => ReceiveAsync(other, buffer));
        Assert.Throws<IOException>(() => other.LeaveGroup(group, index));
    }

    [Fact]
    public async Task Broadcasts_are_sent_only_where_it_was_allowed()
    {
        await using NetDatagramSocket receiver = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Any, 0), _group);
        await using NetDatagramSocket sender = NetDatagramSocket.Bind(AnyPort, _group);
        DatagramAddress all = new(new IPEndPoint(IPAddress.Parse("127.255.255.255"), receiver.LocalEndPoint.Port));

        IOException refused = await Assert.ThrowsAsync<IOException>(() => sender.SendAsync("x"u8.ToArray(), all).AsTask());
        sender.SetBroadcast(true);
        await sender.SendAsync("hello"u8.ToArray(), all);

        Assert.Equal(SocketError.AccessDenied, Assert.IsType<SocketException>(refused.InnerException).SocketErrorCode);
        Assert.Equal(5, (await ReceiveAsync(receiver, new byte[16])).Count);
    }

    [Fact]
    public async Task An_address_in_use_is_an_error_that_names_it_and_a_datagram_too_long_one_of_its_own()
    {
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;

        IOException inUse = Assert.Throws<IOException>(() => NetDatagramSocket.Bind(server.LocalEndPoint, _group));
        IOException tooLong = await Assert.ThrowsAsync<IOException>(() => client.SendAsync(new byte[70_000]).AsTask());
        await client.SendAsync("x"u8.ToArray());

        Assert.Contains($"{server.LocalEndPoint}", inUse.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.MessageSize, Assert.IsType<SocketException>(tooLong.InnerException).SocketErrorCode);
        Assert.Equal(1, (await ReceiveAsync(server, new byte[16])).Count);
    }

    [Fact]
    public async Task Warm_datagrams_allocate_nothing_on_the_poller_waiting_or_not()
    {
#if DEBUG
        Assert.Skip("In a debug build the compiler makes an object of every call of an async method.");
#endif
        (NetDatagramSocket server, NetDatagramSocket client) = Pair();
        await using NetDatagramSocket first = server;
        await using NetDatagramSocket second = client;
        TaskCompletionSource<long> allocated = new(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Poller.Post(() => _ = EchoAsync(server));
        client.Poller.Post(() => _ = PingAsync(client, allocated));

        Assert.Equal(0, await allocated.Task.WaitAsync(Limit, Cancellation));

        static async Task EchoAsync(NetDatagramSocket socket)
        {
            byte[] buffer = new byte[64];
            try
            {
                while (true)
                {
                    ReceivedDatagram datagram = await socket.ReceiveAsync(buffer);
                    await socket.SendAsync(buffer.AsMemory(0, datagram.Count), datagram.From);
                }
            }
            catch (ObjectDisposedException)
            {
                // The end of the test.
            }
        }

        static async Task PingAsync(NetDatagramSocket socket, TaskCompletionSource<long> allocated)
        {
            byte[] buffer = new byte[64];
            try
            {
                long start = 0;
                for (int round = 0; round < 4000; round++)
                {
                    if (round == 2000)
                    {
                        start = GC.GetAllocatedBytesForCurrentThread();
                    }

                    await socket.SendAsync(buffer.AsMemory(0, 8));
                    await socket.ReceiveAsync(buffer);
                }

                allocated.SetResult(GC.GetAllocatedBytesForCurrentThread() - start);
            }
            catch (Exception exception)
            {
                allocated.SetException(exception);
            }
        }
    }

    [Theory]
    [InlineData("send")]
    [InlineData("send a batch")]
    [InlineData("receive a batch")]
    public async Task What_must_wait_for_its_turn_on_the_poller_allocates_nothing(string kind)
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        await using NetDatagramSocket target = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Loopback, 0), group);
        await using NetDatagramSocket socket = NetDatagramSocket.Connect(target.LocalEndPoint, new IPEndPoint(IPAddress.Loopback, 0), group);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await peer.ConnectAsync(target.LocalEndPoint, Cancellation);
        int postponed = 0;

        long allocated = await socket.Poller.RunAsync(async () =>
        {
            byte[] payload = new byte[8];
            DatagramBatch batch = new(1, 16);
            batch.Add(payload);
            AllocationCounter counter = default;
            for (int round = 0; round < 40_000; round++)
            {
                if (round == 20_000)
                {
                    counter = AllocationCounter.Start();
                }

                switch (kind)
                {
                    case "send":
                        ValueTask send = socket.SendAsync(payload);
                        postponed += send.IsCompleted ? 0 : 1;
                        await send;
                        break;
                    case "send a batch":
                        ValueTask<int> sent = socket.SendBatchAsync(batch);
                        postponed += sent.IsCompleted ? 0 : 1;
                        await sent;
                        break;
                    default:
                        peer.Send(payload);
                        ValueTask<int> received = target.ReceiveBatchAsync(batch);
                        postponed += received.IsCompleted ? 0 : 1;
                        Assert.True(await received == 1);
                        break;
                }
            }

            return counter.Bytes;
        });

        Assert.True(postponed > 1_000, $"{postponed} were postponed.");
        Assert.Equal(0, allocated);
    }

    // Not the loopback: Linux has no way for IPv6's multicast there, and what it sends there it always hears itself.
    private static int? MulticastIPv6() => Socket.OSSupportsIPv6
        ? NetworkInterface.GetAllNetworkInterfaces()
            .Where(static one => one.NetworkInterfaceType != NetworkInterfaceType.Loopback && one.SupportsMulticast && one.Supports(NetworkInterfaceComponent.IPv6))
            .Select(static one => (int?)one.GetIPProperties().GetIPv6Properties().Index)
            .FirstOrDefault(static index => CanSendThere(index!.Value))
        : null;

    private static bool CanSendThere(int index)
    {
        using Socket socket = new(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastInterface, index);
            socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, 0);
            return socket.SendTo("x"u8, SocketFlags.None, new IPEndPoint(IPAddress.Parse("ff01::4e50:7778"), 9)) == 1;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static Task<ReceivedDatagram> ReceiveAsync(NetDatagramSocket socket, Memory<byte> buffer) =>
        socket.ReceiveAsync(buffer).AsTask().WaitAsync(Limit, Cancellation);

    private (NetDatagramSocket Server, NetDatagramSocket Client) Pair()
    {
        NetDatagramSocket server = NetDatagramSocket.Bind(AnyPort, _group);
        return (server, NetDatagramSocket.Connect(server.LocalEndPoint, AnyPort, _group));
    }
}
