using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>The portable backend where the whole process is looked at: what all its threads allocate, and what a pool without threads does.</summary>
[Collection(Alone.Name)]
public sealed class PortableBackendAloneTests
{
    [Fact]
    public async Task An_echo_of_datagrams_allocates_nothing_on_any_thread_once_it_is_warm()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Backend = PollBackend.Portable });
        await using NetDatagramSocket server = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Loopback, 0), group);
        using Socket peer = Connected(server);
        Task echo = server.Poller.RunAsync(() => EchoAsync(server));

        await ExpectNothingAllocatedAsync(peer);

        await server.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => echo.WaitAsync(Limit));
    }

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task An_echo_allocates_nothing_on_any_thread_once_it_is_warm()
    {
        await using NetListenerFixture fixture = new(configure: static options => options.Backend = PollBackend.Portable);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        peer.Connect(fixture.Listener.LocalEndPoint);
        await using NetConnection connection = await fixture.Listener.AcceptAsync();
        Task echo = connection.Poller.RunAsync(() => EchoAsync(connection));

        await ExpectNothingAllocatedAsync(peer);

        peer.Dispose();
        await echo.WaitAsync(Limit);
    }

    [Fact]
    public async Task A_thread_pool_without_a_free_thread_delays_what_comes_and_loses_none_of_it()
    {
        await using NetListenerFixture fixture = new(configure: static options => options.Backend = PollBackend.Portable);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        peer.Connect(fixture.Listener.LocalEndPoint);
        await using NetConnection connection = await fixture.Listener.AcceptAsync();
        Task echo = connection.Poller.RunAsync(() => EchoAsync(connection));
        await Eventually.True("the server waits", () => connection.Fd.Descriptor.HasReader);

        await StarveAsync(peer, connection.Fd.Descriptor, static peer => peer.Send("abc"u8));

        peer.Dispose();
        await echo.WaitAsync(Limit);
    }

    [Fact]
    public async Task A_thread_pool_without_a_free_thread_delays_a_connection_and_loses_none()
    {
        await using NetListenerFixture fixture = new(configure: static options => options.Backend = PollBackend.Portable);
        EndPoint server = fixture.Listener.LocalEndPoint;
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Task greeting = fixture.Group.Pollers[0].RunAsync(async () =>
        {
            await using NetConnection connection = await fixture.Listener.AcceptAsync();
            await connection.WriteAsync("abc"u8.ToArray());
        });
        await Eventually.True("the listener waits", () => fixture.Listener.Fd.Descriptor.HasReader);

        await StarveAsync(peer, fixture.Listener.Fd.Descriptor, peer => peer.Connect(server));

        await greeting.WaitAsync(Limit);
    }

    [Fact]
    public async Task A_thread_pool_without_a_free_thread_delays_a_datagram_and_loses_none()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Backend = PollBackend.Portable });
        await using NetDatagramSocket server = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Loopback, 0), group);
        using Socket peer = Connected(server);
        Task echo = server.Poller.RunAsync(() => EchoAsync(server));
        await Eventually.True("the server waits", () => server.Fd.Descriptor.HasReader);

        await StarveAsync(peer, server.Fd.Descriptor, static peer => peer.Send("abc"u8));

        await server.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => echo.WaitAsync(Limit));
    }

    private static Socket Connected(NetDatagramSocket server)
    {
        Socket peer = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = (int)Limit.TotalMilliseconds };
        peer.Connect(server.LocalEndPoint);
        return peer;
    }

    private static async Task ExpectNothingAllocatedAsync(Socket peer)
    {
        int rounds = StressScale.Rounds(20_000);
        long allocated = long.MaxValue;

        // What the runtime does for itself meanwhile is not there every time; what a message costs is.
        for (int attempt = 0; attempt < 5 && allocated >= rounds; attempt++)
        {
            allocated = Math.Min(allocated, await Task.Factory.StartNew(
                () => BytesOf(peer, rounds), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        }

        Assert.True(allocated < rounds, $"{allocated} bytes were allocated by {rounds} echoes.");
    }

    // On a thread of its own, which the pool cannot hold up.
    private static Task StarveAsync(Socket peer, PollDescriptor waiting, Action<Socket> ask) => Task.Factory.StartNew(
        () => Starve(peer, waiting, ask), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    // Asks for an answer of three bytes while the pool has no free thread.
    private static void Starve(Socket peer, PollDescriptor waiting, Action<Socket> ask)
    {
        peer.ReceiveTimeout = 300;
        ThreadPool.GetMaxThreads(out int workers, out int ports);
        ThreadPool.GetMinThreads(out int fewest, out int fewestPorts);
        using ManualResetEventSlim release = new();
        int held = 0;
        try
        {
            Assert.True(ThreadPool.SetMinThreads(1, fewestPorts) && ThreadPool.SetMaxThreads(Environment.ProcessorCount, ports));
            for (int item = 0; item < Environment.ProcessorCount * 4; item++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(
                    _ =>
                    {
                        Interlocked.Increment(ref held);
                        release.Wait(Limit);
                    },
                    null);
            }

            Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref held) >= Environment.ProcessorCount, Limit), "The pool still has free threads.");
            byte[] answer = new byte[3];
            ask(peer);
            SocketException thrown = Assert.Throws<SocketException>(() => peer.Receive(answer));
            Assert.Equal(SocketError.TimedOut, thrown.SocketErrorCode);
            Assert.True(waiting.HasReader, "The server was told though no thread could tell it.");

            release.Set();
            peer.ReceiveTimeout = (int)Limit.TotalMilliseconds;
            Receive(peer, answer);
            Assert.Equal("abc"u8.ToArray(), answer);
        }
        finally
        {
            release.Set();
            ThreadPool.SetMaxThreads(workers, ports);
            ThreadPool.SetMinThreads(fewest, fewestPorts);
        }
    }

    private static long BytesOf(Socket peer, int rounds)
    {
        byte[] message = new byte[64];
        for (int round = 0; round < 5_000; round++)
        {
            peer.Send(message, SocketFlags.None);
            Receive(peer, message);
        }

        long before = GC.GetTotalAllocatedBytes(precise: true);
        for (int round = 0; round < rounds; round++)
        {
            peer.Send(message, SocketFlags.None);
            Receive(peer, message);
        }

        return GC.GetTotalAllocatedBytes(precise: true) - before;
    }

    private static void Receive(Socket peer, byte[] buffer)
    {
        for (int count = 0; count < buffer.Length;)
        {
            int received = peer.Receive(buffer, count, buffer.Length - count, SocketFlags.None);
            Assert.True(received > 0, "The server has closed.");
            count += received;
        }
    }

    private static async Task EchoAsync(NetConnection connection)
    {
        byte[] buffer = new byte[256];
        int count;
        while ((count = await connection.ReadAsync(buffer)) > 0)
        {
            await connection.WriteAsync(buffer.AsMemory(0, count));
        }
    }

    private static async Task EchoAsync(NetDatagramSocket socket)
    {
        byte[] buffer = new byte[256];
        while (true)
        {
            ReceivedDatagram datagram = await socket.ReceiveAsync(buffer);
            await socket.SendAsync(buffer.AsMemory(0, datagram.Count), datagram.From);
        }
    }
}
