using System.Text;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Moving;

/// <summary>Times that run go on at the other poller, whose clock is hours apart: none is early, none is lost, none comes twice.</summary>
public sealed class TimeMovingTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly ApartTime _time = new();
    private readonly ConnectionScript _script = new() { Deadline = static (_, _) => { } };
    private readonly TestServer _server;

    public TimeMovingTests()
    {
        _server = new TestServer(pollers: 2, new PollerOptions { TimeProvider = _time });
        Assert.True(Math.Abs(_server.Homes[0].Poller.Clock.ShiftTo(_server.Homes[1].Poller.Clock)) > TimeSpan.FromHours(1).TotalNanoseconds);
    }

    [Theory]
    [InlineData(DeadlineKind.Read)]
    [InlineData(DeadlineKind.Idle)]
    [InlineData(DeadlineKind.FirstByte)]
    [InlineData(DeadlineKind.Lifetime)]
    public async Task A_deadline_passes_after_the_move_as_it_would_have_before(DeadlineKind kind)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(self =>
        {
            switch (kind)
            {
                case DeadlineKind.Read:
                    self.SetReadDeadline(Deadline.After(10 * Second));
                    break;
                case DeadlineKind.Idle:
                    self.IdleTimeout = 10 * Second;
                    break;
                case DeadlineKind.FirstByte:
                    self.Deadlines = new DeadlineProfile { FirstByte = 10 * Second };
                    break;
                default:
                    self.Deadlines = new DeadlineProfile { Lifetime = 10 * Second };
                    break;
            }
        });
        await AdvanceAsync(4 * Second);
        await MoveAsync(connection);
        await AdvanceAsync(3 * Second);
        await MoveAsync(connection);
        await AdvanceAsync(2.9 * Second);
        Assert.DoesNotContain(connection.Events, static what => what is DeadlineKind);
        await MoveAsync(connection);
        await AdvanceAsync(0.102 * Second);

        await Eventually.True("the deadline", () => connection.Events.Contains(kind));
        Assert.Single(connection.Events, static what => what is DeadlineKind);
    }

    [Fact]
    public async Task A_deadline_that_has_passed_stays_passed_and_is_told_once()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(static self => self.SetReadDeadline(Deadline.After(Second)));
        await AdvanceAsync(2 * Second);
        await Eventually.True("the deadline", () => connection.Events.Contains(DeadlineKind.Read));
        await MoveAsync(connection);
        await peer.SendAsync("late");
        await connection.Do(static _ => { });
        Assert.Empty(connection.ReceivedBytes);

        await connection.Do(static self => self.SetReadDeadline(Deadline.None));
        await Eventually.Equal("bytes", 4, () => connection.ReceivedBytes.Length);
        Assert.Single(connection.Events, static what => what is DeadlineKind);
    }

    [Fact]
    public async Task A_write_timeout_that_runs_goes_on()
    {
        // More than the system takes, which widens its buffer, up to 4 MB on Linux, while a peer does not read.
        const int large = 16_000_000;
        Listener listener = await _server.ListenAsync(_script, new ConnectionOptions { WriteTimeout = 10 * Second, MaxOutputBytes = large });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, _script, receiveBuffer: 4096);
        using Peer _ = peer;
        await connection.Do(static self => self.Send(new byte[large]));
        TimeSpan quiet = TimeSpan.Zero;
        long sent = 0;
        while (!connection.Events.Contains(DeadlineKind.Write))
        {
            // The system itself moves bytes into its buffers now and then, which is progress and starts the time anew.
            ConnectionTable table = await _server.Ask<ConnectionTable>(_server.NetPoll.ConnectionTable, new GetConnections());
            ConnectionInfo row = Assert.Single(table.Connections);
            quiet = row.BytesSent == sent ? quiet + Second : TimeSpan.Zero;
            sent = row.BytesSent;
            Assert.InRange(quiet, TimeSpan.Zero, 11 * Second);
            Assert.InRange(row.OldestUnsent, TimeSpan.Zero, TimeSpan.FromMinutes(1));
            await MoveAsync(connection);
            await AdvanceAsync(Second);
        }

        Assert.InRange(quiet, 8 * Second, 11 * Second);
    }

    [Fact]
    public async Task A_heartbeat_beats_on()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(static self => self.Heartbeat = new Heartbeat(10 * Second, "PING\n"u8.ToArray()) { MaxMissed = 2 });
        await AdvanceAsync(6 * Second);
        await MoveAsync(connection);
        await AdvanceAsync(3.9 * Second);
        Assert.Equal(0, peer.Socket.Available);
        await AdvanceAsync(0.102 * Second);
        Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
        await MoveAsync(connection);
        await AdvanceAsync(10.002 * Second);
        Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
        await MoveAsync(connection);
        await AdvanceAsync(10.002 * Second);

        Assert.Equal(CloseReason.HeartbeatMissed, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task Limits_of_rates_hold_on_and_open_when_they_would_have()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer held = peer;
        await connection.Do(static self => self.RateLimits = new RateLimits
        {
            Inbound = new RateLimit { BytesPerSecond = 100, BytesBurst = 1000 },
            Outbound = new RateLimit { BytesPerSecond = 100, BytesBurst = 1000 },
        });
        await connection.Do(static self => self.Send(new byte[1500]));
        _ = await peer.ReceiveAsync(1000);
        await peer.SendAsync(new byte[1500]);
        await Eventually.Equal("bytes", 1000, () => connection.ReceivedBytes.Length);
        for (int tenths = 1; tenths <= 50; tenths++)
        {
            await MoveAsync(connection);
            Assert.Equal(1000 + ((tenths - 1) * 10), connection.ReceivedBytes.Length);
            await AdvanceAsync(0.1 * Second);
            await Eventually.Equal("bytes", 1000 + (tenths * 10), () => connection.ReceivedBytes.Length);
            _ = await peer.ReceiveAsync(10);
        }

        Assert.Equal(0, peer.Socket.Available);
    }

    [Fact]
    public async Task A_request_without_a_reply_ends_in_time()
    {
        Asker asker = new();
        Listener listener = await _server.ListenAsync(() => asker);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        Context there = await asker.Started.Soon();
        Task<string> request = await _server.Ask<Task<string>>(there.Pid, "ask");
        Task<string> answered = await _server.Ask<Task<string>>(there.Pid, "ask");
        await AdvanceAsync(2 * Second);
        await _server.Ask<ConnectionMoved>(there.Pid, new MoveConnection(_server.NetPoll.Pollers[1 - there.Poller]));
        await peer.SendAsync("2");
        Assert.Equal("2", await answered.Soon());
        await AdvanceAsync(2.9 * Second);
        Assert.False(request.IsCompleted);
        await AdvanceAsync(0.2 * Second);

        await Assert.ThrowsAsync<DeadlineExceededException>(() => request.Soon());
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync() =>
        await TestServer.OpenAsync(await _server.ListenAsync(_script), _script);

    private async Task MoveAsync(ScriptedConnection connection)
    {
        ConnectionMoved moved = await _server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(_server.NetPoll.Pollers[1 - connection.Poller.Index]));
        Assert.Equal(MoveOutcome.Moved, moved.Outcome);
        await connection.Do(static _ => { });
    }

    // Until both pollers have seen it, and what it made them do is done.
    private async Task AdvanceAsync(TimeSpan time)
    {
        _time.Advance(time);
        for (int round = 0; round < 3; round++)
        {
            await _server.OnPoller(static () => 0);
            await _server.OnPoller(static () => 0, 1);
        }
    }

    private sealed record Context(PID Pid, int Poller);

    /// <summary>Asks its peer, whose answer is the number of the question.</summary>
    private sealed class Asker : ConnectionActor
    {
        private readonly TaskCompletionSource<Context> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly PendingRequests<int, string> _pending;
        private int _last;

        public Asker() => _pending = new PendingRequests<int, string>(this);

        public Task<Context> Started => _started.Task;

        protected override void OnConnected() => _started.SetResult(new Context(base.Context.Self, Poller.Current!.Index));

        protected override Task OnMessage(object message)
        {
            base.Context.Respond(_pending.Add(++_last, 5 * Second));
            return Task.CompletedTask;
        }

        protected override int OnReceived(ReadOnlySpan<byte> bytes)
        {
            _ = _pending.TryComplete(bytes[0] - '0', Encoding.ASCII.GetString(bytes));
            return bytes.Length;
        }
    }

    /// <summary>A clock that jumps while the pollers are made, so that theirs begin at moments far apart.</summary>
    private sealed class ApartTime : FakeTimeProvider
    {
        private int _looks;

        public override long GetTimestamp()
        {
            if (Interlocked.Increment(ref _looks) <= 4)
            {
                Advance(TimeSpan.FromHours(1));
            }

            return base.GetTimestamp();
        }
    }
}
