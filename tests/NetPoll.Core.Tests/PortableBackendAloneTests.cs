using System.Net.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>The portable backend where the whole process is looked at: what all its threads allocate, and what a pool without threads does.</summary>
[Collection(Alone.Name)]
public sealed class PortableBackendAloneTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task An_echo_allocates_nothing_on_any_thread_once_it_is_warm()
    {
        await using NetListenerFixture fixture = new(configure: static options => options.Backend = PollBackend.Portable);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        peer.Connect(fixture.Listener.LocalEndPoint);
        await using NetConnection connection = await fixture.Listener.AcceptAsync();
        Task echo = connection.Poller.RunAsync(() => EchoAsync(connection));

        int rounds = StressScale.Rounds(20_000);
        long allocated = long.MaxValue;

        // What the runtime does for itself meanwhile is not there every time; what a message costs is.
        for (int attempt = 0; attempt < 5 && allocated >= rounds; attempt++)
        {
            allocated = Math.Min(allocated, await Task.Factory.StartNew(
                () => BytesOf(peer, rounds), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        }

        Assert.True(allocated < rounds, $"{allocated} bytes were allocated by {rounds} echoes.");
        peer.Dispose();
        await echo.WaitAsync(Limit);
    }

    [Fact]
    public async Task A_thread_pool_without_a_free_thread_delays_what_comes_and_loses_none_of_it()
    {
        await using NetListenerFixture fixture = new(configure: static options => options.Backend = PollBackend.Portable);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 300 };
        peer.Connect(fixture.Listener.LocalEndPoint);
        await using NetConnection connection = await fixture.Listener.AcceptAsync();
        Task echo = connection.Poller.RunAsync(() => EchoAsync(connection));
        await Eventually.True("the server waits", () => connection.Fd.Descriptor.HasReader);

        await Task.Factory.StartNew(() => Starve(peer, connection), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        peer.Dispose();
        await echo.WaitAsync(Limit);
    }

    // On a thread of its own, which the pool cannot hold up.
    private static void Starve(Socket peer, NetConnection connection)
    {
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
            peer.Send("abc"u8);
            SocketException thrown = Assert.Throws<SocketException>(() => peer.Receive(answer));
            Assert.Equal(SocketError.TimedOut, thrown.SocketErrorCode);
            Assert.True(connection.Fd.Descriptor.HasReader, "The server was told though no thread could tell it.");

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
}
