using System.Net.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Connections on real sockets: bytes, ends and closes.</summary>
public sealed class NetConnectionTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bytes_come_and_go()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] buffer = new byte[16];

        await pair.SendAsync("hello"u8.ToArray());
        int count = await pair.Connection.ReadAsync(buffer);
        await pair.Connection.WriteAsync(buffer.AsMemory(0, count));

        int received = await pair.Peer.ReceiveAsync(buffer, SocketFlags.None, Cancellation);
        Assert.Equal("hello"u8.ToArray(), buffer[..received]);
        Assert.Equal(pair.Peer.LocalEndPoint, pair.Connection.RemoteEndPoint);
        Assert.Equal(pair.Peer.RemoteEndPoint, pair.Connection.LocalEndPoint);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_megabyte_and_more_is_echoed_byte_for_byte(bool onPoller)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] sent = new byte[4 * 1024 * 1024];
        new Random(Seed.Next()).NextBytes(sent);
        Task echo = onPoller ? pair.Poller.RunAsync(Echo) : Echo();
        Task<byte[]> receive = pair.ReceiveAllAsync();

        await pair.SendAsync(sent);
        pair.Peer.Shutdown(SocketShutdown.Send);

        byte[] received = await receive.WaitAsync(Limit, Cancellation);
        await echo;
        Assert.True(sent.AsSpan().SequenceEqual(received), $"{received.Length} bytes came back, not the {sent.Length} that were sent.");

        async Task Echo()
        {
            byte[] buffer = new byte[50_000];
            int count;
            while ((count = await pair.Connection.ReadAsync(buffer)) > 0)
            {
                await pair.Connection.WriteAsync(buffer.AsMemory(0, count));
            }

            pair.Connection.CloseWrite();
        }
    }

    [Fact]
    public async Task Tries_never_wait()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] buffer = new byte[1024 * 1024];
        Assert.False(pair.Connection.TryRead(buffer, out int count));
        Assert.Equal(0, count);

        await pair.SendAsync(new byte[] { 1, 2, 3 });
        await Eventually.True("three bytes are there", () => pair.Connection.TryRead(buffer, out count));
        Assert.Equal(3, count);

        long written = 0;
        while (pair.Connection.TryWrite(buffer, out count))
        {
            Assert.InRange(count, 1, buffer.Length);
            written += count;
        }

        Task<byte[]> received = pair.ReceiveAllAsync();
        await pair.Connection.CloseAsync();
        Assert.Equal(written, (await received).Length);
        Assert.Throws<ObjectDisposedException>(() => pair.Connection.TryRead(buffer, out _));
        Assert.Throws<ObjectDisposedException>(() => pair.Connection.TryWrite(buffer, out _));
    }

    [Fact]
    public async Task NP083_The_end_of_the_stream_is_0_and_stays_0()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        await pair.SendAsync(new byte[] { 1 });
        pair.Peer.Shutdown(SocketShutdown.Send);
        byte[] buffer = new byte[8];

        Assert.Equal(1, await pair.Connection.ReadAsync(buffer));
        Assert.Equal(0, await pair.Connection.ReadAsync(buffer));
        Assert.Equal(0, await pair.Connection.ReadAsync(buffer));
        Assert.True(pair.Connection.TryRead(buffer, out int count));
        Assert.Equal(0, count);
    }

    [Fact]
    public async Task NP083_Bytes_and_the_end_that_come_together_are_both_read()
    {
        await using NetListenerFixture fixture = new();
        for (int round = 0; round < StressScale.Rounds(300); round++)
        {
            await using Loopback pair = await Loopback.ConnectAsync(fixture.Listener);
            Task<int> read = pair.Connection.ReadAsync(new byte[8]).AsTask();
            pair.Peer.Send("x"u8);
            pair.Peer.Dispose();

            Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
            Assert.Equal(0, await pair.Connection.ReadAsync(new byte[8]).AsTask().WaitAsync(Limit, Cancellation));
        }
    }

    [Fact]
    public async Task NP091_The_bytes_of_two_writers_never_mix()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[][] blocks = [new byte[8 * 1024 * 1024], new byte[8 * 1024 * 1024], new byte[8 * 1024 * 1024]];
        for (int index = 0; index < blocks.Length; index++)
        {
            blocks[index].AsSpan().Fill((byte)(index + 1));
        }

        Task[] writes = [.. blocks.Select(block => Task.Run(async () => await pair.Connection.WriteAsync(block), Cancellation))];
        await pair.WriterParked();
        Task<byte[]> receive = pair.ReceiveAllAsync();
        await Task.WhenAll(writes).WaitAsync(Limit, Cancellation);
        await pair.Connection.CloseAsync();
        byte[] received = await receive;

        Assert.Equal(blocks.Sum(static block => block.Length), received.Length);
        int changes = Enumerable.Range(1, received.Length - 1).Count(index => received[index] != received[index - 1]);
        Assert.Equal(blocks.Length - 1, changes);
    }

    [Fact]
    public async Task NP092_Each_byte_goes_to_one_of_two_readers()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] sent = new byte[20_000];
        new Random(Seed.Next()).NextBytes(sent);
        Task<List<byte>>[] readers = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(ReadAll, Cancellation))];

        await pair.SendAsync(sent);
        pair.Peer.Shutdown(SocketShutdown.Send);
        List<byte>[] received = await Task.WhenAll(readers).WaitAsync(Limit, Cancellation);

        Assert.Equal(sent.Order(), received.SelectMany(static bytes => bytes).Order());

        async Task<List<byte>> ReadAll()
        {
            List<byte> bytes = [];
            byte[] buffer = new byte[7];
            int count;
            while ((count = await pair.Connection.ReadAsync(buffer)) > 0)
            {
                bytes.AddRange(buffer.AsSpan(0, count));
            }

            return bytes;
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NP097_A_reset_is_an_error_and_not_the_end(bool whileWaiting)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task<int>? read = null;
        if (whileWaiting)
        {
            read = pair.Connection.ReadAsync(new byte[8]).AsTask();
            await pair.ReaderParked();
        }

        pair.Peer.LingerState = new LingerOption(enable: true, seconds: 0);
        pair.Peer.Dispose();
        read ??= ReadUntilReset();

        IOException failure = await Assert.ThrowsAsync<IOException>(() => read.WaitAsync(Limit, Cancellation));
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        Assert.Contains($"{pair.Connection.RemoteEndPoint}", failure.Message, StringComparison.Ordinal);

        async Task<int> ReadUntilReset() => await pair.Connection.ReadAsync(new byte[8]);
    }

    [Fact]
    public async Task A_write_to_a_peer_that_is_gone_breaks_without_a_signal()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Peer.LingerState = new LingerOption(enable: true, seconds: 0);
        pair.Peer.Dispose();

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(async () =>
        {
            while (true)
            {
                await pair.Connection.WriteAsync(new byte[100]);
            }
        });

        Assert.True(Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown);
    }

    [Fact]
    public async Task NP089_A_write_that_the_peer_breaks_off_tells_how_much_of_it_had_left()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[][] buffers = [new byte[16 * 1024 * 1024], new byte[16 * 1024 * 1024]];
        Task write = pair.Connection.WriteVectoredAsync(Array.ConvertAll(buffers, static buffer => (ReadOnlyMemory<byte>)buffer)).AsTask();
        await pair.WriterParked();
        int received = await pair.Peer.ReceiveAsync(new byte[1000], SocketFlags.None, Cancellation);

        pair.Peer.LingerState = new LingerOption(enable: true, seconds: 0);
        pair.Peer.Dispose();

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(() => write.WaitAsync(Limit, Cancellation));
        Assert.InRange(failure.BytesTransferred, received, (2 * buffers[0].Length) - 1);
        Assert.Contains($"{pair.Connection.RemoteEndPoint}", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_stands_behind_an_urgent_byte_is_read_without_another_edge(bool onPoller)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        for (byte round = 0; round < 3; round++)
        {
            await pair.SendAsync(new byte[] { 1, round });
            Assert.Equal(1, pair.Peer.Send(new byte[] { 2 }, SocketFlags.OutOfBand));
            await pair.SendAsync(new byte[] { 3, round });

            // All of it is there, and the poller has seen every edge that it made.
            await pair.Poller.RunAsync(static () => { });
            Task<byte[]> read = onPoller ? pair.Poller.RunAsync(Read) : Read();

            // The urgent byte itself is not part of the stream.
            Assert.Equal([1, round, 3, round], await read.WaitAsync(Limit, Cancellation));
        }

        async Task<byte[]> Read()
        {
            byte[] buffer = new byte[64];
            int count = 0;
            while (count < 4)
            {
                count += await pair.Connection.ReadAsync(buffer.AsMemory(count));
            }

            return buffer[..count];
        }
    }

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.Unix)]
    public async Task NP102_After_the_close_everything_is_refused_and_a_second_close_is_harmless(AddressFamily family)
    {
        await using Loopback pair = await Loopback.ConnectAsync(family);
        NetConnection connection = pair.Connection;
        await connection.CloseAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await connection.ReadAsync(new byte[1]));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await connection.ReadAsync(Memory<byte>.Empty));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await connection.WriteAsync(new byte[1]));
        Assert.Throws<ObjectDisposedException>(() => connection.SetDeadline(Deadline.None));
        Assert.Throws<ObjectDisposedException>(() => connection.SetReadDeadline(Deadline.Past));
        Assert.Throws<ObjectDisposedException>(() => connection.SetWriteDeadline(Deadline.Past));
        Assert.Throws<ObjectDisposedException>(connection.CloseWrite);
        Assert.Throws<ObjectDisposedException>(() => connection.SetNoDelay(true));
        Assert.Throws<ObjectDisposedException>(() => connection.SetLinger(TimeSpan.Zero));
        await connection.CloseAsync();
        connection.Dispose();
        await connection.DisposeAsync();
        Assert.NotNull(connection.RemoteEndPoint);
        Assert.NotNull(connection.LocalEndPoint);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NP103_A_close_ends_a_waiting_read_and_a_waiting_write(bool onPoller)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task read = Task.CompletedTask;
        Task write = Task.CompletedTask;
        await (onPoller ? pair.Poller.RunAsync(Begin) : Task.Run(Begin, Cancellation));
        await pair.ReaderParked();
        await pair.WriterParked();

        await pair.Connection.CloseAsync().WaitAsync(Limit, Cancellation);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(Limit, Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => write.WaitAsync(Limit, Cancellation));
        Assert.Equal(0, pair.Poller.ParkedCount);
        Assert.Equal(0, pair.Poller.Snapshot().Monitored);

        void Begin()
        {
            read = pair.Connection.ReadAsync(new byte[8]).AsTask();
            write = pair.Connection.WriteAsync(new byte[64 * 1024 * 1024]).AsTask();
        }
    }

    [Fact]
    public async Task NP104_The_peer_s_close_ends_a_waiting_read_with_0()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task<int> read = pair.Connection.ReadAsync(new byte[8]).AsTask();
        await pair.ReaderParked();

        pair.Peer.Dispose();

        Assert.Equal(0, await read.WaitAsync(Limit, Cancellation));
    }

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.Unix)]
    public async Task NP110_Closing_the_write_side_ends_the_peer_s_stream_and_leaves_ours(AddressFamily family)
    {
        await using Loopback pair = await Loopback.ConnectAsync(family);
        await pair.Connection.WriteAsync(new byte[] { 1, 2 });

        pair.Connection.CloseWrite();

        Assert.Equal([1, 2], await pair.ReceiveAllAsync());
        await Assert.ThrowsAsync<WriteFailedException>(async () => await pair.Connection.WriteAsync(new byte[1]));
        await pair.SendAsync(new byte[] { 3 });
        Assert.Equal(1, await pair.Connection.ReadAsync(new byte[8]));
    }

    [Fact]
    public async Task Closing_with_a_reset_throws_away_what_is_unsent()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetLinger(TimeSpan.Zero);

        await pair.Connection.CloseAsync();

        SocketException failure = await Assert.ThrowsAsync<SocketException>(
            async () => await pair.Peer.ReceiveAsync(new byte[1], SocketFlags.None, Cancellation));
        Assert.Equal(SocketError.ConnectionReset, failure.SocketErrorCode);
    }

    [Fact]
    public async Task NP121_Three_hundred_connections_are_served_round_after_round()
    {
        await using NetListenerFixture fixture = new();
        List<Loopback> pairs = [];
        try
        {
            for (int index = 0; index < 300; index++)
            {
                pairs.Add(await Loopback.ConnectAsync(fixture.Listener));
            }

            Task[] echoes = [.. pairs.Select(static pair => pair.Poller.RunAsync(() => Echo(pair.Connection)))];
            byte[] buffer = new byte[1];
            int rounds = StressScale.Rounds(20);
            for (int round = 0; round < rounds; round++)
            {
                foreach (Loopback pair in pairs)
                {
                    pair.Peer.Send(new byte[] { (byte)round });
                }

                foreach (Loopback pair in pairs)
                {
                    int count = await pair.Peer.ReceiveAsync(buffer, SocketFlags.None, Cancellation).AsTask().WaitAsync(Limit, Cancellation);
                    Assert.Equal(1, count);
                    Assert.Equal((byte)round, buffer[0]);
                }
            }

            foreach (Loopback pair in pairs)
            {
                pair.Peer.Dispose();
            }

            await Task.WhenAll(echoes).WaitAsync(Limit, Cancellation);
        }
        finally
        {
            foreach (Loopback pair in pairs)
            {
                await pair.DisposeAsync();
            }
        }
    }

    private static async Task Echo(NetConnection connection)
    {
        byte[] buffer = new byte[64];
        int count;
        while ((count = await connection.ReadAsync(buffer)) > 0)
        {
            await connection.WriteAsync(buffer.AsMemory(0, count));
        }
    }
}
