using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Frames;

public sealed class FramedConnectionActorTests : IAsyncDisposable
{
    private readonly TestServer _server = new();

    // The one that came last.
    private volatile Framed? _connection;

    public static TheoryData<string> Names => [.. EveryFraming.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Random_frames_in_random_cuts_are_answered_in_order(string name)
    {
        Random random = new(Seed.Next());
        Framing framing = EveryFraming.Of(name, maxLength: 100_000);
        using Peer peer = await OpenAsync(framing, static (self, frame) => self.Answer(frame));
        byte[] bytes = [.. Enumerable.Range(0, 1_000)
            .Select(number => EveryFraming.Frame(name, random, Math.Min(framing.MaxLength, random.Next(number % 100 == 0 ? 100_000 : 200))))
            .SelectMany(frame => FramingTests.Encode(framing, frame))];
        Task<byte[]> answers = peer.ReceiveAsync(bytes.Length);

        for (int at = 0; at < bytes.Length;)
        {
            int count = Math.Min(random.Next(1, random.Next(5) == 0 ? 100_000 : 700), bytes.Length - at);
            await peer.SendAsync(bytes.AsMemory(at, count));
            at += count;
        }

        byte[] received = await answers;
        Assert.True(bytes.AsSpan().SequenceEqual(received));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_handshake_of_lines_ends_at_its_last_byte_wherever_the_bytes_are_cut(bool isAsync)
    {
        Framing binary = Framing.LengthPrefixed(LengthPrefix.BigEndian16);
        byte[] bytes = [.. "HELLO\r\n\n\nBINARY\r\n"u8, .. FramingTests.Encode(binary, "a\n"u8), .. FramingTests.Encode(binary, ""u8), .. FramingTests.Encode(binary, "bc"u8)];
        Listener listener = await ListenAsync(Framing.Lines(), (self, frame) =>
        {
            string text = Encoding.UTF8.GetString(frame);
            if (!isAsync)
            {
                Take(self, text);
                return Task.CompletedTask;
            }

            return Later();

            async Task Later()
            {
                await Task.Yield();
                Take(self, text);
            }
        });

        for (int cut = 0; cut <= bytes.Length; cut++)
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            await peer.SendAsync(bytes.AsMemory(0, cut));
            await _server.OnPoller(static () => true);
            await peer.SendAsync(bytes.AsMemory(cut));

            // The answer to the last frame.
            Assert.Equal("\0\u0002ok"u8.ToArray(), await peer.ReceiveAsync(4));
            Assert.Equal(["HELLO", "", "", "BINARY", "a\n", "", "bc"], _connection!.Frames);
        }

        void Take(Framed self, string text)
        {
            self.Frames.Enqueue(text);
            if (text == "BINARY")
            {
                self.Framing = binary;
            }
            else if (text == "bc")
            {
                self.Answer("ok"u8);
            }
        }
    }

    [Fact]
    public async Task Every_frame_may_name_the_framing_of_the_next_one()
    {
        Random random = new(Seed.Next());
        Framing[] framings = [.. EveryFraming.Names.Where(EveryFraming.HasAnyLength).Select(static name => EveryFraming.Of(name))];
        using Peer peer = await OpenAsync(framings[0], (self, frame) =>
        {
            // The answer has the old framing still.
            self.Answer(frame);
            self.Framing = framings[frame[0] - 'A'];
            return Task.CompletedTask;
        });
        List<byte> stream = [];
        Framing current = framings[0];
        for (int number = 0; number < 5_000; number++)
        {
            int next = random.Next(framings.Length);
            byte[] frame = Encoding.UTF8.GetBytes((char)('A' + next) + new string('x', random.Next(random.Next(20) == 0 ? 200 : 10)));
            stream.AddRange(FramingTests.Encode(current, frame));
            current = framings[next];
        }

        byte[] bytes = [.. stream];
        Task<byte[]> answers = peer.ReceiveAsync(bytes.Length);
        for (int at = 0; at < bytes.Length;)
        {
            int count = Math.Min(random.Next(1, random.Next(5) == 0 ? 10_000 : 50), bytes.Length - at);
            await peer.SendAsync(bytes.AsMemory(at, count));
            at += count;
        }

        byte[] received = await answers;
        Assert.True(bytes.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public async Task A_framing_that_is_changed_by_a_message_sees_what_has_come_already()
    {
        using Peer peer = await OpenAsync(Framing.Lines(), static (self, frame) =>
        {
            self.Frames.Enqueue(Encoding.UTF8.GetString(frame));
            return self.Answer(frame);
        });
        await peer.SendAsync("a\nno line");
        Assert.Equal("a\n", await peer.ReceiveTextAsync(2));

        _server.System.Root.Send(_connection!.Pid, Framing.FixedSize(7));

        Assert.Equal("no line", await peer.ReceiveTextAsync(7));
        Assert.Equal(["a", "no line"], _connection.Frames);
    }

    [Fact]
    public async Task A_framing_that_is_changed_while_a_frame_is_handled_holds_for_what_is_behind_it()
    {
        TaskCompletionSource gate = new();
        using Peer peer = await OpenAsync(Framing.Lines(), (self, frame) =>
        {
            string text = Encoding.UTF8.GetString(frame);
            return text == "switch" ? SwitchLater() : self.Answer(frame);

            async Task SwitchLater()
            {
                await gate.Task;
                self.Framing = Framing.LengthPrefixed(LengthPrefix.OneByte);
            }
        });
        await peer.SendAsync("switch\n\u0003abc");
        await _server.OnPoller(static () => true);
        gate.SetResult();

        Assert.Equal("\u0003abc", await peer.ReceiveTextAsync(4));
    }

    [Fact]
    public async Task A_frame_that_came_in_one_read_is_looked_at_where_it_was_received()
    {
        using Peer peer = await OpenAsync(Framing.LengthPrefixed(LengthPrefix.Varint), (self, frame) =>
        {
            self.Frames.Enqueue(frame.Overlaps(_server.Homes[0].ReadScratch) ? "in place" : "copied");
            return self.Answer(frame);
        });

        await peer.SendAsync("\u0003abc\u0002de");
        await peer.ReceiveAsync(7);
        await peer.SendAsync("\u0003f");
        await Eventually.Equal("bytes that were read", 9L, () => _server.Homes[0].Traffic.BytesReceived);
        await peer.SendAsync("gh\u0001i");
        await peer.ReceiveAsync(6);
        await peer.SendAsync("\u0001j");
        await peer.ReceiveAsync(2);

        // Behind the one that was cut, in the same read, its follower is where the read landed too: behind what was kept.
        Assert.Equal(["in place", "in place", "copied", "copied", "in place"], _connection!.Frames);
    }

    [Fact]
    public async Task Suspended_between_two_frames_the_rest_comes_after_the_resumption()
    {
        using Peer peer = await OpenAsync(Framing.Lines(), (self, frame) =>
        {
            self.Answer(frame);
            if (frame is [(byte)'s'])
            {
                self.SuspendReading();
                self.Framing = Framing.FixedSize(1);
            }

            return Task.CompletedTask;
        });
        await peer.SendAsync("a\ns\nb");
        Assert.Equal("a\ns\n", await peer.ReceiveTextAsync(4));

        _server.System.Root.Send(_connection!.Pid, "resume");

        Assert.Equal("b", await peer.ReceiveTextAsync(1));
    }

    [Theory]
    [InlineData(1, 10)]
    [InlineData(1, 70_000)]
    [InlineData(200_000, 3)]
    [InlineData(3, 40_000)]
    [InlineData(20, 10_000)]
    [InlineData(3, 1_000_000)]
    public async Task What_one_turn_sends_arrives_whole_and_in_order_however_much_it_is(int count, int length)
    {
        Framing framing = Framing.LengthPrefixed(LengthPrefix.LittleEndian32, maxLength: 1_000_000);
        using Peer peer = await OpenAsync(framing, (self, frame) =>
        {
            for (int number = 0; number < count; number++)
            {
                self.SendFrame(length, number, static (room, number) => room.Fill((byte)number));
            }

            return Task.CompletedTask;
        });

        await peer.SendAsync(FramingTests.Encode(framing, "go"u8));
        byte[] received = await peer.ReceiveAsync(count * (4 + length));

        FrameReader reader = new(framing);
        reader.Append(received);
        for (int number = 0; number < count; number++)
        {
            Assert.True(reader.TryRead(out ReadOnlyMemory<byte> frame));
            Assert.Equal(length, frame.Length);
            Assert.False(frame.Span.ContainsAnyExcept((byte)number));
        }
    }

    [Fact]
    public async Task Frames_that_are_sent_while_earlier_ones_wait_and_after_awaits_keep_their_order()
    {
        const int Count = 3_000;
        Random random = new(Seed.Next());
        int[] lengths = [.. Enumerable.Range(0, Count).Select(_ => random.Next(10) == 0 ? random.Next(100_000) : random.Next(700))];
        Framing framing = Framing.LengthPrefixed(LengthPrefix.Varint);
        Listener listener = await ListenAsync(
            framing,
            (self, _) => SendAll(self),
            new ConnectionOptions { MaxOutputBytes = 200_000_000 });
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint, receiveBuffer: 8 * 1024);
        await peer.SendAsync(FramingTests.Encode(framing, "go"u8));
        byte[] received = await peer.ReceiveAsync(lengths.Sum(framing.EncodedSize));

        FrameReader reader = new(framing);
        reader.Append(received);
        for (int number = 0; number < Count; number++)
        {
            Assert.True(reader.TryRead(out ReadOnlyMemory<byte> frame));
            Assert.Equal(lengths[number], frame.Length);
            Assert.False(frame.Span.ContainsAnyExcept((byte)number));
        }

        async Task SendAll(Framed self)
        {
            for (int number = 0; number < Count; number++)
            {
                if (number % 10 == 5)
                {
                    await Task.Yield();
                }

                self.SendFrame(lengths[number], number, static (room, number) => room.Fill((byte)number));
            }
        }
    }

    [Fact]
    public async Task Of_a_frame_that_cannot_be_sent_nothing_is_sent()
    {
        using Peer peer = await OpenAsync(Framing.Lines(), static (self, frame) =>
        {
            self.Answer("before"u8);
            Assert.IsType<ArgumentException>(Record.Exception(() => self.SendFrame(7, 0, static (room, _) => "not\none"u8.CopyTo(room))));
            Assert.IsType<NotSupportedException>(Record.Exception(() => self.SendFrame(5, 0, static (_, _) => throw new NotSupportedException())));
            self.Answer("behind"u8);
            return Task.CompletedTask;
        });

        await peer.SendAsync("go\n");

        Assert.Equal("before\nbehind\n", await peer.ReceiveTextAsync(14));
    }

    [Fact]
    public async Task A_length_that_is_too_large_closes_the_connection_and_says_so()
    {
        using Peer peer = await OpenAsync(Framing.LengthPrefixed(LengthPrefix.BigEndian32, maxLength: 1000), static (self, frame) => self.Answer(frame));

        await peer.SendAsync("\0\0\0\u0001aGET / HTTP/1.1\r\n\r\n");

        Assert.Equal("\0\0\0\u0001a"u8.ToArray(), await peer.ReceiveToEndAsync());
        FrameTooLargeException exception = Assert.IsType<FrameTooLargeException>(_connection!.Error);
        Assert.Equal(0x4745_5420, exception.Size);
        Assert.Equal(1000, exception.Limit);
    }

    [Fact]
    public async Task A_frame_longer_than_the_connection_keeps_is_named_by_the_option()
    {
        Listener listener = await ListenAsync(
            Framing.LengthPrefixed(LengthPrefix.BigEndian32, maxLength: 1_000_000),
            static (self, frame) => self.Answer(frame),
            new ConnectionOptions { MaxInputBytes = 100_000 });
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("\0\u0003\0\0"u8.ToArray());
        await peer.SendAsync(new byte[100_000]);

        await Eventually.True("it has closed", () => _connection?.Closed is not null);

        Assert.Equal(CloseReason.Error, _connection!.Closed!.Reason);
        Assert.Contains(nameof(ConnectionOptions.MaxInputBytes), _connection.Closed.Exception!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_framing_there_is_no_connection() =>
        Assert.Throws<ArgumentNullException>(() => new Framed(null!, static (_, _) => Task.CompletedTask));

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Task<Listener> ListenAsync(Framing framing, FrameHandler handler, ConnectionOptions? options = null) =>
        _server.ListenAsync(() => _connection = new Framed(framing, handler), options);

    private async Task<Peer> OpenAsync(Framing framing, FrameHandler handler) =>
        await Peer.ConnectAsync((await ListenAsync(framing, handler)).EndPoint);

    private delegate Task FrameHandler(Framed self, ReadOnlySpan<byte> frame);

    private sealed class Framed(Framing framing, FrameHandler handler) : FramedConnectionActor(framing)
    {
        public ConcurrentQueue<string> Frames { get; } = new();

        public PID Pid => Context.Self;

        public Exception? Error { get; private set; }

        public ConnectionClosed? Closed { get; private set; }

        public new Framing Framing
        {
            get => base.Framing;
            set => base.Framing = value;
        }

        public Task Answer(ReadOnlySpan<byte> frame)
        {
            SendFrame(frame);
            return Task.CompletedTask;
        }

        public new void SendFrame<TState>(int length, TState state, SpanAction<byte, TState> write) => base.SendFrame(length, state, write);

        public new void SuspendReading() => base.SuspendReading();

        protected override Task OnFrame(ReadOnlySpan<byte> frame) => handler(this, frame);

        protected override Task OnMessage(object message)
        {
            if (message is Framing other)
            {
                Framing = other;
            }
            else
            {
                ResumeReading();
            }

            return Task.CompletedTask;
        }

        protected override void OnFrameError(Exception exception)
        {
            Error = exception;
            base.OnFrameError(exception);
        }

        protected override void OnClosed(ConnectionClosed ended) => Closed = ended;
    }
}
