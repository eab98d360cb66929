using System.Net;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>The peer ends its side while nothing is read: the handler learns it, once, and may let go of what it holds for it.</summary>
public sealed class PeerHungUpTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 2);
    private readonly ConnectionScript _script = new();

    [Fact]
    public async Task A_handler_that_suspended_reading_may_close_at_once()
    {
        _script.PeerHungUp = static self => self.Close(CloseReason.Peer);
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(static self => self.SuspendReading());

        peer.CloseWrite();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Peer, closed.Reason);
        Assert.Equal(["connected", "peer hung up", closed], connection.Events);
    }

    [Fact]
    public async Task A_handler_that_does_nothing_is_told_of_the_end_when_it_resumes()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(static self => self.SuspendReading());
        peer.CloseWrite();
        await TellsAsync(connection);
        Assert.False(connection.HasClosed);

        await connection.Do(static self => self.Send("still here"u8));
        Assert.Equal("still here", await peer.ReceiveTextAsync(10));
        await connection.Do(static self => self.ResumeReading());
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(["connected", "peer hung up", "peer closed", closed], connection.Events);
    }

    [Fact]
    public async Task A_handler_whose_demand_is_used_up_is_told()
    {
        TestBackend.SkipOnPortable("A FIN behind unread bytes is seen when they are read.");
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(static self => self.Demand(1, DemandUnit.Bytes));
        await peer.SendAsync("abc");
        peer.CloseWrite();
        await TellsAsync(connection);
        Assert.Equal("a"u8, connection.ReceivedBytes);

        await connection.Do(static self => self.Demand(5, DemandUnit.Bytes));
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal("abc"u8, connection.ReceivedBytes);
        Assert.Equal(["connected", "peer hung up", "peer closed", closed], connection.Events);
    }

    [Fact]
    public async Task A_handler_that_awaits_and_has_suspended_reading_is_told_when_it_is_done()
    {
        TaskCompletionSource entered = new();
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        Task handler = connection.Do(async self =>
        {
            self.SuspendReading();
            entered.SetResult();
            await gate.Task;
            self.Note("handled");
        });
        await entered.Task.Soon();
        long events = EventsReturned();
        peer.CloseWrite();
        await Eventually.True("the system tells", () => EventsReturned() > events);

        gate.SetResult();
        await handler;
        await TellsAsync(connection, after: "handled");
    }

    [Theory]
    [InlineData(ConnectionScheduling.Poller)]
    [InlineData(ConnectionScheduling.ThreadPool)]
    public async Task A_handler_that_throws_over_it_ends_its_connection(ConnectionScheduling scheduling)
    {
        _script.PeerHungUp = static _ => throw new InvalidOperationException("no");
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionOptions { Scheduling = scheduling });
        using Peer _ = peer;
        await connection.Do(static self => self.SuspendReading());

        peer.CloseWrite();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal((CloseReason.Error, "no"), (closed.Reason, closed.Exception!.Message));
        Assert.Equal(["connected", "peer hung up", closed], connection.Events);
    }

    [Fact]
    public async Task On_the_thread_pool_it_is_told_once_and_the_rest_follows()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionOptions { Scheduling = ConnectionScheduling.ThreadPool });
        using Peer _ = peer;
        await connection.Do(static self => self.SuspendReading());
        peer.CloseWrite();
        await TellsAsync(connection);

        await connection.Do(static self => self.ResumeReading());
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(["connected", "peer hung up", "peer closed", closed], connection.Events);
    }

    [Fact]
    public async Task A_connection_that_moves_is_told_once()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;
        await connection.Do(static self => self.SuspendReading());
        peer.CloseWrite();
        await TellsAsync(connection);
        for (int move = 1; move <= 4; move++)
        {
            await MoveAsync(connection);
        }

        Assert.Single(connection.Events, "peer hung up");
        await connection.Do(static self => self.ResumeReading());
        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(["peer closed", closed], connection.Events.TakeLast(2));
    }

    [Fact]
    public async Task A_connection_that_moves_meanwhile_is_told()
    {
        for (int round = 0; round < StressScale.Rounds(50); round++)
        {
            (Peer peer, ScriptedConnection connection) = await OpenAsync();
            using Peer _ = peer;
            await connection.Do(static self => self.SuspendReading());

            Task moving = MoveAsync(connection);
            peer.CloseWrite();
            await Eventually.True("told", () => connection.Events.Contains("peer hung up"));
            await moving;
            await connection.Do(static _ => { });

            Assert.Single(connection.Events, "peer hung up");
        }
    }

    [Fact]
    public async Task The_next_actor_after_a_restart_is_told_again()
    {
        Fragile.Life life = new();
        Listener listener = await _server.ListenAsync(() => new Fragile(life), new ConnectionOptions { Restart = new RestartPolicy() });
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        peer.CloseWrite();

        await life.Closed.Task.Soon();
        Assert.Equal(["connected", "peer hung up", "restarted", "peer hung up", "peer closed"], life.Events);
    }

    [Fact]
    public async Task A_plain_actor_is_told_by_a_message()
    {
        RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync("handled", new IPEndPoint(IPAddress.Loopback, 0), handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID connection = (await handler.Next<Connected>()).Connection;
        await _server.Ask<ReadingSuspended>(connection, SuspendReading.Instance);

        peer.CloseWrite();
        Assert.Equal(new PeerHungUp(connection), await handler.Next<PeerHungUp>());

        _server.System.Root.Send(connection, ResumeReading.Instance);
        Assert.Equal(new PeerClosed(connection), await handler.Next<PeerClosed>());
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static async Task TellsAsync(ScriptedConnection connection, string after = "connected")
    {
        await Eventually.True("it is told", () => connection.Events.Contains("peer hung up"));

        // Behind a turn that would tell it again.
        await connection.Do(static _ => { });
        Assert.Equal([after, "peer hung up"], connection.Events.TakeLast(2));
    }

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionOptions? options = null) =>
        await TestServer.OpenAsync(await _server.ListenAsync(_script, options), _script);

    private long EventsReturned() => _server.Homes.Sum(static home => home.Poller.Snapshot().EventsReturned);

    private async Task MoveAsync(ScriptedConnection connection)
    {
        PID target = _server.NetPoll.Pollers[1 - connection.Poller.Index];
        Assert.Equal(MoveOutcome.Moved, (await _server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(target))).Outcome);

        // Behind its first turn there, in which it is told.
        await connection.Do(static _ => { });
    }

    /// <summary>Reads nothing, and fails the first time that it hears of the end.</summary>
    private sealed class Fragile(Fragile.Life life) : ConnectionActor
    {
        protected override void OnConnected() => Begin("connected");

        protected override void OnRestarted(Exception failure) => Begin("restarted");

        protected override void OnPeerHungUp()
        {
            life.Events.Add("peer hung up");
            if (life.Events.Count < 3)
            {
                throw new InvalidOperationException("once");
            }

            ResumeReading();
        }

        protected override void OnPeerClosed()
        {
            life.Events.Add("peer closed");
            base.OnPeerClosed();
        }

        protected override void OnClosed(ConnectionClosed closed) => life.Closed.SetResult(closed);

        private void Begin(string what)
        {
            life.Events.Add(what);
            SuspendReading();
        }

        internal sealed class Life
        {
            public List<string> Events { get; } = [];

            public TaskCompletionSource<ConnectionClosed> Closed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
