using System.Buffers;
using System.Text;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>How a list of buffers is consumed, and the vectored writes that do it.</summary>
public sealed class VectorCursorTests
{
    private const PollEventFlags Edge = PollEventFlags.Read | PollEventFlags.Write;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("foo|bar", 0, "foo|bar")]
    [InlineData("foo|bar", 2, "o|bar")]
    [InlineData("foo|bar", 3, "bar")]
    [InlineData("foo|bar", 4, "ar")]
    [InlineData("|||bar", 1, "ar")]
    [InlineData("|||foo", 0, "foo")]
    [InlineData("|||", 0, "")]
    [InlineData("foo||bar", 6, "")]
    public void NP086_What_was_written_is_consumed_and_empty_buffers_in_front_go_with_it(string buffers, long count, string left)
    {
        VectorCursor cursor = new(Parse(buffers));

        cursor.Gather(new ReadOnlyMemory<byte>[8]);
        cursor.Consume(count);

        Assert.Equal(count, cursor.Consumed);
        Assert.Equal(left.Length == 0, cursor.IsAtEnd);
        ReadOnlyMemory<byte>[] gathered = new ReadOnlyMemory<byte>[8];
        int gatheredCount = cursor.Gather(gathered);
        Assert.Equal(left, string.Join('|', gathered.Take(gatheredCount).Select(static buffer => Encoding.ASCII.GetString(buffer.Span))));
    }

    [Fact]
    public void No_more_is_gathered_than_the_system_takes_or_the_caller_has_room_for()
    {
        ReadOnlyMemory<byte>[] buffers = [.. Enumerable.Repeat<ReadOnlyMemory<byte>>(new byte[1], 3000)];
        VectorCursor cursor = new(buffers);

        Assert.Equal(VectorCursor.MaxVectors, cursor.Gather(new ReadOnlyMemory<byte>[3000]));
        Assert.Equal(5, cursor.Gather(new ReadOnlyMemory<byte>[5]));
        cursor.Consume(2999);
        Assert.Equal(1, cursor.Gather(new ReadOnlyMemory<byte>[5]));
        Assert.Equal((2999, 0), (cursor.Index, cursor.Offset));
    }

    [Fact]
    public void A_buffer_of_more_than_a_gibibyte_is_cut_and_ends_the_batch()
    {
        // The same array twice is never read: only lengths matter here.
        using HugeMemory huge = new((1 << 30) + 10);
        VectorCursor cursor = new(new ReadOnlyMemory<byte>[] { huge.Memory, new byte[1] });
        ReadOnlyMemory<byte>[] gathered = new ReadOnlyMemory<byte>[4];

        Assert.Equal(1, cursor.Gather(gathered));
        Assert.Equal(VectorCursor.MaxBytesPerVector, gathered[0].Length);
        cursor.Consume(gathered[0].Length);
        Assert.Equal(2, cursor.Gather(gathered));
        Assert.Equal(10, gathered[0].Length);
    }

    [Fact]
    public async Task NP087_Three_thousand_buffers_take_three_calls_and_arrive_in_order()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        ReadOnlyMemory<byte>[] buffers = [.. Enumerable.Range(0, 3000).Select(static index => (ReadOnlyMemory<byte>)new byte[] { (byte)index, (byte)(index >> 8) })];
        ReadOnlyMemory<byte>[] withEmpty = [default, .. buffers.SelectMany(static (buffer, index) => index % 7 == 0 ? new[] { buffer, default } : [buffer])];

        await fd.WriteAsync(withEmpty, CancellationToken.None);

        Assert.Equal(buffers.SelectMany(static buffer => buffer.ToArray()), socket.Written);
        Assert.Equal([1024, 1024, 952], socket.VectorCounts);
    }

    [Fact]
    public async Task NP087_Three_thousand_buffers_arrive_in_order_at_a_peer_that_is_slow()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Random random = new(Seed.Next());
        ReadOnlyMemory<byte>[] buffers = [.. Enumerable.Range(0, 3000).Select(_ =>
        {
            byte[] bytes = new byte[random.Next(4) == 0 ? 0 : random.Next(12_000)];
            random.NextBytes(bytes);
            return (ReadOnlyMemory<byte>)bytes;
        })];

        Task write = pair.Connection.WriteVectoredAsync(buffers).AsTask();
        await pair.WriterParked();
        Task<byte[]> received = pair.ReceiveAllAsync();
        await write.WaitAsync(Limit, Cancellation);
        pair.Connection.CloseWrite();

        Assert.Equal(buffers.SelectMany(static buffer => buffer.ToArray()), await received.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task NP088_A_vectored_stream_of_single_bytes_and_refusals_comes_through_intact()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        Random random = new(Seed.Next());
        byte[] bytes = new byte[500];
        random.NextBytes(bytes);
        for (int step = 0; step < 2000; step++)
        {
            if (random.Next(3) == 0)
            {
                socket.ThenWriteFails(ScriptedSocket.WouldBlock);
            }
            else
            {
                socket.ThenTakes(1);
            }
        }

        List<ReadOnlyMemory<byte>> buffers = [];
        for (int start = 0; start < bytes.Length;)
        {
            int length = Math.Min(random.Next(4), bytes.Length - start);
            buffers.Add(bytes.AsMemory(start, length));
            start += length;
        }

        Task write = fd.WriteAsync(buffers.ToArray(), CancellationToken.None).AsTask();
        await Eventually.True("everything is written", () =>
        {
            world.Backend.Inject(socket, Edge);
            return write.IsCompleted;
        });

        await write;
        Assert.Equal(bytes, socket.Written);
    }

    [Fact]
    public async Task NP089_A_vectored_write_that_breaks_tells_how_much_it_wrote()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        socket.ThenTakes(4).ThenWriteFails(ScriptedSocket.WouldBlock).ThenTakes(1).ThenWriteFails(Errno.EPIPE);
        Task write = fd.WriteAsync(Parse("foo|bar|baz"), CancellationToken.None).AsTask();
        await world.Asleep();
        world.Backend.Inject(socket, Edge);

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(() => write.WaitAsync(Limit, Cancellation));
        Assert.Equal(5, failure.BytesTransferred);

        socket.ThenTakes(3).ThenWriteFails(Errno.ECONNRESET);
        failure = await Assert.ThrowsAsync<WriteFailedException>(
            async () => await fd.WriteAsync(Parse("foo|bar"), CancellationToken.None));
        Assert.Equal(3, failure.BytesTransferred);
        Assert.Contains("errno 104", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NP089_A_vectored_write_that_times_out_tells_how_much_it_wrote()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new() { DefaultWrite = static _ => IoResult.Failure(ScriptedSocket.WouldBlock) };
        NetFd fd = world.Open(socket);
        socket.ThenTakes(4);
        Task write = fd.WriteAsync(Parse("foo|bar"), CancellationToken.None).AsTask();
        await world.Asleep();

        fd.SetDeadline(PollMode.Write, Deadline.Past);

        DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(() => write.WaitAsync(Limit, Cancellation));
        Assert.Equal(4, failure.BytesTransferred);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NP090_A_system_that_contradicts_itself_ends_a_vectored_write_with_a_clear_error(bool whileItWaits)
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        foreach (IoResult lie in new[] { IoResult.Bytes(7), IoResult.Bytes(0) })
        {
            if (whileItWaits)
            {
                socket.ThenWriteFails(ScriptedSocket.WouldBlock);
            }

            socket.ThenWrites(_ => lie);
            Task write = fd.WriteAsync(Parse("foo|bar"), CancellationToken.None).AsTask();
            await world.Asleep();
            world.Backend.Inject(socket, Edge);

            await Assert.ThrowsAsync<WriteFailedException>(() => write.WaitAsync(Limit, Cancellation));
            Assert.Equal(0, fd.OperationsInProgress);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_vectored_write_that_throws_leaves_its_lock(bool whileItWaits)
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        if (whileItWaits)
        {
            socket.ThenWriteFails(ScriptedSocket.WouldBlock);
        }

        socket.ThenWrites(static _ => throw new InvalidOperationException("the memory is gone"));
        Task write = fd.WriteAsync(Parse("foo|bar"), CancellationToken.None).AsTask();
        await world.Asleep();
        world.Backend.Inject(socket, Edge);

        await Assert.ThrowsAsync<InvalidOperationException>(() => write.WaitAsync(Limit, Cancellation));
        await fd.WriteAsync(new byte[] { 1 }).AsTask().WaitAsync(Limit, Cancellation);
        Assert.Equal(0, fd.OperationsInProgress);
    }

    [Fact]
    public async Task Nothing_to_send_is_a_success_that_still_looks_at_the_deadline()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);

        await fd.WriteAsync(Parse("||"), CancellationToken.None);
        await fd.WriteAsync(default(ReadOnlyMemory<ReadOnlyMemory<byte>>), CancellationToken.None);
        Assert.Equal(0, socket.WriteCalls);

        fd.SetDeadline(PollMode.Write, Deadline.Past);
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await fd.WriteAsync(Parse("||"), CancellationToken.None));
        await fd.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await fd.WriteAsync(Parse("||"), CancellationToken.None));
    }

    private static ReadOnlyMemory<byte>[] Parse(string buffers) =>
        [.. buffers.Split('|').Select(static text => (ReadOnlyMemory<byte>)Encoding.ASCII.GetBytes(text))];

    // Memory that only has a length.
    private sealed class HugeMemory(int length) : MemoryManager<byte>
    {
        public override Memory<byte> Memory => CreateMemory(length);

        public override Span<byte> GetSpan() => throw new NotSupportedException();

        public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin() => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            // Nothing is held.
        }
    }
}
