using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

public sealed class ConnectionClosingTests : IAsyncDisposable
{
    private static readonly ConnectionOptions Patient = new()
    {
        LingerTimeout = TimeSpan.FromMinutes(5),
        MaxOutputBytes = 256 * 1024 * 1024,
        WriteTimeout = Timeout.InfiniteTimeSpan,
    };

    private readonly TestServer _server = new();

    [Fact]
    public async Task Close_sends_what_waits_then_the_FIN_and_is_told_once()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Send("bye"u8);
                connection.Close();
                Assert.False(connection.IsWritable);
                connection.Send("ignored"u8);
                connection.Close();
                return bytes.Length;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient);
        using Peer _ = peer;

        await peer.SendAsync("go");
        byte[] all = await peer.ReceiveToEndAsync();
        Assert.False(connection.HasClosed); // It lingers for the peer's FIN.
        peer.CloseWrite();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal("bye"u8, all);
        Assert.Equal(new ConnectionClosed(CloseReason.Local, null, 2, 3, 0), closed);
        await ExpectNothingMoreAsync(connection);
    }

    [Fact]
    public async Task Close_while_much_output_waits_sends_all_of_it_to_a_slow_reader()
    {
        byte[] bytes = ConnectionReadingTests.Pattern(20 * 1024 * 1024);
        ConnectionScript script = new()
        {
            Message = (connection, _) =>
            {
                connection.Send(bytes);
                connection.Close();
                return Task.CompletedTask;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient, receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        _server.System.Root.Send(connection.Pid, "go");
        await Eventually.True("output waits", () => connection.OutputBytes > 1_000_000);

        byte[] all = await peer.ReceiveToEndAsync();
        peer.CloseWrite();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.True(bytes.AsSpan().SequenceEqual(all));
        Assert.Equal(new ConnectionClosed(CloseReason.Local, null, 0, bytes.Length, 0), closed);
    }

    [Fact]
    public async Task A_peer_that_is_still_sending_gets_the_tail_and_no_reset()
    {
        byte[] tail = ConnectionReadingTests.Pattern(200_000);
        ConnectionScript script = new()
        {
            Received = (connection, bytes) =>
            {
                connection.Send(tail);
                connection.Close();
                return bytes.Length;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient);
        using Peer _ = peer;

        // Half a megabyte, far more than the first read takes: the rest lies unread when the server closes.
        await peer.SendAsync(new byte[512 * 1024]);
        byte[] all = await peer.ReceiveToEndAsync();
        peer.CloseWrite();
        await connection.WhenClosed;

        Assert.True(tail.AsSpan().SequenceEqual(all));
    }

    [Fact]
    public async Task A_closed_connection_waits_no_longer_for_the_peer_than_the_linger_time()
    {
        ConnectionScript script = new() { Connected = static connection => connection.Close() };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.FromMilliseconds(50) });
        using Peer _ = peer;

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_longest_linger_time_is_as_good_as_for_ever(bool awaits)
    {
        FakeTimeProvider time = new();
        await using TestServer server = new(options: new PollerOptions { TimeProvider = time });
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.MaxValue });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        TaskCompletionSource gate = new();
        string socket = peer.ServerSocketName()!;
        Task handler = connection.Do(self =>
        {
            self.Close();
            return awaits ? gate.Task : Task.CompletedTask;
        });
        Assert.Empty(await peer.ReceiveToEndAsync());

        time.Advance(TimeSpan.FromDays(1));
        for (int turn = 0; turn < 3; turn++)
        {
            await server.OnPoller(static () => true);
        }

        Assert.True(Descriptors.Has(socket));
        gate.SetResult();
        await handler;
        peer.CloseWrite();
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_closed_connection_reads_no_more_than_its_share_from_a_peer_that_never_stops()
    {
        ConnectionScript script = new() { Connected = static connection => connection.Close() };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient);
        using Peer _ = peer;

        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (true)
            {
                await peer.SendAsync(new byte[64 * 1024]);
            }
        });

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task Without_a_linger_time_it_ends_when_all_is_sent()
    {
        ConnectionScript script = new() { Connected = static connection => connection.Close() };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
        using Peer _ = peer;

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        Assert.Empty(await peer.ReceiveToEndAsync());
    }

    [Fact]
    public async Task The_reason_of_a_close_is_the_handler_s()
    {
        ConnectionScript script = new() { Connected = static connection => connection.Close(CloseReason.HeartbeatMissed) };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient);
        using Peer _ = peer;

        peer.CloseWrite();

        Assert.Equal(CloseReason.HeartbeatMissed, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task Closed_after_an_await_with_frames_still_waiting_it_notices_the_peer_s_end_and_does_not_spin()
    {
        TaskCompletionSource handled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource gate = new();
        Listener listener = await _server.ListenAsync(() => new ClosingLines(handled, gate.Task), Patient);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("first\nsecond\n");
        await handled.Task.Soon();
        gate.SetResult();
        Assert.Empty(await peer.ReceiveToEndAsync());

        // All is said; until the peer speaks there is nothing to do. A turn that raises its own signal would never let the poller sleep.
        await Eventually.True("the poller rests", IsAtRest);
        peer.CloseWrite();

        await Eventually.Equal("open connections", 0, () => _server.Homes[0].Connections.Count);

        bool IsAtRest()
        {
            long waits = _server.Homes[0].Poller.Snapshot().Waits;
            Thread.Sleep(20);
            return _server.Homes[0].Poller.Snapshot().Waits - waits < 5;
        }
    }

    [Fact]
    public async Task Abort_resets_and_says_what_is_lost()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Send(new byte[100]);
                connection.Abort();
                Assert.False(connection.IsWritable);
                return bytes.Length;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient);
        using Peer _ = peer;

        await peer.SendAsync("go");
        ConnectionClosed closed = await connection.WhenClosed;

        await peer.ExpectResetAsync();
        Assert.Equal(new ConnectionClosed(CloseReason.Aborted, null, 2, 0, 100), closed);
        await ExpectNothingMoreAsync(connection);
    }

    [Fact]
    public async Task Abort_overtakes_a_close_that_cannot_finish()
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient, receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        await connection.Do(static self =>
        {
            self.Send(new byte[20 * 1024 * 1024]);
            self.Close();
        });

        await connection.Do(static self => self.Abort());
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Aborted, closed.Reason);
        Assert.Equal(20 * 1024 * 1024, closed.BytesSent + closed.BytesUnsent);
        Assert.True(closed.BytesUnsent > 0);
    }

    [Fact]
    public async Task The_peer_s_FIN_closes_unless_the_handler_objects()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), Patient);
        using Peer _ = peer;
        await peer.SendAsync("last words");

        peer.CloseWrite();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(new ConnectionClosed(CloseReason.Peer, null, 10, 0, 0), closed);
        Assert.Equal("last words"u8, connection.ReceivedBytes);
        Assert.Equal(["connected", "peer closed", closed], connection.Events);
        Assert.Empty(await peer.ReceiveToEndAsync());
    }

    [Fact]
    public async Task A_handler_may_go_on_writing_after_the_peer_s_FIN()
    {
        ConnectionScript script = new() { PeerClosed = static _ => { } };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient);
        using Peer _ = peer;
        peer.CloseWrite();
        await Eventually.True("the FIN is noticed", () => connection.Events.Contains("peer closed"));

        byte[] bytes = ConnectionReadingTests.Pattern(5_000_000);
        await connection.Do(static self => self.Send("still here"u8));
        Assert.Equal("still here", await peer.ReceiveTextAsync(10));
        await connection.Do(self => self.Send(bytes));
        byte[] received = await peer.ReceiveAsync(bytes.Length);
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        await connection.Do(static self => self.Close());
        Assert.Empty(await peer.ReceiveToEndAsync());

        // The peer's FIN is here already: nothing to linger for.
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        Assert.Single(connection.Events, "peer closed");
    }

    [Fact]
    public async Task A_reset_after_the_FIN_is_noticed_though_nobody_reads_any_more()
    {
        ConnectionScript script = new() { PeerClosed = static _ => { } };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Patient);
        peer.CloseWrite();
        await Eventually.True("the FIN is noticed", () => connection.Events.Contains("peer closed"));

        peer.Reset();

        Assert.Equal(CloseReason.Reset, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_reset_by_the_peer_is_told_with_its_exception()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), Patient);

        peer.Reset();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Reset, closed.Reason);
        IOException exception = Assert.IsType<IOException>(closed.Exception);
        Assert.Contains($"127.0.0.1:{peer.LocalPort}", exception.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(exception.InnerException).SocketErrorCode);
        await ExpectNothingMoreAsync(connection);
        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task A_reset_while_output_waits_is_told()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), Patient, receiveBuffer: 16 * 1024);
        await connection.Do(static self => self.Send(new byte[20 * 1024 * 1024]));

        peer.Reset();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Reset, closed.Reason);
        Assert.Equal(20 * 1024 * 1024, closed.BytesSent + closed.BytesUnsent);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stop_and_Poison_from_outside_end_it_as_Shutdown(bool isPoison)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), Patient);
        using Peer _ = peer;

        await (isPoison ? _server.System.Root.PoisonAsync(connection.Pid) : _server.System.Root.StopAsync(connection.Pid)).Soon();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Shutdown, closed.Reason);
        Assert.Empty(await peer.ReceiveToEndAsync());
        await ExpectNothingMoreAsync(connection);
    }

    [Fact]
    public async Task Stopped_from_outside_it_sends_what_can_be_sent_at_once()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), Patient);
        using Peer _ = peer;

        // Between turns, so that it waits in the queue when the stop is taken.
        await _server.OnPoller(() =>
        {
            _server.System.Root.Stop(connection.Pid);
            connection.Send("bye"u8);
            return true;
        });
        byte[] all = await peer.ReceiveToEndAsync();
        Assert.Equal("bye"u8, all);
    }

    [Theory]
    [InlineData("close")]
    [InlineData("abort")]
    [InlineData("peer")]
    [InlineData("reset")]
    [InlineData("throw")]
    [InlineData("stop")]
    [InlineData("poison")]
    [InlineData("shutdown")]
    public async Task When_a_watcher_is_told_the_descriptor_is_gone_and_the_end_was_told_once(string way)
    {
        ConnectionScript script = new() { Received = static (_, _) => throw new InvalidOperationException("on purpose") };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
        using Peer _ = peer;
        string socket = peer.ServerSocketName() ?? throw new InvalidOperationException("The server's socket is not in the system's table.");
        Assert.True(Descriptors.Has(socket));
        Task<(bool IsOpen, int Closings, TerminatedReason Why)> terminated = await _server.Watch(
            connection.Pid,
            terminated => (Descriptors.Has(socket), connection.Closings, terminated.Why));

        Task ending = End(way, peer, connection);
        (bool isOpen, int closings, TerminatedReason why) = await terminated.Soon();
        await ending.Soon();

        Assert.False(isOpen);
        Assert.Equal(1, closings);
        Assert.Equal(TerminatedReason.Stopped, why);
        Assert.Null(_server.Find(connection.Pid));
        Assert.Empty(_server.DeadLetters);
    }

    [Theory]
    [InlineData("close")]
    [InlineData("abort")]
    [InlineData("peer")]
    [InlineData("reset")]
    [InlineData("throw")]
    [InlineData("stop")]
    [InlineData("shutdown")]
    public async Task When_the_end_is_told_the_descriptor_is_gone_and_the_PID_is_still_there(string way)
    {
        TaskCompletionSource<(bool HasDescriptor, bool HasPid)> told = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string socket = string.Empty;
        ConnectionScript script = new()
        {
            Received = static (_, _) => throw new InvalidOperationException("on purpose"),
            Closed = self => told.TrySetResult((Descriptors.Has(socket), _server.Find(self.Pid) is not null)),
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
        using Peer _ = peer;
        socket = peer.ServerSocketName() ?? throw new InvalidOperationException("The server's socket is not in the system's table.");

        Task ending = End(way, peer, connection);

        Assert.Equal((false, true), await told.Task.Soon());
        await ending.Soon();
        await Eventually.True("the PID is gone", () => _server.Find(connection.Pid) is null);
    }

    [Fact]
    public async Task A_stopped_connection_leaves_nothing_on_its_poller()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, Patient);
        int before = _server.Homes[0].Poller.Snapshot().Monitored;

        for (int round = 0; round < 50; round++)
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }

        await Eventually.Equal("open connections", 0L, () => _server.Statistics(listener).Result.Active);
        await Eventually.Equal("descriptors", before, () => _server.Homes[0].Poller.Snapshot().Monitored);
        Assert.Equal(0, _server.Homes[0].Connections.Count);
        Assert.Equal(0, _server.Homes[0].Poller.Snapshot().DeadlinesArmed);
        Assert.Empty(_server.DeadLetters);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Task End(string way, Peer peer, ScriptedConnection connection) => way switch
    {
        "close" => connection.Do(static self => self.Close()),
        "abort" => connection.Do(static self => self.Abort()),
        "peer" => Task.Run(peer.CloseWrite),
        "reset" => Task.Run(peer.Reset),
        "throw" => peer.SendAsync("x"),
        "stop" => _server.System.Root.StopAsync(connection.Pid),
        "poison" => _server.System.Root.PoisonAsync(connection.Pid),
        _ => _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)),
    };

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionScript script, ConnectionOptions options, int receiveBuffer = 0) =>
        await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer);

    // After the end the actor stops, and nothing reaches it any more.
    private async Task ExpectNothingMoreAsync(ScriptedConnection connection)
    {
        await Eventually.True("the PID is gone", () => _server.Find(connection.Pid) is null);
        await _server.OnPoller(static () => true);
        Assert.Equal(1, connection.Closings);
        Assert.IsType<ConnectionClosed>(connection.Events[^1]);
        Assert.Empty(_server.DeadLetters);
    }

    private sealed class ClosingLines(TaskCompletionSource handled, Task gate) : LineConnectionActor
    {
        protected override Task OnLine(ReadOnlySpan<byte> line) => CloseLater();

        private async Task CloseLater()
        {
            handled.SetResult();
            await gate;
            Close();
        }
    }
}
