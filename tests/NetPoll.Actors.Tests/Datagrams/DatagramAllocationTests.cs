using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Datagrams;

/// <summary>What a warm datagram allocates on its poller's thread: nothing.</summary>
public sealed class DatagramAllocationTests : IAsyncDisposable
{
    private const int Size = 64;
    private const int WarmUp = 20_000;
    private const int Echoes = 100_000;
    private const int InFlight = 8;

    private readonly TestServer _server;
    private long _allocated;

    public DatagramAllocationTests()
    {
        _server = new TestServer();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("bound")]
    [InlineData("connected")]
    public async Task A_hundred_thousand_warm_echoes_allocate_nothing(string kind)
    {
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        peer.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        peer.ReceiveTimeout = 30_000;
        DatagramSocket socket = kind == "bound"
            ? await _server.NetPoll.BindDatagramsAsync("echo", new IPEndPoint(IPAddress.Loopback, 0), static () => new Echo()).Soon()
            : await _server.NetPoll.ConnectDatagramsAsync((IPEndPoint)peer.LocalEndPoint!, static () => new Echo()).Soon();
        peer.Connect(new IPEndPoint(IPAddress.Loopback, socket.LocalEndPoint.Port));

        await EchoAsync(peer, WarmUp);
        long allocated = -1;
        for (int round = 0; round < 3 && allocated != 0; round++)
        {
            long before = await AllocatedAsync();
            await EchoAsync(peer, Echoes);
            allocated = await AllocatedAsync() - before;
            TestContext.Current.TestOutputHelper?.WriteLine($"Round {round}: {allocated} bytes.");
        }

        Assert.Equal(0, allocated);
    }

    [Fact]
    public async Task One_that_goes_by_a_peer_s_actor_allocates_its_two_messages_and_the_bytes_that_the_actor_owns()
    {
        // Two messages and an array: 216 now.
        const int MostPerEcho = 240;
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        peer.ReceiveTimeout = 30_000;
        DatagramSocket socket = await _server.NetPoll.BindDatagramsAsync("echo", new IPEndPoint(IPAddress.Loopback, 0), static _ => new PeerEcho()).Soon();
        peer.Connect(socket.LocalEndPoint);

        await EchoAsync(peer, WarmUp);
        long before = await AllocatedAsync();
        await EchoAsync(peer, Echoes);
        double allocated = (double)(await AllocatedAsync() - before) / Echoes;

        TestContext.Current.TestOutputHelper?.WriteLine($"{allocated} bytes for each echo.");
        Assert.InRange(allocated, Size, MostPerEcho);
    }

    // On a thread of its own, so that the pool stays out of it.
    private static Task EchoAsync(Socket socket, int count) => Task.Factory.StartNew(
        () =>
        {
            byte[] sent = new byte[Size];
            byte[] received = new byte[Size];
            for (int number = 0; number < count; number += InFlight)
            {
                for (int message = 0; message < InFlight; message++)
                {
                    BitConverter.TryWriteBytes(sent, number + message);
                    socket.Send(sent);
                }

                for (int message = 0; message < InFlight; message++)
                {
                    Assert.Equal(Size, socket.Receive(received));
                    Assert.Equal(number + message, BitConverter.ToInt32(received));
                }
            }
        },
        TestContext.Current.CancellationToken,
        TaskCreationOptions.LongRunning,
        TaskScheduler.Default);

    private async Task<long> AllocatedAsync()
    {
        Volatile.Write(ref _allocated, -1);
        _server.Homes[0].Poller.Post(() => Volatile.Write(ref _allocated, GC.GetAllocatedBytesForCurrentThread()));
        await Eventually.True("the poller has looked", () => Volatile.Read(ref _allocated) >= 0);
        return _allocated;
    }

    private sealed class Echo : DatagramActor
    {
        protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes) => Send(bytes, datagram.From);
    }

    private sealed class PeerEcho : IActor
    {
        public Task ReceiveAsync(IContext context)
        {
            if (context.Message is Datagram datagram)
            {
                context.Send(datagram.Socket, new SendDatagram(datagram.Bytes, datagram.From));
            }

            return Task.CompletedTask;
        }
    }
}
