using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>The cases of a mailbox that waits for a descriptor, by number, on a scripted system where order matters.</summary>
public sealed class MailboxAsWaiterTests : IAsyncDisposable
{
    private readonly ScriptedPlatform _platform = new();
    private readonly ScriptedSocket _socket = new();
    private readonly TestServer _server;
    private readonly ConnectionScript _script = new();

    public MailboxAsWaiterTests()
    {
        _platform.Listener.ThenAccepts(_socket);
        _server = new TestServer(options: new PollerOptions { Platform = _platform });
    }

    [Fact]
    public async Task NP129_Two_edges_before_the_turn_make_one_turn()
    {
        ScriptedConnection connection = await OpenAsync();
        PollEvent edge = new(_platform.Backend.TokenOf(_socket), PollEventFlags.Read);
        _socket.ThenReads(1, 2);

        _platform.Backend.Inject(edge, edge);
        await Eventually.Equal("bytes", 2, () => connection.ReceivedBytes.Length);
        await RestAsync();

        // One read for both edges; the second only left its mark in the slot, which the turn wiped before it read.
        Assert.Equal(1, _socket.ReadCalls);
    }

    [Fact]
    public async Task NP129_Armed_again_it_takes_the_next_edge()
    {
        ScriptedConnection connection = await OpenAsync();
        for (int round = 1; round <= 5; round++)
        {
            _socket.ThenReads((byte)round);
            _platform.Backend.Inject(_socket, PollEventFlags.Read);
            int expected = round;
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
        }

        await RestAsync();
        Assert.Equal(5, _socket.ReadCalls);
    }

    [Fact]
    public async Task NP130_An_edge_that_comes_after_the_last_read_and_before_arming_is_not_lost()
    {
        ScriptedConnection connection = await OpenAsync();
        _socket.ThenReads(_ =>
        {
            // The system says "nothing there", and then something comes.
            _socket.ThenReads(7);
            _platform.Backend.Inject(_socket, PollEventFlags.Read);
            return IoResult.Failure(ScriptedSocket.WouldBlock);
        });

        _platform.Backend.Inject(_socket, PollEventFlags.Read);
        await Eventually.Equal("bytes", 1, () => connection.ReceivedBytes.Length);
    }

    [Fact]
    public void NP130_Arming_finds_the_readiness_that_came_meanwhile()
    {
        (PollDescriptor descriptor, RecordingWaiter waiter, ReadyList ready) = Model();
        descriptor.ForgetReadiness(PollMode.Read);
        descriptor.OnReady(PollEventFlags.Read, ready);
        Assert.False(ready.TryTake(out _, out _));

        Assert.Equal(PollSignals.Readable, descriptor.Arm(PollMode.Read, waiter));
        Assert.Equal(PollSignals.None, descriptor.Arm(PollMode.Read, waiter));
    }

    [Fact]
    public async Task NP131_A_turn_that_ends_at_its_budget_comes_again_by_itself_and_lets_others_in_between()
    {
        List<string> order = [];
        bool isPosted = false;
        _script.Received = (self, bytes) =>
        {
            order.Add("read");
            if (!isPosted)
            {
                isPosted = true;
                self.Poller.Post(() => order.Add("other"));
            }

            return bytes.Length;
        };
        ScriptedConnection connection = await OpenAsync();
        for (int read = 0; read < 20; read++)
        {
            _socket.ThenReads(buffer => IoResult.Bytes(buffer.Length));
        }

        // One edge for more than a megabyte.
        _platform.Backend.Inject(_socket, PollEventFlags.Read);
        await Eventually.Equal("reads", 21, () => _socket.ReadCalls);
        await RestAsync();

        Assert.Equal(20, order.Count(static entry => entry == "read"));

        // A read fills the scratch of 64 KiB: its bytes end the turn, long before the number of its reads would.
        Assert.InRange(order.IndexOf("other"), 1, 8);
        Assert.False(connection.HasClosed);
    }

    [Fact]
    public async Task NP131_Small_reads_end_at_their_number()
    {
        List<string> order = [];
        _script.Received = (self, bytes) =>
        {
            order.Add("read");
            if (order.Count == 1)
            {
                self.Poller.Post(() => order.Add("other"));
            }

            return 0; // Kept, so that each read lands behind it and fills what room there is.
        };
        await OpenAsync();
        for (int read = 0; read < 40; read++)
        {
            // Never short: the socket may hold more. All of them together stay below the bytes of a turn.
            _socket.ThenReads(buffer => IoResult.Bytes(Math.Min(buffer.Length, 1024)));
        }

        _platform.Backend.Inject(_socket, PollEventFlags.Read | PollEventFlags.ReadHangup);
        await Eventually.Equal("reads", 41, () => _socket.ReadCalls);

        Assert.InRange(order.IndexOf("other"), 1, 39);
    }

    [Fact]
    public void NP132_Arming_twice_is_as_once_and_another_waiter_is_refused()
    {
        (PollDescriptor descriptor, RecordingWaiter waiter, ReadyList ready) = Model();
        RecordingWaiter other = new();

        Assert.Equal(PollSignals.None, descriptor.Arm(PollMode.Read, waiter));
        Assert.Equal(PollSignals.None, descriptor.Arm(PollMode.Read, waiter));
        InvalidOperationException armed = Assert.Throws<InvalidOperationException>(() => descriptor.Arm(PollMode.Read, other));
        InvalidOperationException parked = Assert.Throws<InvalidOperationException>(() => descriptor.TryPark(PollMode.Read, other, out _));
        descriptor.OnReady(PollEventFlags.Read, ready);

        Assert.Contains("Double wait", armed.Message, StringComparison.Ordinal);
        Assert.Contains("Double wait", parked.Message, StringComparison.Ordinal);
        Assert.True(ready.TryTake(out IPollWaiter? freed, out PollSignals signals));
        Assert.Same(waiter, freed);
        Assert.Equal(PollSignals.Readable, signals);
        Assert.False(ready.TryTake(out _, out _));
    }

    [Fact]
    public async Task NP135_Readable_and_closed_at_once_end_it_once_and_deliver_nothing_more()
    {
        ScriptedConnection connection = await OpenAsync();
        IPollWaiter waiter = _server.Find(connection.Pid)!;
        _socket.ThenReads(1, 2, 3);

        await _server.OnPoller(() =>
        {
            waiter.Schedule(PollSignals.Readable | PollSignals.Closed);
            return true;
        });
        ConnectionClosed closed = await connection.WhenClosed;
        waiter.Schedule(PollSignals.Readable | PollSignals.Hangup | PollSignals.WriteDeadline);
        await RestAsync();

        Assert.Equal(CloseReason.Shutdown, closed.Reason);
        Assert.Equal(0, _socket.ReadCalls);
        Assert.Equal(["connected", closed], connection.Events);
        Assert.Equal(1, _socket.CloseCalls);
        Assert.Empty(_server.DeadLetters);
    }

    [Fact]
    public async Task NP135_A_stopping_poller_ends_its_connections_once()
    {
        ScriptedConnection connection = await OpenAsync();

        await _server.NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();
        await connection.WhenClosed;

        Assert.Equal(1, connection.Closings);
        Assert.Equal(1, _socket.CloseCalls);
    }

    [Fact]
    public async Task NP136_While_reading_is_suspended_a_FIN_is_noticed_and_comes_after_the_bytes_before_it()
    {
        TestBackend.SkipOnPortable("A FIN behind unread bytes is seen when they are read.");
        await using TestServer server = new();
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await server.ListenAsync(script), script);
        using Peer _ = peer;
        await connection.Do(static self => self.SuspendReading());
        await peer.SendAsync("last words");
        peer.CloseWrite();
        await Eventually.Equal("events", 2, () => connection.Events.Count);
        await connection.Do(static _ => { });
        Assert.Empty(connection.ReceivedBytes);
        Assert.Equal(["connected", "peer hung up"], connection.Events);

        await connection.Do(static self => self.ResumeReading());
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal("last words"u8.ToArray(), connection.ReceivedBytes);
        Assert.Equal(["connected", "peer hung up", "peer closed", closed], connection.Events);
    }

    [Fact]
    public async Task NP136_A_FIN_that_came_before_reading_was_suspended_is_noticed_too()
    {
        ScriptedConnection connection = await OpenAsync();
        _script.Received = static (self, bytes) =>
        {
            self.SuspendReading();
            return bytes.Length;
        };
        _socket.ThenReads(1).ThenReads(static _ => IoResult.Bytes(0));

        // One edge for both, and no other will come.
        _platform.Backend.Inject(_socket, PollEventFlags.Read | PollEventFlags.ReadHangup);
        await Eventually.Equal("events", 2, () => connection.Events.Count);
        await RestAsync();
        Assert.Equal(["connected", "peer hung up"], connection.Events);
        Assert.Equal(1, _socket.ReadCalls);

        await connection.Do(static self => self.ResumeReading());
        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(["connected", "peer hung up", "peer closed", closed], connection.Events);
    }

    [Fact]
    public async Task NP136_While_reading_is_suspended_a_reset_is_noticed()
    {
        await using TestServer server = new();
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await server.ListenAsync(script), script);
        await connection.Do(static self => self.SuspendReading());

        peer.Reset();

        Assert.Equal(CloseReason.Reset, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task NP136_While_a_handler_awaits_a_FIN_waits_and_comes_after_it()
    {
        TaskCompletionSource gate = new();
        await using TestServer server = new();
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await server.ListenAsync(script), script);
        using Peer _ = peer;
        Task handler = connection.Do(async self =>
        {
            await gate.Task;
            self.Note("handled");
        });
        await server.OnPoller(static () => true);
        await peer.SendAsync("x");
        peer.CloseWrite();

        gate.SetResult();
        await handler;
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(["connected", "handled", "peer closed", closed], connection.Events);
        Assert.Equal(1, closed.BytesReceived);
    }

    [Fact]
    public async Task A_FIN_behind_the_bytes_of_a_short_read_is_not_lost()
    {
        ScriptedConnection connection = await OpenAsync();
        _socket.ThenReads(1, 2).ThenReads(static _ => IoResult.Bytes(0));

        _platform.Backend.Inject(_socket, PollEventFlags.Read | PollEventFlags.ReadHangup);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(new ConnectionClosed(CloseReason.Peer, null, 2, 0, 0), closed);
    }

    [Fact]
    public async Task A_descriptor_that_cannot_be_waited_on_is_closed_with_an_error()
    {
        ScriptedConnection connection = await OpenAsync();

        _platform.Backend.Inject(_socket, PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error | PollEventFlags.ErrorOnly);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.NotNull(closed.Exception);
    }

    [Fact]
    public async Task The_write_readiness_of_every_edge_wakes_nobody()
    {
        ScriptedConnection connection = await OpenAsync();
        _platform.Backend.Inject(_socket, PollEventFlags.Write);
        await RestAsync();

        Assert.Equal(0, _socket.WriteCalls);
        Assert.Equal(0, _socket.ReadCalls);
        Assert.Equal(["connected"], connection.Events);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static (PollDescriptor Descriptor, RecordingWaiter Waiter, ReadyList Ready) Model()
    {
        PollDescriptor descriptor = new(0, new TimingWheel(0));
        descriptor.Open(new ScriptedSocket());
        return (descriptor, new RecordingWaiter(), new ReadyList());
    }

    private async Task<ScriptedConnection> OpenAsync()
    {
        await _server.ListenAsync(_script);
        return await _script.ConnectionOf(_socket.RemoteEndPoint!.Port);
    }

    private async Task RestAsync()
    {
        await _server.OnPoller(static () => true);
        await Eventually.True("the poller sleeps", () => _platform.Backend.IsAsleep);
    }

    private sealed class RecordingWaiter : IPollWaiter
    {
        public void Resume(PollSignals signals)
        {
        }

        public void Schedule(PollSignals signals)
        {
        }
    }
}
