using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>What a handler is told of output that waits, and what goes on while it awaits.</summary>
public sealed class ConnectionBackPressureTests : IAsyncDisposable
{
    private const int High = 64 * 1024;
    private const int Low = 16 * 1024;

    private static readonly ConnectionOptions Marked = new()
    {
        OutputHighWatermark = High,
        OutputLowWatermark = Low,
        MaxOutputBytes = 256 * 1024 * 1024,
        LingerTimeout = TimeSpan.Zero,
    };

    private readonly TestServer _server = new();

    [Fact]
    public async Task A_handler_is_told_when_its_peer_takes_too_little_and_when_it_has_caught_up()
    {
        List<long> waiting = [];
        ConnectionScript script = new()
        {
            WritesSuspended = self => waiting.Add(self.OutputBytes),
            WritesResumed = self => waiting.Add(self.OutputBytes),
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(16 * 1024 * 1024);

        for (int round = 1; round <= 3; round++)
        {
            await connection.Do(self => self.Send(bytes));
            int expected = (2 * round) - 1;
            await Eventually.Equal("notices", expected, () => Notices(connection).Length);
            byte[] received = await peer.ReceiveAsync(bytes.Length);
            Assert.True(bytes.AsSpan().SequenceEqual(received));
            await Eventually.Equal("notices", expected + 1, () => Notices(connection).Length);
        }

        Assert.Equal(Enumerable.Range(0, 3).SelectMany(static _ => new object[] { "writes suspended", "writes resumed" }), Notices(connection));
        Assert.All(waiting.Where(static (_, index) => index % 2 == 0), static bytes => Assert.True(bytes > High));
        Assert.All(waiting.Where(static (_, index) => index % 2 == 1), static bytes => Assert.InRange(bytes, 0, Low));
    }

    [Fact]
    public async Task What_the_system_takes_when_it_is_asked_is_not_worth_a_word()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), receiveBuffer: High * 8);
        using Peer _ = peer;

        // More than the mark in one turn, as a group may publish; the system has room for it all.
        await connection.Do(static self =>
        {
            using SharedPayload payload = SharedPayload.Copy(new byte[High - 1]);
            self.Send(payload);
            self.Send(payload);
            self.Send(payload);
        });
        await peer.ReceiveAsync(3 * (High - 1));
        await connection.Do(static _ => { });

        Assert.Empty(Notices(connection));
    }

    [Fact]
    public async Task A_handler_that_awaits_is_told_afterwards_and_only_of_what_still_holds()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        byte[] bytes = new byte[16 * 1024 * 1024];
        TaskCompletionSource caughtUp = new();
        Task handler = connection.Do(async self =>
        {
            self.Send(bytes);
            await caughtUp.Task;
        });

        peer.Widen();
        await peer.ReceiveAsync(bytes.Length);
        caughtUp.SetResult();
        await handler;
        await connection.Do(static _ => { });

        Assert.Empty(Notices(connection));
    }

    [Fact]
    public async Task What_a_handler_sent_leaves_while_it_awaits()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(16 * 1024 * 1024);
        TaskCompletionSource gate = new();
        Task handler = connection.Do(async self =>
        {
            self.Send(bytes);
            await gate.Task;
        });

        peer.Widen();
        byte[] received = await peer.ReceiveAsync(bytes.Length);

        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.False(handler.IsCompleted);
        gate.SetResult();
        await handler;
    }

    [Fact]
    public async Task A_slow_consumer_is_cut_off_while_its_handler_awaits()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript(),
            new ConnectionOptions { OutputHighWatermark = 1000, MaxOutputBytes = 100_000 },
            receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        TaskCompletionSource gate = new();
        Task handler = connection.Do(_ => gate.Task);

        while (await _server.OnPoller(() =>
        {
            connection.Send(new byte[50_000]);
            return connection.IsWritable;
        }))
        {
        }

        // The peer's end comes while the handler still awaits; the handler's own when it has come back.
        await peer.ExpectResetAsync();
        Assert.False(connection.HasClosed);
        Assert.False(handler.IsCompleted);
        gate.SetResult();
        ConnectionClosed closed = await connection.WhenClosed;

        await handler;
        Assert.Equal(CloseReason.SlowConsumer, closed.Reason);
        Assert.InRange(closed.BytesUnsent, 100_001, 150_000);
        Assert.Equal(1, connection.Closings);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stopped_from_outside_the_connection_does_not_wait_for_a_handler_that_awaits(bool fails)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        TaskCompletionSource gate = new();
        Task handler = connection.Do(async self =>
        {
            self.Send("bye"u8);
            await gate.Task;
            self.Send("nobody hears this"u8);
        });
        Assert.Equal("bye", await peer.ReceiveTextAsync(3));
        Task<bool> terminated = await _server.Watch(connection.Pid, static _ => true);

        _server.System.Root.Stop(connection.Pid);
        Assert.Empty(await peer.ReceiveToEndAsync());
        Assert.False(connection.HasClosed);
        Assert.False(handler.IsCompleted);

        if (fails)
        {
            gate.SetException(new InvalidOperationException("on purpose"));
            await Assert.ThrowsAsync<InvalidOperationException>(() => handler);
        }
        else
        {
            gate.SetResult();
            await handler;
        }

        Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
        Assert.True(await terminated.Soon());
        Assert.Equal(1, connection.Closings);
        Assert.Empty(_server.DeadLetters);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Closed_politely_from_outside_the_connection_does_not_wait_for_a_handler_that_awaits(bool muchWaits)
    {
        int size = muchWaits ? 16 * 1024 * 1024 : 3;
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript(),
            new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024, LingerTimeout = TimeSpan.FromMilliseconds(20) },
            receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;
        byte[] bytes = ConnectionReadingTests.Pattern(size);
        TaskCompletionSource gate = new();
        Task handler = connection.Do(async self =>
        {
            self.Send(bytes);
            await gate.Task;
        });
        await _server.OnPoller(static () => true);

        ConnectionsClosing closing = await _server.Ask<ConnectionsClosing>(
            _server.NetPoll.ConnectionTable, new CloseConnections(static _ => true) { Reason = CloseReason.Local });
        Assert.Equal(1, closing.Count);
        peer.Widen();
        byte[] received = await peer.ReceiveToEndAsync();
        Assert.True(bytes.AsSpan().SequenceEqual(received));

        // The peer never ends its side, and the descriptor goes all the same.
        await Eventually.True("the descriptor is gone", () => !Descriptors.Has(socket));
        Assert.False(handler.IsCompleted);
        Assert.False(connection.HasClosed);
        gate.SetResult();
        await handler;
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal((CloseReason.Local, (long)size, 0L), (closed.Reason, closed.BytesSent, closed.BytesUnsent));
        Assert.Equal(1, connection.Closings);
    }

    [Fact]
    public async Task Closed_while_it_awaits_a_peer_that_ends_too_is_no_error()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        TaskCompletionSource gate = new();
        Task handler = connection.Do(async self =>
        {
            await Task.Yield();
            self.Close();
            await gate.Task;
        });

        Assert.Empty(await peer.ReceiveToEndAsync());
        peer.CloseWrite();
        await _server.OnPoller(static () => true);
        gate.SetResult();
        await handler;
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal((CloseReason.Local, null), (closed.Reason, closed.Exception));
    }

    [Fact]
    public async Task Abort_after_an_await_takes_effect_though_the_handler_goes_on_awaiting()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        TaskCompletionSource gate = new();
        Task handler = connection.Do(async self =>
        {
            await Task.Yield();
            self.Abort();
            await gate.Task;
        });

        await peer.ExpectResetAsync();
        gate.SetResult();
        await handler;

        Assert.Equal(CloseReason.Aborted, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task Abort_before_an_await_takes_effect_though_the_handler_goes_on_awaiting()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        TaskCompletionSource gate = new();
        Task handler = connection.Do(self =>
        {
            self.Abort();
            return gate.Task;
        });

        await peer.ExpectResetAsync();
        gate.SetResult();
        await handler;

        Assert.Equal(CloseReason.Aborted, (await connection.WhenClosed).Reason);
    }

    [Theory]
    [InlineData(64 * 1024, -1, "OutputLowWatermark is -1; expected 0 to OutputHighWatermark (65536)")]
    [InlineData(64 * 1024, (64 * 1024) + 1, "OutputLowWatermark is 65537; expected 0 to OutputHighWatermark (65536)")]
    [InlineData(0, null, "OutputHighWatermark is 0; expected 1 byte or more")]
    public async Task A_watermark_out_of_its_range_is_refused(int high, int? low, string expected)
    {
        ConnectionOptions options = new() { OutputHighWatermark = high, OutputLowWatermark = low };

        ArgumentException exception = await Assert.ThrowsAsync<ArgumentException>(() => _server.ListenAsync(new ConnectionScript(), options));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static object[] Notices(ScriptedConnection connection) =>
        [.. connection.Events.Where(static what => what is "writes suspended" or "writes resumed")];

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionScript script, ConnectionOptions? options = null, int receiveBuffer = 0) =>
        await TestServer.OpenAsync(await _server.ListenAsync(script, options ?? Marked), script, receiveBuffer);
}
