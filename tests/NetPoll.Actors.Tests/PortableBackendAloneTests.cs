using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests;

/// <summary>What an echo through an actor costs on the portable backend, whose completions come on the pool's threads: so all threads are looked at.</summary>
[Collection(Alone.Name)]
public sealed class PortableBackendAloneTests : IAsyncDisposable
{
    private const int Size = 64;

    private readonly TestServer _server = new(options: new PollerOptions { Backend = PollBackend.Portable });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task An_echo_through_an_actor_allocates_nothing_on_any_thread_once_it_is_warm()
    {
        Listener listener = await _server.ListenAsync(static () => new Echo());
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        // Not asynchronously: .NET makes an object for each receive that waits on a socket that was ever used so.
        await RunAloneAsync(() => peer.Connect(listener.EndPoint));

        await ExpectNothingAllocatedAsync(peer);
    }

    [Fact]
    public async Task An_echo_of_datagrams_through_an_actor_allocates_nothing_on_any_thread_once_it_is_warm()
    {
        DatagramSocket socket = await _server.NetPoll.BindDatagramsAsync("echo", new IPEndPoint(IPAddress.Loopback, 0), static () => new DatagramEcho()).Soon();
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 30_000 };
        await RunAloneAsync(() => peer.Connect(socket.LocalEndPoint));

        await ExpectNothingAllocatedAsync(peer);
    }

    private static async Task ExpectNothingAllocatedAsync(Socket peer)
    {
        int rounds = StressScale.Rounds(20_000);
        long allocated = long.MaxValue;

        // What the runtime does for itself meanwhile is not there every time; what a message costs is.
        for (int attempt = 0; attempt < 5 && allocated >= rounds; attempt++)
        {
            await RunAloneAsync(() => allocated = Math.Min(allocated, BytesOf(peer, rounds)));
            TestContext.Current.TestOutputHelper?.WriteLine($"{allocated} bytes");
        }

        Assert.True(allocated < rounds, $"{allocated} bytes were allocated by {rounds} echoes.");
    }

    // On a thread of its own, so that the pool stays out of it.
    private static Task RunAloneAsync(Action action) =>
        Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static long BytesOf(Socket peer, int rounds)
    {
        byte[] message = new byte[Size];
        Echo(5_000);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        Echo(rounds);
        return GC.GetTotalAllocatedBytes(precise: true) - before;

        void Echo(int times)
        {
            for (int round = 0; round < times; round++)
            {
                peer.Send(message, SocketFlags.None);
                for (int count = 0; count < Size;)
                {
                    int received = peer.Receive(message, count, Size - count, SocketFlags.None);
                    Assert.True(received > 0, "The server has closed.");
                    count += received;
                }
            }
        }
    }

    private sealed class Echo : ConnectionActor
    {
        protected override int OnReceived(ReadOnlySpan<byte> bytes)
        {
            Send(bytes);
            return bytes.Length;
        }
    }

    private sealed class DatagramEcho : DatagramActor
    {
        protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes) => Send(bytes, datagram.From);
    }
}
