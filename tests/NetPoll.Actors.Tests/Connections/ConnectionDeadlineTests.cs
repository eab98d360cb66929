using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Deadlines by a clock that the test owns.</summary>
public sealed class ConnectionDeadlineTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;

    public ConnectionDeadlineTests() => _server = new TestServer(options: new PollerOptions { TimeProvider = _time });

    [Fact]
    public async Task Nothing_received_for_the_idle_timeout_closes_the_connection()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Connected = static self => self.IdleTimeout = 10 * Second });
        using Peer _ = peer;
        peer.CloseWriteWhenItEnds();

        await AdvanceAsync(9.999 * Second);
        Assert.Equal(["connected"], connection.Events);
        await AdvanceAsync(0.002 * Second);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.DeadlineExceeded, closed.Reason);
        Assert.Equal(["connected", DeadlineKind.Idle, closed], connection.Events);
    }

    [Fact]
    public async Task Received_bytes_start_the_idle_time_anew_and_sent_ones_do_not()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript
        {
            Connected = static self => self.IdleTimeout = 10 * Second,
            Deadline = static (_, _) => { },
        });
        using Peer _ = peer;
        for (int round = 1; round <= 3; round++)
        {
            await AdvanceAsync(9 * Second);
            await peer.SendAsync("x");
            int expected = round;
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
        }

        Assert.DoesNotContain(DeadlineKind.Idle, connection.Events);

        for (int round = 0; round < 5; round++)
        {
            await AdvanceAsync(1.9 * Second);
            await connection.Do(static self => self.Send("y"u8));
            Assert.Equal("y", await peer.ReceiveTextAsync(1));
        }

        Assert.DoesNotContain(DeadlineKind.Idle, connection.Events);
        await AdvanceAsync(1 * Second);
        await Eventually.True("the idle time is reported", () => connection.Events.Contains(DeadlineKind.Idle));
    }

    [Fact]
    public async Task A_handler_that_does_not_object_is_told_of_each_idle_time_once()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript
        {
            Connected = static self => self.IdleTimeout = 10 * Second,
            Deadline = static (_, _) => { },
        });
        using Peer _ = peer;

        for (int round = 1; round <= 3; round++)
        {
            await AdvanceAsync(10.001 * Second);
            int expected = round;
            await Eventually.Equal("idle times", expected, () => connection.Events.Count(static e => e is DeadlineKind.Idle));
        }

        await connection.Do(static self => self.IdleTimeout = null);
        await AdvanceAsync(100 * Second);
        Assert.Equal(3, connection.Events.Count(static e => e is DeadlineKind.Idle));
    }

    [Fact]
    public async Task Bytes_that_came_while_a_handler_awaited_count_against_the_idle_time()
    {
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Connected = static self => self.IdleTimeout = 10 * Second });
        using Peer _ = peer;
        Task handler = connection.Do(_ => gate.Task);
        await _server.OnPoller(static () => true);
        await peer.SendAsync("in time");
        await AdvanceAsync(11 * Second);

        gate.SetResult();
        await handler;
        await Eventually.Equal("bytes", 7, () => connection.ReceivedBytes.Length);
        await connection.Do(static _ => { });

        Assert.Equal(["connected"], connection.Events);
    }

    [Fact]
    public async Task Bytes_that_came_while_a_frame_was_handled_count_against_the_idle_time()
    {
        ParkingLines lines = new() { HasReadDeadline = false };
        Listener listener = await _server.ListenAsync(() => lines);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("a\n");
        await Eventually.Equal("lines", 1, () => lines.Events.Count);

        // Nobody waits for these: the turn that took the first line parked its handler.
        await peer.SendAsync("b\n");
        await AdvanceAsync(6 * Second);
        lines.Gate.SetResult();
        await Eventually.Equal("events", 2, () => lines.Events.Count);
        await AdvanceAsync(4 * Second);

        Assert.Equal(["a", "b"], lines.Events);
    }

    [Fact]
    public async Task A_read_deadline_that_passes_is_reported_once_and_bytes_wait_until_it_is_moved()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript
        {
            Connected = static self => self.SetReadDeadline(Deadline.After(5 * Second)),
            Deadline = static (_, _) => { },
        });
        using Peer _ = peer;
        await AdvanceAsync(4.999 * Second);
        Assert.Equal(["connected"], connection.Events);

        await AdvanceAsync(0.002 * Second);
        await Eventually.Equal("events", 2, () => connection.Events.Count);
        await peer.SendAsync("late");
        await AdvanceAsync(100 * Second);
        await connection.Do(static _ => { });
        Assert.Equal(["connected", DeadlineKind.Read], connection.Events);
        Assert.Empty(connection.ReceivedBytes);

        await connection.Do(static self => self.SetReadDeadline(Deadline.None));
        await Eventually.Equal("bytes", 4, () => connection.ReceivedBytes.Length);
        Assert.Equal(["connected", DeadlineKind.Read], connection.Events);
    }

    [Fact]
    public async Task A_read_deadline_that_passes_closes_unless_the_handler_objects()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Connected = static self => self.SetReadDeadline(Deadline.After(Second)) });
        using Peer _ = peer;
        peer.CloseWriteWhenItEnds();

        await AdvanceAsync(1.001 * Second);

        Assert.Equal(CloseReason.DeadlineExceeded, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_read_deadline_that_is_moved_in_time_is_never_reported()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript
        {
            Received = static (self, bytes) =>
            {
                self.Keep(bytes);
                self.SetReadDeadline(Deadline.After(5 * Second));
                return bytes.Length;
            },
        });
        using Peer _ = peer;

        for (int round = 1; round <= 5; round++)
        {
            await peer.SendAsync("x");
            int expected = round;
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
            await AdvanceAsync(4.9 * Second);
        }

        Assert.Equal(["connected"], connection.Events);
    }

    [Fact]
    public async Task A_read_deadline_in_the_past_is_reported_at_once()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Deadline = static (_, _) => { } });
        using Peer _ = peer;

        await connection.Do(static self => self.SetReadDeadline(Deadline.Past));
        await Eventually.Equal("events", 2, () => connection.Events.Count);
        await connection.Do(static self => self.SetReadDeadline(Deadline.Past));
        await Eventually.Equal("events", 3, () => connection.Events.Count);

        Assert.Equal(["connected", DeadlineKind.Read, DeadlineKind.Read], connection.Events);
    }

    [Fact]
    public async Task NP133_A_deadline_that_is_moved_before_the_turn_is_never_reported()
    {
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Connected = static self => self.SetReadDeadline(Deadline.After(5 * Second)) });
        using Peer _ = peer;
        Task handler = connection.Do(async self =>
        {
            await gate.Task;
            self.SetReadDeadline(Deadline.After(5 * Second));
        });
        await _server.OnPoller(static () => true);

        // It passes while the handler awaits, so no turn can report it.
        await AdvanceAsync(6 * Second);
        gate.SetResult();
        await handler;
        await connection.Do(static _ => { });

        Assert.Equal(["connected"], connection.Events);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NP134_Bytes_and_a_deadline_at_once_bytes_first_and_the_deadline_only_if_it_still_holds(bool extends)
    {
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAccepts(socket);
        await using TestServer server = new(options: new PollerOptions { TimeProvider = _time, Platform = platform });
        ConnectionScript script = new()
        {
            Connected = static self => self.SetReadDeadline(Deadline.After(5 * Second)),
            Received = (self, bytes) =>
            {
                self.Note("bytes");
                if (extends)
                {
                    self.SetReadDeadline(Deadline.After(5 * Second));
                }

                return bytes.Length;
            },
            Deadline = static (_, _) => { },
        };
        await server.ListenAsync(script);
        ScriptedConnection connection = await script.ConnectionOf(socket.RemoteEndPoint!.Port);
        socket.ThenReads(1, 2, 3);

        await server.OnPoller(() =>
        {
            // One iteration of the loop finds both.
            _time.Advance(6 * Second);
            platform.Backend.Inject(socket, Core.Backends.PollEventFlags.Read);
            return true;
        });
        await Eventually.True("the bytes came", () => connection.Events.Contains("bytes"));
        await connection.Do(static _ => { });
        await connection.Do(static _ => { });

        Assert.Equal(extends ? ["connected", "bytes"] : new object[] { "connected", "bytes", DeadlineKind.Read }, connection.Events);
    }

    [Fact]
    public async Task A_deadline_that_passes_while_a_handler_awaits_is_reported_after_it()
    {
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript
        {
            Connected = static self =>
            {
                self.SetReadDeadline(Deadline.After(5 * Second));
                self.IdleTimeout = 5 * Second;
            },
            Deadline = static (_, _) => { },
        });
        using Peer _ = peer;
        Task handler = connection.Do(async self =>
        {
            await gate.Task;
            self.Note("handled");
        });
        await _server.OnPoller(static () => true);

        await AdvanceAsync(6 * Second);
        gate.SetResult();
        await handler;
        await Eventually.Equal("events", 4, () => connection.Events.Count);

        Assert.Equal(["connected", "handled", DeadlineKind.Read, DeadlineKind.Idle], connection.Events);
    }

    [Fact]
    public async Task Frames_that_park_the_handler_keep_a_deadline_of_the_same_turn_waiting()
    {
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAccepts(socket);
        await using TestServer server = new(options: new PollerOptions { TimeProvider = _time, Platform = platform });
        ParkingLines lines = new();
        await server.ListenAsync(() => lines);
        await lines.Started.Task.Soon();
        socket.ThenReads("a\nb\n"u8.ToArray());

        await server.OnPoller(() =>
        {
            _time.Advance(6 * Second);
            platform.Backend.Inject(socket, Core.Backends.PollEventFlags.Read);
            return true;
        });
        await Eventually.Equal("lines", 1, () => lines.Events.Count);
        await server.OnPoller(static () => true);
        await server.OnPoller(static () => true);
        Assert.Equal(["a"], lines.Events);

        lines.Gate.SetResult();
        await Eventually.Equal("events", 3, () => lines.Events.Count);

        // The bytes came in time for the idle timeout.
        Assert.Equal(["a", "b", DeadlineKind.Read], lines.Events);
    }

    [Fact]
    public async Task A_peer_that_takes_nothing_for_the_write_timeout_is_reset()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        await connection.Do(static self => self.Send(new byte[8 * 1024 * 1024]));
        await _server.OnPoller(static () => true);
        await WaitUntilStuckAsync(connection);

        await AdvanceAsync(29 * Second);
        Assert.False(connection.HasClosed);
        await AdvanceAsync(2 * Second);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.DeadlineExceeded, closed.Reason);
        Assert.Contains(DeadlineKind.Write, connection.Events);
        Assert.Equal(8 * 1024 * 1024, closed.BytesSent + closed.BytesUnsent);
        await peer.ExpectResetAsync();
    }

    [Fact]
    public async Task The_write_timeout_of_a_handler_that_awaits_ends_its_connection_unasked()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Deadline = static (_, _) => { } }, receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        TaskCompletionSource gate = new();
        Task handler = connection.Do(self =>
        {
            self.Send(new byte[8 * 1024 * 1024]);
            return gate.Task;
        });
        await WaitUntilStuckAsync(connection);

        await AdvanceAsync(31 * Second);
        await peer.ExpectResetAsync();
        Assert.False(connection.HasClosed);
        gate.SetResult();
        await handler;
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.DeadlineExceeded, closed.Reason);
        Assert.Equal(8 * 1024 * 1024, closed.BytesSent + closed.BytesUnsent);
        Assert.DoesNotContain(DeadlineKind.Write, connection.Events);
    }

    [Fact]
    public async Task A_closing_connection_whose_peer_takes_nothing_is_reset_too()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        await connection.Do(static self =>
        {
            self.Send(new byte[8 * 1024 * 1024]);
            self.Close();
        });
        await WaitUntilStuckAsync(connection);

        await AdvanceAsync(31 * Second);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.DeadlineExceeded, closed.Reason);
        Assert.True(closed.BytesUnsent > 0);
    }

    [Fact]
    public async Task Each_byte_that_is_taken_starts_the_write_timeout_anew()
    {
        byte[] bytes = ConnectionReadingTests.Pattern(16 * 1024 * 1024);
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript(),
            new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024 },
            receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        await connection.Do(self => self.Send(bytes));
        long before = await WaitUntilStuckAsync(connection);
        List<byte> received = [];
        for (int round = 0; round < 3; round++)
        {
            await AdvanceAsync(25 * Second);
            long output = before;
            while (before == output)
            {
                // Until some of it is seen to leave the server.
                received.AddRange(await peer.ReceiveAsync(512 * 1024));
                before = await WaitUntilStuckAsync(connection);
            }
        }

        Assert.DoesNotContain(DeadlineKind.Write, connection.Events);
        received.AddRange(await peer.ReceiveAsync(bytes.Length - received.Count));
        Assert.True(bytes.AsSpan().SequenceEqual(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(received)));

        // All is sent, so there is nothing that could be late.
        await AdvanceAsync(100 * Second);
        Assert.DoesNotContain(DeadlineKind.Write, connection.Events);
    }

    [Fact]
    public async Task A_handler_may_give_a_peer_that_takes_nothing_another_period()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Deadline = static (_, _) => { } }, receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(4 * 1024 * 1024);
        await connection.Do(self => self.Send(bytes));
        await WaitUntilStuckAsync(connection);

        for (int round = 1; round <= 3; round++)
        {
            await AdvanceAsync(30.01 * Second);
            int expected = round;
            await Eventually.Equal("write timeouts", expected, () => connection.Events.Count(static e => e is DeadlineKind.Write));
            await AdvanceAsync(10 * Second);
            Assert.Equal(round, connection.Events.Count(static e => e is DeadlineKind.Write));
        }

        byte[] received = await peer.ReceiveAsync(bytes.Length);
        Assert.True(bytes.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public async Task Setting_deadlines_after_the_end_does_nothing()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript
        {
            Closed = static self =>
            {
                self.IdleTimeout = Second;
                self.SetReadDeadline(Deadline.After(Second));
                self.Send("late"u8);
                self.Close();
                self.Abort();
            },
        });
        peer.Dispose();
        await connection.WhenClosed;
        await Eventually.True("the PID is gone", () => _server.Find(connection.Pid) is null);

        await AdvanceAsync(10 * Second);
        await _server.OnPoller(static () => true);

        Assert.Empty(_server.DeadLetters);
        Assert.Empty(_server.Log.Errors);
        Assert.Equal(1, connection.Closings);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1000)]
    public async Task An_idle_timeout_that_is_none_is_refused(int milliseconds)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;

        await connection.Do(self => Assert.Throws<ArgumentOutOfRangeException>(() => self.IdleTimeout = TimeSpan.FromMilliseconds(milliseconds)));
        await connection.Do(static self =>
        {
            self.IdleTimeout = Timeout.InfiniteTimeSpan;
            Assert.Null(self.IdleTimeout);
            self.IdleTimeout = Second;
            Assert.Equal(Second, self.IdleTimeout);
        });
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionScript script, ConnectionOptions? options = null, int receiveBuffer = 0)
    {
        options ??= new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024, LingerTimeout = TimeSpan.FromHours(1) };
        return await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer);
    }

    // The poller has seen the new time, and everything that it made runnable has run.
    private async Task AdvanceAsync(TimeSpan time)
    {
        _time.Advance(time);
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
    }

    // What waits no longer moves: buffers on the way are full.
    private async Task<long> WaitUntilStuckAsync(ScriptedConnection connection)
    {
        long last = -1;
        int same = 0;
        while (same < 5)
        {
            long now = await _server.OnPoller(() => connection.OutputBytes);
            same = now == last && now > 0 ? same + 1 : 0;
            last = now;
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        return last;
    }

    private sealed class ParkingLines : LineConnectionActor
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<object> _events = new();

        public TaskCompletionSource Started { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Gate { get; } = new();

        public bool HasReadDeadline { get; init; } = true;

        public IReadOnlyList<object> Events => [.. _events];

        protected override void OnConnected()
        {
            if (HasReadDeadline)
            {
                SetReadDeadline(Deadline.After(5 * Second));
            }

            IdleTimeout = 5 * Second;
            Started.SetResult();
        }

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            _events.Enqueue(System.Text.Encoding.UTF8.GetString(line));
            return Gate.Task;
        }

        protected override void OnDeadline(DeadlineKind kind) => _events.Enqueue(kind);
    }
}
