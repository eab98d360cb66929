using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

public sealed class ConnectionReadingTests : IAsyncDisposable
{
    private readonly TestServer _server = new();

    [Fact]
    public async Task A_handler_is_connected_before_it_receives()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Note(bytes.Length);
                return bytes.Length;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync(new byte[3]);

        ScriptedConnection connection = await script.ConnectionOf(peer);
        await Eventually.Equal("events", 2, () => connection.Events.Count);

        Assert.Equal(["connected", 3], connection.Events);
        Assert.Same(_server.Homes[0].Poller, connection.Poller);
        Assert.Equal(TestServer.IdOf(listener, 1), connection.Pid.Id);
    }

    [Fact]
    public async Task What_is_left_is_offered_again_in_one_span_with_what_comes_next()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Note(System.Text.Encoding.UTF8.GetString(bytes));
                return bytes.Length >= 5 ? 3 : 0;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        int expected = 1;
        foreach (string piece in new[] { "a", "b", "cd", "e", "f", "g" })
        {
            await peer.SendAsync(piece);
            await Eventually.Equal($"events after {piece}", ++expected, () => connection.Events.Count);
        }

        Assert.Equal(["connected", "a", "ab", "abcd", "abcde", "def", "defg"], connection.Events);
    }

    [Fact]
    public async Task A_frame_in_many_small_reads_arrives_whole()
    {
        const int Size = 10_000;
        ConnectionScript script = Frames(Size);
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        byte[] bytes = Pattern(Size * 2);

        for (int at = 0; at < bytes.Length; at += 97)
        {
            await peer.SendAsync(bytes.AsMemory(at, Math.Min(97, bytes.Length - at)));
        }

        await Eventually.Equal("bytes of whole frames", bytes.Length, () => connection.ReceivedBytes.Length);
        Assert.Equal(bytes, connection.ReceivedBytes);
    }

    [Theory]
    [InlineData(64 * 1024)]
    [InlineData((64 * 1024) + 1)]
    [InlineData(300_000)]
    [InlineData(3_000_000)]
    public async Task A_frame_of_the_size_of_the_scratch_or_more_arrives_whole(int size)
    {
        ConnectionScript script = Frames(size);
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        byte[] bytes = Pattern(size * 2);

        await peer.SendAsync(bytes);

        await Eventually.Equal("bytes of whole frames", bytes.Length, () => connection.ReceivedBytes.Length);
        Assert.True(bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(4)]
    [InlineData(int.MaxValue)]
    public async Task A_handler_that_consumes_what_it_was_not_given_ends_its_connection(int consumed)
    {
        ConnectionScript script = new() { Received = (_, _) => consumed };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        await peer.SendAsync("abc");
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.Contains($"consumed {consumed} bytes", closed.Exception!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Input_that_is_left_is_bounded()
    {
        ConnectionScript script = new() { Received = static (_, _) => 0 };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { MaxInputBytes = 1000 });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        await peer.SendAsync(new byte[1000]);
        await peer.SendAsync(new byte[1]);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.Contains("1001 bytes", closed.Exception!.Message, StringComparison.Ordinal);
        Assert.Contains("MaxInputBytes is 1000", closed.Exception!.Message, StringComparison.Ordinal);
        Assert.Equal(1, connection.Closings);
    }

    [Theory]
    [InlineData(false, 1, CloseReason.Local)]
    [InlineData(true, 1, CloseReason.Aborted)]
    [InlineData(false, 2, CloseReason.Local)]
    [InlineData(true, 2, CloseReason.Aborted)]
    public async Task What_a_handler_leaves_that_has_ended_its_connection_is_not_held_against_it(bool aborts, int offer, CloseReason reason)
    {
        int offers = 0;
        ConnectionScript script = new()
        {
            Received = (self, bytes) =>
            {
                self.Note(bytes.Length);
                if (++offers == offer)
                {
                    if (aborts)
                    {
                        self.Abort();
                    }
                    else
                    {
                        self.Close();
                    }
                }

                return 0;
            },
        };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { MaxInputBytes = 1000 });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        peer.CloseWriteWhenItEnds();
        for (int piece = 1; piece < offer; piece++)
        {
            await peer.SendAsync(new byte[10]);
            await Eventually.Equal("events", piece + 1, () => connection.Events.Count);
        }

        await peer.SendAsync(new byte[1001]);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(reason, closed.Reason);
        Assert.Null(closed.Exception);
    }

    [Fact]
    public async Task Suspended_in_a_callback_nothing_arrives_after_it_until_it_resumes()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Keep(bytes);
                connection.SuspendReading();
                return bytes.Length;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        await peer.SendAsync("a");
        await Eventually.Equal("bytes", 1, () => connection.ReceivedBytes.Length);

        await peer.SendAsync("bcd");
        await connection.Do(static _ => { });
        await connection.Do(static _ => { });
        Assert.Equal("a"u8, connection.ReceivedBytes);

        await connection.Do(static self => self.ResumeReading());
        await Eventually.Equal("bytes", 4, () => connection.ReceivedBytes.Length);

        Assert.Equal("abcd"u8, connection.ReceivedBytes);
    }

    [Fact]
    public async Task Suspended_by_a_message_nothing_arrives_after_it_is_done()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        using CancellationTokenSource stop = new();
        Task flood = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await peer.SendAsync(new byte[100]);
            }
        });

        for (int round = 0; round < 20; round++)
        {
            await connection.Do(static self => self.SuspendReading());
            int received = connection.ReceivedBytes.Length;
            for (int look = 0; look < 5; look++)
            {
                await connection.Do(static _ => { });
            }

            Assert.Equal(received, connection.ReceivedBytes.Length);
            await connection.Do(static self => self.ResumeReading());
            await Eventually.True("bytes come again", () => connection.ReceivedBytes.Length > received);
        }

        await stop.CancelAsync();
        await flood.Soon();
    }

    [Fact]
    public async Task What_was_left_by_a_handler_that_suspended_is_offered_when_it_resumes()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Keep(bytes[..1]);
                connection.SuspendReading();
                return 1;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        await peer.SendAsync("abc");

        for (int length = 1; length <= 3; length++)
        {
            int expected = length;
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
            await connection.Do(static self => self.ResumeReading());
        }

        Assert.Equal("abc"u8, connection.ReceivedBytes);
    }

    [Fact]
    public async Task A_reader_that_resumes_in_the_same_turn_misses_nothing()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Keep(bytes[..1]);
                connection.SuspendReading();
                connection.ResumeReading();
                return 1;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        await peer.SendAsync("abc");
        await Eventually.True("the first byte is taken", () => connection.ReceivedBytes.Length >= 1);
        await peer.SendAsync("d");

        // One byte a callback, and what is left waits for more: a handler that leaves whole frames without a reason.
        await Eventually.True("the next byte is taken", () => connection.ReceivedBytes.Length >= 2);
        Assert.Equal("ab"u8, connection.ReceivedBytes.AsSpan(0, 2));
    }

    [Fact]
    public async Task Above_the_high_watermark_nothing_is_read_until_half_of_it_is_sent()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { OutputHighWatermark = 64 * 1024, MaxOutputBytes = 64 * 1024 * 1024 });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script, receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        byte[] bytes = Pattern(16 * 1024 * 1024);

        // A peer that reads nothing gets stuck itself; the server keeps no more than the watermark and what it read in one turn.
        Task sending = peer.SendAsync(bytes);
        await Eventually.True("output waits", () => connection.OutputBytes > 64 * 1024);
        for (int look = 0; look < 50; look++)
        {
            await connection.Do(static self => Assert.InRange(self.OutputBytes, 0, (64 + 256 + 64) * 1024));
        }

        byte[] echoed = await peer.ReceiveAsync(bytes.Length);
        await sending;
        Assert.True(bytes.AsSpan().SequenceEqual(echoed));
    }

    [Fact]
    public async Task Nothing_of_the_pool_is_held_by_a_connection_that_has_taken_what_came()
    {
        ConnectionScript script = Frames(1000);
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        using PoolLog pool = await _server.OnPoller(static () => new PoolLog());

        // One that comes whole, one in two pieces, and one of which a part comes with the one before it.
        byte[] bytes = Pattern(4000);
        int sent = 0;
        foreach (int piece in new[] { 1000, 400, 600, 1500, 500 })
        {
            await peer.SendAsync(bytes.AsMemory(sent, piece));
            sent += piece;
            long expected = sent;
            await Eventually.Equal("bytes that were read", expected, () => _server.Homes[0].Traffic.BytesReceived);
        }

        await Eventually.Equal("bytes of whole frames", sent, () => connection.ReceivedBytes.Length);
        await connection.Do(static _ => { });
        Assert.True(bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
        Assert.NotEmpty(pool.Rented);
        Assert.Equal(pool.Rented.Order(), pool.Returned.Order());
    }

    [Fact]
    public async Task Many_connections_echo_at_once()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);

        await Task.WhenAll(Enumerable.Range(0, 32).Select(async number =>
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            Random random = new(number);
            for (int round = 0; round < 20; round++)
            {
                byte[] bytes = new byte[random.Next(1, 20_000)];
                random.NextBytes(bytes);
                Task sending = peer.SendAsync(bytes);
                byte[] echoed = await peer.ReceiveAsync(bytes.Length);
                Assert.True(bytes.AsSpan().SequenceEqual(echoed));
                await sending;
            }
        }));

        ListenerStatistics statistics = await _server.Statistics(listener);
        Assert.Equal(32, statistics.Accepted);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    internal static byte[] Pattern(int length, int seed = 1)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static ConnectionScript Frames(int size) => new()
    {
        Received = (connection, bytes) =>
        {
            int taken = 0;
            while (bytes.Length - taken >= size)
            {
                connection.Keep(bytes.Slice(taken, size));
                taken += size;
            }

            return taken;
        },
    };
}
