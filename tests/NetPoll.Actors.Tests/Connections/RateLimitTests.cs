using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Limits of rates, by a clock that the test owns: what moves is exactly what the buckets allow.</summary>
public sealed class RateLimitTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;

    public RateLimitTests() => _server = new TestServer(options: new PollerOptions { TimeProvider = _time });

    [Fact]
    public async Task Inbound_the_burst_comes_at_once_and_then_as_many_bytes_a_second_and_nothing_is_lost()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new RateLimits { Inbound = new RateLimit { BytesPerSecond = 1000, BytesBurst = 5000 } });
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(12_000);
        await peer.SendAsync(bytes);
        await ReceivedAsync(connection, 5000);

        for (int tenths = 1; tenths <= 70; tenths++)
        {
            await AdvanceAsync(0.1 * Second);
            await ReceivedAsync(connection, 5000 + (tenths * 100));
        }

        Assert.True(bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
    }

    [Fact]
    public async Task Inbound_frames_come_by_their_number_and_those_of_one_read_wait_too()
    {
        CountedLines lines = new(new RateLimits { Inbound = new RateLimit { MessagesPerSecond = 2, MessagesBurst = 5 } });
        Listener listener = await _server.ListenAsync(() => lines);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync(string.Concat(Enumerable.Range(0, 12).Select(static number => $"{number}\n")));
        await Eventually.Equal("lines", 5, () => lines.Count);
        await Settle();
        Assert.Equal(5, lines.Count);

        for (int more = 1; more <= 7; more++)
        {
            await AdvanceAsync(0.499 * Second);
            Assert.Equal(4 + more, lines.Count);
            await AdvanceAsync(0.001 * Second);
            int expected = 5 + more;
            await Eventually.Equal("lines", expected, () => lines.Count);
        }
    }

    [Fact]
    public async Task Inbound_a_closed_gate_holds_the_peer_s_end_back_but_not_its_reset_and_is_no_idle_time()
    {
        RateLimits limits = new() { Inbound = new RateLimit { BytesPerSecond = 100, BytesBurst = 100 } };
        ConnectionScript script = new() { Connected = static self => self.IdleTimeout = 2 * Second };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { RateLimits = limits });
        (Peer polite, ScriptedConnection one) = await TestServer.OpenAsync(listener, script);
        (Peer rude, ScriptedConnection two) = await TestServer.OpenAsync(listener, script);
        using Peer _ = polite;
        using Peer __ = rude;
        await polite.SendAsync(new byte[1000]);
        polite.CloseWrite();
        await rude.SendAsync(new byte[1000]);
        await ReceivedAsync(one, 100);
        await ReceivedAsync(two, 100);

        rude.Reset();
        ConnectionClosed reset = await two.WhenClosed;
        Assert.Equal((CloseReason.Reset, 1000L), (reset.Reason, reset.BytesReceived));
        await AdvanceAsync(0.05 * Second);
        Assert.False(one.HasClosed);
        for (int tenth = 0; tenth < 92; tenth++)
        {
            await AdvanceAsync(0.1 * Second);
            await Settle();
        }

        ConnectionClosed closed = await one.WhenClosed;
        Assert.Equal((CloseReason.Peer, 1000L), (closed.Reason, closed.BytesReceived));
        Assert.DoesNotContain(DeadlineKind.Idle, one.Events);
    }

    [Fact]
    public async Task Outbound_what_is_sent_leaves_at_the_rate_in_order_and_the_end_behind_it()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new RateLimits { Outbound = new RateLimit { BytesPerSecond = 1000, BytesBurst = 2000 } });
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(6000);
        Task? flushed = null;
        await connection.Do(self =>
        {
            self.Send(bytes.AsSpan(0, 10));
            self.Send(bytes.AsSpan(10, 4990));
            using SharedPayload payload = SharedPayload.Copy(bytes.AsSpan(5000));
            self.Send(payload);
            flushed = self.FlushAsync().AsTask();
            self.Close();
        });
        byte[] received = new byte[6000];
        await ExpectAsync(0, 2000);
        for (int tenths = 0; tenths < 40; tenths++)
        {
            Assert.False(flushed!.IsCompleted);
            await AdvanceAsync(0.1 * Second);
            await ExpectAsync(2000 + (tenths * 100), 100);
        }

        await flushed!.Soon();
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Empty(await peer.ReceiveToEndAsync());
        peer.CloseWrite();
        Assert.Equal(0, (await connection.WhenClosed).BytesUnsent);

        async Task ExpectAsync(int at, int count)
        {
            (await peer.ReceiveAsync(count)).CopyTo(received, at);
            await Settle();
            Assert.Equal(0, peer.Socket.Available);
        }
    }

    [Fact]
    public async Task Outbound_messages_leave_whole_by_their_number()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new RateLimits { Outbound = new RateLimit { MessagesPerSecond = 1, MessagesBurst = 3 } });
        using Peer _ = peer;
        await connection.Do(static self =>
        {
            for (int number = 0; number < 10; number++)
            {
                self.Send(NumberedFrames.Make(number, 100 + (number * 1000)));
            }
        });
        for (int number = 0; number < 3; number++)
        {
            Assert.Equal(number, await NumberedFrames.ReceiveAsync(peer));
        }

        for (int number = 3; number < 10; number++)
        {
            await Settle();
            Assert.Equal(0, peer.Socket.Available);
            await AdvanceAsync(Second);
            Assert.Equal(number, await NumberedFrames.ReceiveAsync(peer));
        }
    }

    [Fact]
    public async Task Outbound_payloads_of_a_group_wait_and_then_are_dropped_by_the_policy_and_the_rest_keeps_its_pace()
    {
        const int Size = 1000;
        ConnectionScript script = new();
        ConnectionOptions options = new()
        {
            RateLimits = new RateLimits { Outbound = new RateLimit { MessagesPerSecond = 1, MessagesBurst = 1 } },
            OutputHighWatermark = 4 * Size,
            MaxOutputBytes = 4 * Size,
            SlowConsumerPolicy = SlowConsumerPolicy.DropOldest,
            WriteTimeout = 10 * Second,
        };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script, options), script);
        using Peer _ = peer;
        ConnectionGroup group = new(_server.System, "paced");
        group.Join(connection.Pid);
        for (int number = 0; number < 20; number++)
        {
            using SharedPayload payload = NumberedFrames.MakePayload(number, Size);
            group.Publish(payload);
            await Settle();
        }

        // The first left at once, the last four wait.
        Assert.Equal(0, await NumberedFrames.ReceiveAsync(peer));
        for (int number = 16; number < 20; number++)
        {
            await Settle();
            Assert.Equal(0, peer.Socket.Available);
            await AdvanceAsync(Second);
            Assert.Equal(number, await NumberedFrames.ReceiveAsync(peer));
        }

        Assert.Equal(new DroppedOutput(15, 15 * Size), await connection.Ask(static self => self.DroppedOutput));
        Assert.DoesNotContain(DeadlineKind.Write, connection.Events);
    }

    [Fact]
    public async Task Half_closed_the_end_leaves_behind_what_the_limit_held_back()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new RateLimits { Outbound = new RateLimit { BytesPerSecond = 100, BytesBurst = 100 } });
        using Peer _ = peer;
        await connection.Do(static self =>
        {
            self.Send(new byte[150]);
            self.CloseWrite();
        });
        await peer.ReceiveAsync(100);

        await AdvanceAsync(0.5 * Second);
        Assert.Equal(50, (await peer.ReceiveToEndAsync()).Length);
        peer.CloseWrite();
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Connections_that_share_a_limit_get_as_much_together_and_alike(bool inbound)
    {
        const int Connections = 5;
        SharedRateLimit shared = new(new RateLimit { BytesPerSecond = 10_000, BytesBurst = 10_000 }, _time);
        RateLimits limits = inbound ? new RateLimits { SharedInbound = shared } : new RateLimits { SharedOutbound = shared };
        List<(Peer Peer, ScriptedConnection Connection)> pairs = [];
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { RateLimits = limits, OutputHighWatermark = 1 << 20 });
        for (int number = 0; number < Connections; number++)
        {
            (Peer Peer, ScriptedConnection Connection) pair = await TestServer.OpenAsync(listener, script);
            pairs.Add(pair);
            if (inbound)
            {
                await pair.Peer.SendAsync(new byte[60_000]);
            }
            else
            {
                await pair.Connection.Do(static self => self.Send(new byte[60_000]));
            }
        }

        await Settle();
        for (int step = 0; step < 200; step++)
        {
            await AdvanceAsync(0.1 * Second);
            await Settle();
        }

        // A burst, and 20 s at the rate; a turn of each at most beyond it.
        long[] moved = [.. await Task.WhenAll(pairs.Select(pair => _server.OnPoller(() =>
        {
            Actors.Connections.Connection found = _server.Find(pair.Connection.Pid)!;
            return inbound ? found.BytesReceived : found.BytesSent;
        })))];
        Assert.InRange(moved.Sum(), 205_000, 210_000 + (Connections * 1000));
        Assert.All(moved.Skip(1), each => Assert.InRange(each, moved.Sum() / Connections * 0.7, moved.Sum() / Connections * 1.3));
        pairs.ForEach(static pair => pair.Peer.Dispose());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_limit_holds_for_connections_of_several_pollers_together(bool inbound)
    {
        const int Connections = 4;
        await using TestServer server = new(pollers: 2, new PollerOptions { TimeProvider = _time, Placement = PollerPlacement.LeastLoaded });
        SharedRateLimit shared = new(new RateLimit { BytesPerSecond = 10_000, BytesBurst = 10_000 }, _time);
        RateLimits limits = inbound ? new RateLimits { SharedInbound = shared } : new RateLimits { SharedOutbound = shared };
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script, new ConnectionOptions { RateLimits = limits, OutputHighWatermark = 1 << 20 });
        List<(Peer Peer, ScriptedConnection Connection)> pairs = [];
        for (int number = 0; number < Connections; number++)
        {
            (Peer Peer, ScriptedConnection Connection) pair = await TestServer.OpenAsync(listener, script);
            pairs.Add(pair);
            await (inbound ? pair.Peer.SendAsync(new byte[60_000]) : pair.Connection.Do(static self => self.Send(new byte[60_000])));
        }

        Assert.Equal([0, 0, 1, 1], pairs.Select(static pair => pair.Connection.Poller.Index).Order());
        await SettleBothAsync();
        for (int step = 0; step < 100; step++)
        {
            _time.Advance(0.1 * Second);
            await SettleBothAsync();
        }

        // A burst, and 10 s at the rate; a turn of each at most beyond it.
        long[] moved = [.. await Task.WhenAll(pairs.Select(pair => server.OnPoller(
            () =>
            {
                Actors.Connections.Connection found = server.Find(pair.Connection.Pid)!;
                return inbound ? found.BytesReceived : found.BytesSent;
            },
            pair.Connection.Poller.Index)))];
        Assert.InRange(moved.Sum(), 105_000, 110_000 + (Connections * 1000));
        Assert.All(moved, static each => Assert.NotEqual(0, each));
        pairs.ForEach(static pair => pair.Peer.Dispose());

        async Task SettleBothAsync()
        {
            for (int turn = 0; turn < 6; turn++)
            {
                await server.OnPoller(static () => true, turn % 2);
            }
        }
    }

    [Fact]
    public async Task A_limit_that_is_changed_or_lifted_lets_what_it_held_back_go_on()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new RateLimits
        {
            Inbound = new RateLimit { BytesPerSecond = 1, BytesBurst = 1 },
            Outbound = new RateLimit { BytesPerSecond = 1, BytesBurst = 1 },
        });
        using Peer _ = peer;
        await peer.SendAsync(new byte[1000]);
        await connection.Do(static self => self.Send(new byte[1000]));
        await peer.ReceiveAsync(1);
        await ReceivedAsync(connection, 1);

        RateLimits faster = new() { Inbound = new RateLimit { BytesPerSecond = 99, BytesBurst = 99 }, Outbound = new RateLimit { BytesPerSecond = 99, BytesBurst = 99 } };
        await connection.Do(self => self.RateLimits = faster);
        Assert.Same(faster, await connection.Ask(static self => self.RateLimits));
        await peer.ReceiveAsync(99);
        await ReceivedAsync(connection, 100);

        await connection.Do(static self => self.RateLimits = null);
        await peer.ReceiveAsync(900);
        await ReceivedAsync(connection, 1000);
    }

    [Fact]
    public async Task A_plain_actor_sets_them_by_message()
    {
        RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync("plain", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID connection = (await handler.Next<Connected>()).Connection;
        _server.System.Root.Send(connection, new SetRateLimits(new RateLimits { Inbound = new RateLimit { BytesPerSecond = 10, BytesBurst = 10 } }));
        await _server.Ask<WriteAcknowledged>(connection, new Write(ReadOnlyMemory<byte>.Empty, Acknowledge.Queued));

        await peer.SendAsync(new byte[20]);
        await handler.NextBytes(10);
        await Settle();
        Assert.Equal(10, handler.BytesReceived);
        await AdvanceAsync(Second);

        await handler.NextBytes(10);
    }

    [Fact]
    public void Limits_that_make_no_sense_are_refused()
    {
        Expect("BytesPerSecond is null; expected a rate", new RateLimit());
        Expect("BytesPerSecond is 0", new RateLimit { BytesPerSecond = 0 });
        Expect("MessagesPerSecond is -1", new RateLimit { MessagesPerSecond = -1 });
        Expect("BytesBurst is 0", new RateLimit { BytesPerSecond = 1, BytesBurst = 0 });
        Expect("MessagesBurst is -5", new RateLimit { MessagesPerSecond = 1, MessagesBurst = -5 });

        static void Expect(string text, RateLimit limit) =>
            Assert.Contains(text, Assert.Throws<ArgumentException>(() => new SharedRateLimit(limit)).Message, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(RateLimits limits)
    {
        ConnectionScript script = new();
        return await TestServer.OpenAsync(await _server.ListenAsync(script, new ConnectionOptions { RateLimits = limits }), script);
    }

    private async Task ReceivedAsync(ScriptedConnection connection, int count)
    {
        await Eventually.Equal("bytes", count, () => connection.ReceivedBytes.Length);
        await Settle();
        Assert.Equal(count, connection.ReceivedBytes.Length);
    }

    // The poller has seen the new time, and everything that it made runnable has run.
    private async Task AdvanceAsync(TimeSpan time)
    {
        _time.Advance(time);
        await Settle();
    }

    private async Task Settle()
    {
        for (int turn = 0; turn < 3; turn++)
        {
            await _server.OnPoller(static () => true);
        }
    }

    private sealed class CountedLines(RateLimits limits) : LineConnectionActor
    {
        private int _count;

        public int Count => Volatile.Read(ref _count);

        protected override void OnConnected() => RateLimits = limits;

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            Assert.Equal(_count, int.Parse(line, System.Globalization.CultureInfo.InvariantCulture));
            _count++;
            return Task.CompletedTask;
        }
    }
}
