using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>A poller as an actor: asked for figures, told to drain, watched, stopped.</summary>
public sealed class PollerDrainTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 2);
    private readonly List<Peer> _peers = [];

    private IRootContext Root => _server.System.Root;

    private PID First => _server.NetPoll.Pollers[0];

    [Fact]
    public async Task Its_connections_are_told_and_end_the_other_poller_s_go_on_and_get_the_new_ones()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.FromMilliseconds(10) });
        List<(Peer Peer, ScriptedConnection Connection)> connections = await OpenOnBothAsync(listener, script);

        PollerDrained drained = await DrainAsync(TimeSpan.FromMinutes(1));

        Assert.Equal(new PollerDrained(First, 0), drained);
        foreach ((Peer peer, ScriptedConnection connection) in connections)
        {
            if (IsOnFirst(connection))
            {
                Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
                Assert.Contains("shutdown", connection.Events);
            }
            else
            {
                await peer.SendAsync("still here");
                Assert.Equal("still here", await peer.ReceiveTextAsync(10));
            }
        }

        for (int number = 0; number < 20; number++)
        {
            Assert.False(IsOnFirst((await OpenAsync(listener, script)).Connection));
        }
    }

    [Fact]
    public async Task Who_has_not_ended_when_the_time_is_over_is_reset_and_counted()
    {
        ConnectionScript script = new() { Shutdown = static _ => { } };
        Listener listener = await _server.ListenAsync(script);
        List<(Peer Peer, ScriptedConnection Connection)> connections = await OpenOnBothAsync(listener, script);
        int late = connections.Count(entry => IsOnFirst(entry.Connection));

        PollerDrained drained = await DrainAsync(TimeSpan.FromMilliseconds(30));

        Assert.Equal(late, drained.Reset);
        foreach ((Peer peer, ScriptedConnection connection) in connections.Where(entry => IsOnFirst(entry.Connection)))
        {
            await peer.ExpectResetAsync();
            Assert.Equal(["connected", "shutdown", await connection.WhenClosed], connection.Events);
        }

        Assert.Contains($"{late} connections of poller-0", Assert.Single(_server.Log.Entries, static entry => entry.Id == 120).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_it_drains_it_answers_and_a_connection_that_fails_is_still_stopped()
    {
        ConnectionScript script = new()
        {
            Shutdown = static _ => { },
            Message = static (_, _) => throw new InvalidOperationException("on purpose"),
        };
        Listener listener = await _server.ListenAsync(script);
        List<(Peer Peer, ScriptedConnection Connection)> connections = await OpenOnBothAsync(listener, script);
        ScriptedConnection[] mine = [.. connections.Select(static entry => entry.Connection).Where(IsOnFirst)];

        Task<PollerDrained> drained = DrainAsync(Timeout.InfiniteTimeSpan);
        await Eventually.True("they are told", () => mine.All(static connection => connection.Events.Contains("shutdown")));
        PollerSnapshot snapshot = await Root.RequestAsync<PollerSnapshot>(First, new GetPollerSnapshot(), TestContext.Current.CancellationToken).Soon();
        Assert.Equal("poller-0", snapshot.Poller);
        Assert.False(drained.IsCompleted);
        foreach (ScriptedConnection connection in mine)
        {
            Root.Send(connection.Pid, "fail");
            Assert.Equal(CloseReason.Error, (await connection.WhenClosed).Reason);
        }

        Assert.Equal(0, (await drained).Reset);
    }

    [Fact]
    public async Task Two_may_ask_and_the_shortest_time_counts_for_both()
    {
        ConnectionScript script = new() { Shutdown = static _ => { } };
        Listener listener = await _server.ListenAsync(script);
        await OpenOnBothAsync(listener, script);

        Task<PollerDrained> patient = DrainAsync(Timeout.InfiniteTimeSpan);
        PollerDrained impatient = await DrainAsync(TimeSpan.Zero);

        Assert.True(impatient.Reset > 0);
        Assert.Equal(0, (await patient).Reset);
    }

    [Fact]
    public async Task A_handler_that_awaits_is_reset_in_time_and_told_when_it_returns()
    {
        TaskCompletionSource gate = new();
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        List<(Peer Peer, ScriptedConnection Connection)> connections = await OpenOnBothAsync(listener, script);
        ScriptedConnection waiting = connections.Select(static entry => entry.Connection).First(IsOnFirst);
        Task handler = waiting.Do(_ => gate.Task);

        PollerDrained drained = await DrainAsync(TimeSpan.FromMilliseconds(30));
        Assert.True(drained.Reset >= 1);
        Assert.False(waiting.HasClosed);

        gate.SetResult();
        await handler;
        Assert.Equal(CloseReason.Shutdown, (await waiting.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_poller_without_connections_is_drained_at_once_and_again()
    {
        Assert.Equal(new PollerDrained(First, 0), await DrainAsync(Timeout.InfiniteTimeSpan));
        Assert.Equal(new PollerDrained(First, 0), await DrainAsync(TimeSpan.Zero));
    }

    [Fact]
    public async Task A_listener_that_begins_later_does_not_accept_on_it()
    {
        await DrainAsync(TimeSpan.Zero);
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);

        for (int number = 0; number < 20; number++)
        {
            Assert.False(IsOnFirst((await OpenAsync(listener, script)).Connection));
        }
    }

    [Fact]
    public async Task Round_robin_leaves_it_out_and_its_other_actors_go_on()
    {
        Props props = Props.FromFunc(static context =>
        {
            if (context.Message is "where")
            {
                context.Respond(Poller.Current!);
            }

            return Task.CompletedTask;
        });
        PID old = Root.Spawn(props.OnPoller(PollerChoice.At(0)));

        await DrainAsync(TimeSpan.Zero);

        for (int number = 0; number < 4; number++)
        {
            Assert.Equal("poller-1", (await WhereIs(Root.Spawn(props.OnPoller(PollerChoice.RoundRobin)))).Name);
        }

        Assert.Equal("poller-0", (await WhereIs(old)).Name);
        await Root.RequestAsync<PollerDrained>(_server.NetPoll.Pollers[1], new DrainPoller(TimeSpan.Zero), TestContext.Current.CancellationToken).Soon();
        Assert.NotNull(await WhereIs(Root.Spawn(props.OnPoller(PollerChoice.RoundRobin))));
    }

    [Fact]
    public async Task A_listener_listens_as_long_as_one_poller_serves_it()
    {
        Listener listener = await _server.ListenAsync(new ConnectionScript());

        await DrainAsync(TimeSpan.Zero);
        Assert.Equal([listener], _server.NetPoll.Listeners);

        await Root.RequestAsync<PollerDrained>(_server.NetPoll.Pollers[1], new DrainPoller(TimeSpan.Zero), TestContext.Current.CancellationToken).Soon();
        Assert.Empty(_server.NetPoll.Listeners);
    }

    [Fact]
    public async Task Nobody_need_wait_for_the_answer()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.FromMilliseconds(10) });
        List<(Peer Peer, ScriptedConnection Connection)> connections = await OpenOnBothAsync(listener, script);

        Root.Send(First, new DrainPoller(TimeSpan.FromMinutes(1)));

        await Task.WhenAll(connections.Select(static entry => entry.Connection).Where(IsOnFirst).Select(static connection => connection.WhenClosed));
        await Root.RequestAsync<PollerSnapshot>(First, new GetPollerSnapshot(), TestContext.Current.CancellationToken).Soon();
        Assert.Empty(_server.DeadLetters);
    }

    [Fact]
    public async Task Stopping_it_ends_its_connections_and_its_watchers_are_told()
    {
        ConnectionScript script = new() { Shutdown = static _ => { } };
        Listener listener = await _server.ListenAsync(script);
        List<(Peer Peer, ScriptedConnection Connection)> connections = await OpenOnBothAsync(listener, script);
        Task<int> told = await _server.Watch(First, _ => connections.Count(entry => IsOnFirst(entry.Connection) && entry.Connection.HasClosed));

        Root.Stop(First);
        await told.Soon();

        foreach ((Peer peer, ScriptedConnection connection) in connections.Where(entry => IsOnFirst(entry.Connection)))
        {
            await peer.ExpectResetAsync();
            Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
        }

        Assert.All(connections.Where(entry => !IsOnFirst(entry.Connection)), static entry => Assert.False(entry.Connection.HasClosed));
    }

    [Theory]
    [InlineData(-2)]
    [InlineData(-10_000)]
    public void A_time_below_zero_is_an_error_that_names_it(int milliseconds)
    {
        TimeSpan time = TimeSpan.FromMilliseconds(milliseconds);

        Assert.Equal(time, Assert.Throws<ArgumentOutOfRangeException>(() => new DrainPoller(time)).ActualValue);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _peers.ForEach(static peer => peer.Dispose());
    }

    private static bool IsOnFirst(ScriptedConnection connection) => connection.Poller.Index == 0;

    private Task<PollerDrained> DrainAsync(TimeSpan time) =>
        Root.RequestAsync<PollerDrained>(First, new DrainPoller(time), TestContext.Current.CancellationToken).Soon();

    private Task<Poller> WhereIs(PID pid) => Root.RequestAsync<Poller>(pid, "where", TestContext.Current.CancellationToken).Soon();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(Listener listener, ConnectionScript script)
    {
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        _peers.Add(peer);
        return (peer, connection);
    }

    // The system chooses the poller: at least two on each.
    private async Task<List<(Peer Peer, ScriptedConnection Connection)>> OpenOnBothAsync(Listener listener, ConnectionScript script)
    {
        List<(Peer Peer, ScriptedConnection Connection)> connections = [];
        while (connections.Count(static entry => IsOnFirst(entry.Connection)) < 2 || connections.Count(static entry => !IsOnFirst(entry.Connection)) < 2)
        {
            connections.Add(await OpenAsync(listener, script));
        }

        return connections;
    }
}
