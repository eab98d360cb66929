using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Signs of life, by a clock that the test owns.</summary>
public sealed class HeartbeatTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly byte[] Ping = "PING\n"u8.ToArray();

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;

    public HeartbeatTests() => _server = new TestServer(options: new PollerOptions { TimeProvider = _time });

    [Fact]
    public async Task A_peer_that_does_not_answer_is_asked_as_often_as_was_said_and_then_reset()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new Heartbeat(10 * Second, Ping) { MaxMissed = 3 });
        using Peer _ = peer;
        for (int missed = 1; missed <= 3; missed++)
        {
            await AdvanceAsync(9.9 * Second);
            Assert.Equal(0, peer.Socket.Available);
            await AdvanceAsync(0.101 * Second);
            Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
        }

        await AdvanceAsync(9.9 * Second);
        Assert.False(connection.HasClosed);
        await AdvanceAsync(0.101 * Second);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.HeartbeatMissed, closed.Reason);
        Assert.Null(closed.Exception);
        Assert.Equal(["connected", closed], connection.Events);
        await peer.ExpectResetAsync();
    }

    [Fact]
    public async Task A_peer_that_talks_is_not_asked_and_one_that_answers_stays()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new Heartbeat(10 * Second, Ping) { MaxMissed = 1 });
        using Peer _ = peer;
        int received = 0;
        for (int round = 0; round < 5; round++)
        {
            await AdvanceAsync(9 * Second);
            await SayAsync();
        }

        Assert.Equal(0, peer.Socket.Available);
        for (int round = 0; round < 5; round++)
        {
            await AdvanceAsync(10.001 * Second);
            Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
            await AdvanceAsync(9.9 * Second);
            await SayAsync();
        }

        Assert.Equal(["connected"], connection.Events);

        async Task SayAsync()
        {
            await peer.SendAsync("x");
            received++;
            await Eventually.Equal("bytes", received, () => connection.ReceivedBytes.Length);
        }
    }

    [Fact]
    public async Task Where_the_handler_decides_other_bytes_are_no_answer()
    {
        ConnectionScript script = new()
        {
            Received = static (self, bytes) =>
            {
                self.Keep(bytes);
                if (bytes.IndexOf((byte)'!') >= 0)
                {
                    self.HeartbeatAnswered();
                }

                return bytes.Length;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new Heartbeat(10 * Second, Ping) { MaxMissed = 1, Answer = HeartbeatAnswer.Explicit }, script);
        using Peer _ = peer;
        for (int round = 1; round <= 3; round++)
        {
            await AdvanceAsync(10.001 * Second);
            Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
            await peer.SendAsync("!");
            int expected = round;
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
        }

        await AdvanceAsync(10.001 * Second);
        Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
        await peer.SendAsync("not what you asked for");
        await Eventually.True("the bytes came", () => connection.ReceivedBytes.Length > 3);
        await AdvanceAsync(10.001 * Second);

        Assert.Equal(CloseReason.HeartbeatMissed, (await connection.WhenClosed).Reason);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task While_nothing_is_read_pings_go_on_and_none_counts(bool suspends)
    {
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new Heartbeat(10 * Second, Ping) { MaxMissed = 1 });
        using Peer _ = peer;
        Task handler = Task.CompletedTask;
        if (suspends)
        {
            await connection.Do(static self => self.SuspendReading());
        }
        else
        {
            handler = connection.Do(_ => gate.Task);
            await _server.OnPoller(static () => true);
        }

        for (int round = 0; round < 4; round++)
        {
            await AdvanceAsync(10.001 * Second);
            Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
        }

        await peer.SendAsync("all the time");
        gate.SetResult();
        await handler;
        await connection.Do(static self => self.ResumeReading());
        await Eventually.True("the answer came", () => connection.ReceivedBytes.Length > 0);
        Assert.Equal(["connected"], connection.Events);

        // From now on it counts again.
        await AdvanceAsync(10.001 * Second);
        await AdvanceAsync(10.001 * Second);
        Assert.Equal(CloseReason.HeartbeatMissed, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_handler_may_begin_and_end_it_at_any_time()
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(null, script);
        using Peer _ = peer;
        await AdvanceAsync(1000 * Second);
        Assert.Equal(0, peer.Socket.Available);

        Heartbeat heartbeat = new(10 * Second, Ping) { MaxMissed = 1 };
        await connection.Do(self => self.Heartbeat = heartbeat);
        Assert.Same(heartbeat, await connection.Ask(static self => self.Heartbeat));
        await AdvanceAsync(10.001 * Second);
        Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
        await connection.Do(static self => self.Heartbeat = null);
        await AdvanceAsync(1000 * Second);

        Assert.Equal(["connected"], connection.Events);
        Assert.Equal(0, peer.Socket.Available);
    }

    [Fact]
    public async Task A_plain_actor_sets_it_by_message_and_is_told_the_reason_of_the_end()
    {
        RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync("plain", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID connection = (await handler.Next<Connected>()).Connection;
        _server.System.Root.Send(connection, new SetHeartbeat(new Heartbeat(10 * Second, Ping) { MaxMissed = 1, Answer = HeartbeatAnswer.Explicit }));
        await Obeyed();
        await AdvanceAsync(10.001 * Second);
        Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));
        _server.System.Root.Send(connection, HeartbeatAnswered.Instance);
        await Obeyed();
        await AdvanceAsync(10.001 * Second);
        Assert.Equal("PING\n", await peer.ReceiveTextAsync(5));

        await AdvanceAsync(10.001 * Second);

        Assert.Equal(CloseReason.HeartbeatMissed, (await handler.Next<ConnectionClosed>()).Reason);

        Task Obeyed() => _server.Ask<WriteAcknowledged>(connection, new Write(ReadOnlyMemory<byte>.Empty, Acknowledge.Queued));
    }

    [Theory]
    [InlineData(0, 1, 2, "Interval is 00:00:00")]
    [InlineData(1, 0, 2, "Ping is empty")]
    [InlineData(1, 1, 0, "MaxMissed is 0")]
    public async Task One_that_makes_no_sense_is_refused(int seconds, int length, int missed, string expected)
    {
        ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() => _server.ListenAsync(
            new ConnectionScript(),
            new ConnectionOptions { Heartbeat = new Heartbeat(seconds * Second, new byte[length]) { MaxMissed = missed } }));

        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(Heartbeat? heartbeat, ConnectionScript? script = null)
    {
        script ??= new ConnectionScript();
        return await TestServer.OpenAsync(await _server.ListenAsync(script, new ConnectionOptions { Heartbeat = heartbeat }), script);
    }

    // The poller has seen the new time, and everything that it made runnable has run.
    private async Task AdvanceAsync(TimeSpan time)
    {
        _time.Advance(time);
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
    }
}
