using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>A connection as a stream, and as a pair of pipes.</summary>
public sealed class NetConnectionStreamTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Lines_come_and_go_through_readers_and_writers()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        await using Stream stream = pair.Connection.AsStream();
        using StreamReader reader = new(stream, Encoding.UTF8);
        await using StreamWriter writer = new(stream, Encoding.UTF8) { AutoFlush = true };

        await pair.SendAsync("first\nsecond\n"u8.ToArray());
        Assert.Equal("first", await reader.ReadLineAsync(Cancellation).AsTask().WaitAsync(Limit, Cancellation));
        Assert.Equal("second", await reader.ReadLineAsync(Cancellation).AsTask().WaitAsync(Limit, Cancellation));
        pair.Peer.Shutdown(SocketShutdown.Send);
        Assert.Null(await reader.ReadLineAsync(Cancellation).AsTask().WaitAsync(Limit, Cancellation));
        await writer.WriteAsync("answer");
        await writer.DisposeAsync();

        Assert.EndsWith("answer", Encoding.UTF8.GetString(await pair.ReceiveAllAsync().WaitAsync(Limit, Cancellation)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_blocking_forms_work_and_are_refused_on_a_poller_s_thread()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();
        stream.Write("abc"u8);
        byte[] buffer = new byte[8];
        Assert.Equal(3, await pair.Peer.ReceiveAsync(buffer, SocketFlags.None, Cancellation));
        await pair.SendAsync(new byte[] { 7, 8 });
        Assert.Equal(2, stream.Read(buffer, 1, 4));
        Assert.Equal([7, 8], buffer[1..3]);

        await pair.Poller.RunAsync(() =>
        {
            Assert.Throws<InvalidOperationException>(() => stream.Read(new byte[1], 0, 1));
            Assert.Throws<InvalidOperationException>(() => stream.Write(new byte[1], 0, 1));
        });
    }

    [Fact]
    public async Task A_read_into_an_empty_buffer_waits_until_something_is_there()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();
        Task<int> read = stream.ReadAsync(Memory<byte>.Empty, Cancellation).AsTask();
        await pair.ReaderParked();
        Assert.False(read.IsCompleted);

        await pair.SendAsync(new byte[1]);

        Assert.Equal(0, await read.WaitAsync(Limit, Cancellation));
        Assert.Equal(1, await stream.ReadAsync(new byte[1], Cancellation));
    }

    [Fact]
    public async Task A_timeout_ends_each_read_in_its_time_and_not_before_and_leaves_none_behind()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();
        Assert.True(stream.CanTimeout);
        stream.ReadTimeout = 40;
        for (int time = 0; time < 2; time++)
        {
            long start = TimeProvider.System.GetTimestamp();
            await Assert.ThrowsAsync<DeadlineExceededException>(() => stream.ReadAsync(new byte[1], Cancellation).AsTask().WaitAsync(Limit, Cancellation));
            Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(40));
        }

        stream.ReadTimeout = Timeout.Infinite;
        Assert.Null(pair.Connection.TimeLeft(PollMode.Read));
        Task<int> read = stream.ReadAsync(new byte[1], Cancellation).AsTask();
        await pair.ReaderParked();
        await pair.SendAsync(new byte[1]);
        Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task A_timeout_ends_a_write_that_gets_nowhere_and_leaves_none_behind()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();
        stream.WriteTimeout = 40;
        await Assert.ThrowsAsync<DeadlineExceededException>(() => stream.WriteAsync(new byte[64 * 1024 * 1024], Cancellation).AsTask().WaitAsync(Limit, Cancellation));

        stream.WriteTimeout = Timeout.Infinite;
        Assert.Equal(Timeout.Infinite, stream.WriteTimeout);
        Assert.Null(pair.Connection.TimeLeft(PollMode.Write));
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.ReadTimeout = 0);
        Assert.Throws<ArgumentOutOfRangeException>(() => stream.WriteTimeout = -2);
    }

    [Fact]
    public async Task It_reads_and_writes_and_cannot_seek_and_closes_its_connection()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();

        Assert.Equal((true, true, false), (stream.CanRead, stream.CanWrite, stream.CanSeek));
        Assert.Throws<NotSupportedException>(() => stream.Length);
        Assert.Throws<NotSupportedException>(() => stream.Position);
        Assert.Throws<NotSupportedException>(() => stream.Seek(0, SeekOrigin.Begin));
        await stream.FlushAsync(Cancellation);
        await stream.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => Assert.Equal(1, await stream.ReadAsync(new byte[1], Cancellation)));
        Assert.Equal(0, await pair.Peer.ReceiveAsync(new byte[1], SocketFlags.None, Cancellation));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_disposed_stream_says_that_it_neither_reads_nor_writes(bool waits)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();

        if (waits)
        {
            await stream.DisposeAsync();
        }
        else
        {
            stream.Dispose();
        }

        Assert.Equal((false, false), (stream.CanRead, stream.CanWrite));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_pipe_echoes_what_comes_until_the_end(bool isOnPoller)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] sent = new byte[3_000_000];
        new Random(Seed.Next()).NextBytes(sent);

        async Task Echo()
        {
            IDuplexPipe pipe = pair.Connection.AsPipe();
            while (true)
            {
                ReadResult result = await pipe.Input.ReadAsync(Cancellation);
                foreach (ReadOnlyMemory<byte> segment in result.Buffer)
                {
                    await pipe.Output.WriteAsync(segment, Cancellation);
                }

                pipe.Input.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    break;
                }
            }

            await pipe.Output.CompleteAsync();
            await pipe.Input.CompleteAsync();
        }

        Task echo = isOnPoller ? pair.Poller.RunAsync(Echo) : Echo();
        Task<byte[]> received = pair.ReceiveAllAsync();
        await pair.SendAsync(sent);
        pair.Peer.Shutdown(SocketShutdown.Send);

        Assert.Equal(sent, await received.WaitAsync(Limit, Cancellation));
        await echo.WaitAsync(Limit, Cancellation);
        await Eventually.Equal("watched descriptors", 0, () => pair.Poller.Snapshot().Monitored);
    }

    [Fact]
    public async Task Completing_the_output_sends_the_end_and_leaves_the_input_open()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        IDuplexPipe pipe = pair.Connection.AsPipe();
        await pipe.Output.WriteAsync("abc"u8.ToArray(), Cancellation);

        await pipe.Output.CompleteAsync();

        Assert.Equal("abc"u8.ToArray(), await pair.ReceiveAllAsync().WaitAsync(Limit, Cancellation));
        await pair.SendAsync("def"u8.ToArray());
        ReadResult result = await pipe.Input.ReadAtLeastAsync(3, Cancellation).AsTask().WaitAsync(Limit, Cancellation);
        Assert.Equal("def"u8.ToArray(), result.Buffer.ToArray());
        pipe.Input.AdvanceTo(result.Buffer.End);
        await pipe.Input.CompleteAsync();
        Assert.Throws<ObjectDisposedException>(() => pair.Connection.SetDeadline(Deadline.None));
    }

    [Theory]
    [InlineData(3, true)]
    [InlineData(3, false)]
    [InlineData(32 * 1024 * 1024, true)]
    public async Task Completing_the_output_sends_what_was_not_flushed_before_the_end(int count, bool isOnPoller)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] sent = new byte[count];
        new Random(Seed.Next()).NextBytes(sent);
        IDuplexPipe pipe = pair.Connection.AsPipe();

        void Complete()
        {
            pipe.Output.Write(sent);
            pipe.Output.Complete();
        }

        if (isOnPoller)
        {
            // The peer takes nothing until the poller is free again.
            await pair.Poller.RunAsync(Complete).WaitAsync(Limit, Cancellation);
        }
        else
        {
            Complete();
        }

        Assert.Equal(sent, await pair.ReceiveAllAsync().WaitAsync(Limit, Cancellation));
        await pair.SendAsync("def"u8.ToArray());
        ReadResult result = await pipe.Input.ReadAtLeastAsync(3, Cancellation).AsTask().WaitAsync(Limit, Cancellation);
        pipe.Input.AdvanceTo(result.Buffer.End);
        await pipe.Input.CompleteAsync();
        await Eventually.Equal("watched descriptors", 0, () => pair.Poller.Snapshot().Monitored);
    }

    [Fact]
    public async Task An_output_that_cannot_send_what_was_not_flushed_ends_by_a_reset_and_not_by_an_end()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        IDuplexPipe pipe = pair.Connection.AsPipe();
        pair.Connection.SetWriteDeadline(Deadline.Past);

        await pair.Poller.RunAsync(() =>
        {
            pipe.Output.Write("abc"u8);
            pipe.Output.Complete();
        });

        SocketException failure = await Assert.ThrowsAsync<SocketException>(() => pair.ReceiveAllAsync().WaitAsync(Limit, Cancellation));
        Assert.Equal(SocketError.ConnectionReset, failure.SocketErrorCode);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => pipe.Input.ReadAsync(Cancellation).AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task A_pipe_s_read_is_cancelled_by_its_token_and_reads_on_later()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        IDuplexPipe pipe = pair.Connection.AsPipe();
        using CancellationTokenSource source = new();
        Task<ReadResult> read = pipe.Input.ReadAsync(source.Token).AsTask();
        await pair.ReaderParked();

        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read.WaitAsync(Limit, Cancellation));

        await pair.SendAsync(new byte[] { 9 });
        ReadResult result = await pipe.Input.ReadAsync(Cancellation).AsTask().WaitAsync(Limit, Cancellation);
        Assert.Equal([9], result.Buffer.ToArray());
        pipe.Input.AdvanceTo(result.Buffer.End);
    }
}
