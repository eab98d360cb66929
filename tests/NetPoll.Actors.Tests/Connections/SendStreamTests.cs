using System.IO.Pipelines;
using System.Security.Cryptography;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Streams and files among the output: in order, in bounded memory, and to the last byte or with an error.</summary>
public sealed class SendStreamTests : IAsyncDisposable
{
    private readonly TestServer _server = new();

    [Fact]
    public async Task A_large_stream_reaches_a_slow_peer_whole_and_little_of_it_is_in_memory()
    {
        int size = StressScale.Rounds(32) * 1024 * 1024;
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        using PatternStream stream = new(size);
        Task sending = Task.CompletedTask;
        await connection.Do(self =>
        {
            sending = self.SendStreamAsync(stream);
        });

        // The peer takes nothing: neither does anybody read the stream.
        await Eventually.True("output waits", () => connection.OutputBytes > 0);
        long read = 0;
        await Eventually.True("reading stands still", () => read == (read = stream.Given) && read > 0);
        Assert.InRange(stream.Given, 1, size / 2);

        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[100_000];
        int received = 0;
        long most = 0;
        peer.Widen();
        while (received < size)
        {
            int count = await peer.Socket.ReceiveAsync(buffer.AsMemory(), TestContext.Current.CancellationToken).Soon();
            Assert.NotEqual(0, count);
            hash.AppendData(buffer, 0, count);
            received += count;
            most = Math.Max(most, connection.OutputBytes);
        }

        await sending.Soon();
        Assert.Equal(stream.Hash(), hash.GetHashAndReset());
        Assert.InRange(most, 0, 64 * 1024);
        Assert.False(stream.WasReadOnPoller);
        await Eventually.Equal("bytes that are counted as waiting", 0L, () => _server.NetPoll.OutputBudget.Taken);
    }

    [Fact]
    public async Task What_is_sent_before_comes_before_and_what_is_sent_meanwhile_comes_after_in_order()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        using MemoryStream one = new(ConnectionReadingTests.Pattern(1_000_000, 1));
        using MemoryStream two = new(ConnectionReadingTests.Pattern(500_000, 2));
        ConnectionGroup group = new(_server.System, "g");
        group.Join(connection.Pid);
        List<string> order = [];
        await connection.Do(self =>
        {
            self.Send("before"u8);
            Note("one", self.SendStreamAsync(one));
            self.Send("between"u8);
            Note("flushed between", self.FlushAsync().AsTask());
            Note("two", self.SendStreamAsync(two, 400_000));
            Note("flushed two", self.FlushAsync().AsTask());
        });
        using (SharedPayload payload = SharedPayload.Copy(new byte[5000]))
        {
            group.Publish(payload);
        }

        await _server.OnPoller(static () => true);
        await connection.Do(static self => self.Close());

        peer.Widen();
        byte[] received = await peer.ReceiveToEndAsync();

        byte[] expected = [.. "before"u8, .. one.ToArray(), .. "between"u8, .. two.ToArray().AsSpan(0, 400_000), .. new byte[5000]];
        Assert.True(expected.AsSpan().SequenceEqual(received), $"{received.Length} bytes of {expected.Length} came.");
        await Eventually.Equal("ends that were told", 4, () => { lock (order) { return order.Count; } });

        void Note(string what, Task task) => task.ContinueWith(
            ended =>
            {
                Assert.True(ended.IsCompletedSuccessfully);
                lock (order)
                {
                    order.Add(what);
                }
            },
            TestContext.Current.CancellationToken,
            TaskContinuationOptions.None,
            TaskScheduler.Default);
    }

    [Fact]
    public async Task A_flush_waits_for_the_streams_before_it_and_for_none_behind_it()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        Pipe first = new();
        Pipe second = new();
        Task flush = Task.CompletedTask;
        Task sent = Task.CompletedTask;
        await connection.Do(self =>
        {
            Ignore(self.SendStreamAsync(first.Reader.AsStream()));
            self.Send("x"u8);
            flush = self.FlushAsync().AsTask();
            sent = self.SendStreamAsync(second.Reader.AsStream());
        });
        await first.Writer.WriteAsync("abc"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("abc", await peer.ReceiveTextAsync(3));
        await _server.OnPoller(static () => true);
        Assert.False(flush.IsCompleted);

        await first.Writer.CompleteAsync();
        Assert.Equal("x", await peer.ReceiveTextAsync(1));
        await flush.Soon();
        Assert.False(sent.IsCompleted);
        await second.Writer.CompleteAsync();

        await sent.Soon();
    }

    [Fact]
    public async Task A_stream_that_fails_tells_it_and_what_is_behind_it_goes_on()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        Pipe pipe = new();
        Task sending = Task.CompletedTask;
        await connection.Do(self =>
        {
            sending = self.SendStreamAsync(pipe.Reader.AsStream());
            self.Send("after"u8);
        });
        await pipe.Writer.WriteAsync("part"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("part", await peer.ReceiveTextAsync(4));

        await pipe.Writer.CompleteAsync(new InvalidDataException("on purpose"));

        Assert.Equal("on purpose", (await Assert.ThrowsAsync<InvalidDataException>(() => sending.Soon())).Message);
        Assert.Equal("after", await peer.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task A_stream_that_is_shorter_than_its_length_is_an_error()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        using MemoryStream stream = new(new byte[10]);
        Task sending = Task.CompletedTask;
        await connection.Do(self => { sending = self.SendStreamAsync(stream, 12); });

        EndOfStreamException exception = await Assert.ThrowsAsync<EndOfStreamException>(() => sending.Soon());

        Assert.Contains("2 bytes before", exception.Message, StringComparison.Ordinal);
        await peer.ReceiveAsync(10);
    }

    [Fact]
    public async Task A_stream_may_be_given_up_while_it_waits_for_the_peer_or_for_its_source()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        using CancellationTokenSource cancel = new();
        Pipe silent = new();
        using PatternStream endless = new(long.MaxValue);
        Task one = Task.CompletedTask;
        Task two = Task.CompletedTask;
        await connection.Do(self =>
        {
            one = self.SendStreamAsync(endless, cancellation: cancel.Token);
            two = self.SendStreamAsync(silent.Reader.AsStream(), cancellation: cancel.Token);
            self.Send("the end"u8);
            self.Close();
        });
        await Eventually.True("output waits", () => connection.OutputBytes > 0);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one.Soon());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => two.Soon());
        peer.Widen();
        byte[] received = await peer.ReceiveToEndAsync();
        Assert.Equal("the end"u8, received.AsSpan(received.Length - 7));
    }

    [Theory]
    [InlineData("reset")]
    [InlineData("abort")]
    [InlineData("stop")]
    public async Task The_end_of_the_connection_ends_it(string how)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        using PatternStream endless = new(long.MaxValue);
        Task handler = connection.Do(self => self.SendStreamAsync(endless));
        await Eventually.True("output waits", () => connection.OutputBytes > 0);

        switch (how)
        {
            case "reset":
                peer.Reset();
                break;
            case "abort":
                await _server.OnPoller(() =>
                {
                    connection.Abort();
                    return true;
                });
                break;
            default:
                _server.System.Root.Stop(connection.Pid);
                break;
        }

        IOException lost = await Assert.ThrowsAnyAsync<IOException>(() => handler);
        Assert.Contains("ended before everything was sent", lost.Message, StringComparison.Ordinal);
        ConnectionClosed closed = await connection.WhenClosed;
        Assert.NotEqual(CloseReason.Error, closed.Reason);
        await Assert.ThrowsAnyAsync<IOException>(() => _server.OnPoller(() => connection.SendStreamAsync(endless)).Unwrap().Soon());
        await Eventually.Equal("bytes that are counted as waiting", 0L, () => _server.NetPoll.OutputBudget.Taken);
        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task A_file_is_sent_whole_or_in_part_and_one_that_is_not_there_is_told()
    {
        string path = Path.GetTempFileName();
        try
        {
            byte[] bytes = ConnectionReadingTests.Pattern(300_000);
            await File.WriteAllBytesAsync(path, bytes, TestContext.Current.CancellationToken);
            (Peer peer, ScriptedConnection connection) = await OpenAsync();
            using Peer _ = peer;

            await connection.Do(async self =>
            {
                Task all = self.SendFileAsync(path);
                Task part = self.SendFileAsync(path, offset: 100_000, length: 50);
                Task none = self.SendFileAsync(path, length: 0);
                await Assert.ThrowsAsync<FileNotFoundException>(() => self.SendFileAsync(path + ".not"));
                await Task.WhenAll(all, part, none);
            });

            byte[] received = await peer.ReceiveAsync(300_050);
            Assert.True(received.AsSpan(0, 300_000).SequenceEqual(bytes));
            Assert.True(received.AsSpan(300_000).SequenceEqual(bytes.AsSpan(100_000, 50)));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task At_a_limited_rate_a_stream_keeps_to_it()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(static self =>
        {
            self.RateLimits = new RateLimits { Outbound = new RateLimit { BytesPerSecond = 400_000, BytesBurst = 100_000, MessagesPerSecond = 1000 } };
            self.Send(new byte[1000]);
            Ignore(self.SendStreamAsync(new MemoryStream(new byte[250_000])));
            self.Send(new byte[1000]);
        });
        long start = TimeProvider.System.GetTimestamp();

        await peer.ReceiveAsync(252_000);

        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromSeconds(0.3), "It was faster than its limit.");
    }

    [Fact]
    public async Task A_plain_actor_sends_streams_and_files_by_message_and_is_answered()
    {
        RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync("plain", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID connection = (await handler.Next<Connected>()).Connection;
        PatternStream stream = new(200_000);

        _server.System.Root.Send(connection, new SendStream(stream, Token: "stream"));
        _server.System.Root.Send(connection, new Write("after"u8.ToArray()));
        _server.System.Root.Send(connection, new SendFile("/does/not/exist", Token: "file"));

        byte[] received = await peer.ReceiveAsync(200_005);
        Assert.Equal(stream.Hash(), SHA256.HashData(received.AsSpan(0, 200_000)));
        Assert.Equal("after"u8, received.AsSpan(200_000));
        WriteAcknowledged[] answers = [await handler.Next<WriteAcknowledged>(), await handler.Next<WriteAcknowledged>()];
        Assert.Equal([("file", false), ("stream", true)], answers.Select(static answer => ((string)answer.Token!, answer.Succeeded)).Order());
        Assert.True(stream.IsDisposed);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(int receiveBuffer = 0)
    {
        ConnectionScript script = new();
        return await TestServer.OpenAsync(await _server.ListenAsync(script), script, receiveBuffer);
    }

    // Who awaits it is of no interest to the test.
    private static void Ignore(Task task) => task.ContinueWith(static ended => ended.Exception, TaskScheduler.Default);

    /// <summary>Bytes that follow from their place; blocks as a file may.</summary>
    private sealed class PatternStream(long length) : Stream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private long _given;

        public long Given => Volatile.Read(ref _given);

        public bool WasReadOnPoller { get; private set; }

        public bool IsDisposed { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get => _given; set => throw new NotSupportedException(); }

        public byte[] Hash() => _hash.GetCurrentHash();

        public override int Read(byte[] buffer, int offset, int count)
        {
            WasReadOnPoller |= Core.Poller.Current is not null;
            int given = (int)Math.Min(count, length - _given);
            for (int index = 0; index < given; index++)
            {
                buffer[offset + index] = (byte)((_given + index) * 31 >> 3);
            }

            _hash.AppendData(buffer, offset, given);
            Volatile.Write(ref _given, _given + given);
            return given;
        }

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            IsDisposed = true;
            base.Dispose(disposing);
        }
    }
}
