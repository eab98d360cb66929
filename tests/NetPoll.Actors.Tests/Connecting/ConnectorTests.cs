using System.Net;
using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Connecting;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connecting;

/// <summary>A connector keeps a connection, tells how it stands, and stops when it is told to.</summary>
public sealed class ConnectorTests : IAsyncDisposable
{
    private static readonly ConnectorOptions Quick = new() { FirstDelay = TimeSpan.FromMilliseconds(1), MaxDelay = TimeSpan.FromMilliseconds(20) };

    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task It_connects_again_whenever_the_connection_ends_and_tells_every_step()
    {
        await using TestServer other = new();
        ConnectionScript accepted = new();
        Listener listener = await other.ListenAsync(accepted);
        ConnectionScript script = new();
        PID connector = Start(listener.EndPoint, script);
        Observer observer = await Observer.StartAsync(_server, connector);
        ConnectorState first = await observer.WhenAsync(ConnectorPhase.Connected);
        ScriptedConnection connection = await script.ConnectionOf(listener.EndPoint.Port);
        Assert.Equal(first.Connection, connection.Pid);
        Assert.Equal("netpoll/connector-test/1", connection.Pid.Id);
        Assert.Equal(1, first.Attempt);

        await connection.Do(static self => self.Abort());
        ConnectorState waiting = await observer.WhenAsync(ConnectorPhase.Waiting);
        Assert.Equal(CloseReason.Aborted, waiting.Closed!.Reason);
        Assert.Null(waiting.Connection);
        Assert.InRange(waiting.RetryIn!.Value, TimeSpan.FromTicks(1), TimeSpan.FromMilliseconds(1));
        Assert.Equal(2, (await observer.WhenAsync(ConnectorPhase.Connecting)).Attempt);
        ConnectorState second = await observer.WhenAsync(ConnectorPhase.Connected);

        Assert.Equal("netpoll/connector-test/2", second.Connection!.Id);
        Assert.Equal(second, await _server.Ask<ConnectorState>(connector, new GetConnectorState()));
        await Eventually.Equal("connections at the other end", 1, async () => (await other.Statistics(listener)).Active);
    }

    [Fact]
    public async Task A_server_that_is_away_is_found_when_it_comes_back()
    {
        IPEndPoint endPoint = ConnectTests.ClosedEndPoint("127.0.0.81");
        PID connector = Start(endPoint, new ConnectionScript());
        Observer observer = await Observer.StartAsync(_server, connector);
        ConnectorState refused = await observer.WhenAsync(ConnectorPhase.Waiting);
        Assert.Contains(endPoint.ToString(), Assert.IsType<IOException>(refused.Failure).Message, StringComparison.Ordinal);
        while (refused.Attempt < 3)
        {
            refused = await observer.WhenAsync(ConnectorPhase.Waiting);
        }

        await using TestServer other = new();
        await other.NetPoll.ListenAsync("back", endPoint, static () => new ScriptedConnection(new ConnectionScript()));

        Assert.True((await observer.WhenAsync(ConnectorPhase.Connected)).Attempt > 3);
        Assert.Contains(_server.Log.Entries, static entry => entry.Id == 141);
        Assert.Contains(_server.Log.Entries, static entry => entry.Id == 140);
    }

    [Fact]
    public async Task Its_waits_double_up_to_the_longest_and_begin_anew_after_a_connection_that_lasted()
    {
        FakeTimeProvider time = new();
        await using TestServer server = new(options: new PollerOptions { TimeProvider = time });
        IPEndPoint endPoint = ConnectTests.ClosedEndPoint("127.0.0.82");
        ConnectorOptions options = new() { FirstDelay = TimeSpan.FromSeconds(1), MaxDelay = TimeSpan.FromSeconds(5), Jitter = 0 };
        ConnectionScript script = new();
        PID connector = server.NetPoll.StartConnector("test", endPoint, () => new ScriptedConnection(script), options);
        Observer observer = await Observer.StartAsync(server, connector);
        foreach (int seconds in new[] { 1, 2, 4, 5, 5 })
        {
            Assert.Equal(TimeSpan.FromSeconds(seconds), (await observer.WhenAsync(ConnectorPhase.Waiting)).RetryIn);
            await ElapseAsync(seconds);
        }

        Assert.Equal(TimeSpan.FromSeconds(5), (await observer.WhenAsync(ConnectorPhase.Waiting)).RetryIn);
        await using TestServer other = new();
        await other.NetPoll.ListenAsync("back", endPoint, static () => new ScriptedConnection(new ConnectionScript()));
        await ElapseAsync(5);
        await observer.WhenAsync(ConnectorPhase.Connected);
        ScriptedConnection connection = await script.ConnectionOf(endPoint.Port);

        // Too short to count.
        await connection.Do(static self => self.Abort());
        ConnectorState brief = await observer.WhenAsync(ConnectorPhase.Waiting);
        Assert.Equal((TimeSpan.FromSeconds(5), 7), (brief.RetryIn, brief.Attempt));
        ConnectionScript next = new();
        await ElapseAsync(5);
        ConnectorState lasting = await observer.WhenAsync(ConnectorPhase.Connected);
        time.Advance(TimeSpan.FromSeconds(10));
        server.System.Root.Stop(lasting.Connection!);

        ConnectorState anew = await observer.WhenAsync(ConnectorPhase.Waiting);
        Assert.Equal((TimeSpan.FromSeconds(1), 0), (anew.RetryIn, anew.Attempt));

        // The timer is armed by the time the state is told, or a moment later: this waits for it.
        async Task ElapseAsync(int seconds)
        {
            ConnectorState before = await server.Ask<ConnectorState>(connector, new GetConnectorState());
            Assert.Equal(ConnectorPhase.Waiting, before.Phase);
            time.Advance(TimeSpan.FromSeconds(seconds));
        }
    }

    [Fact]
    public async Task It_gives_up_after_so_many_attempts_and_stops()
    {
        IPEndPoint endPoint = ConnectTests.ClosedEndPoint("127.0.0.83");
        ConnectorOptions options = new() { FirstDelay = TimeSpan.FromMilliseconds(1), MaxAttempts = 3 };
        TaskCompletionSource gate = new();
        options.Connect.Resolver = async (_, _) =>
        {
            await gate.Task;
            return [endPoint.Address];
        };
        PID connector = _server.NetPoll.StartConnector("test", new DnsEndPoint("away", endPoint.Port), static () => new ScriptedConnection(new ConnectionScript()), options);
        Task<bool> terminated = await _server.Watch(connector, static _ => true);
        Observer observer = await Observer.StartAsync(_server, connector);
        gate.SetResult();

        ConnectorState stopped = await observer.WhenAsync(ConnectorPhase.Stopped);

        Assert.Equal(3, stopped.Attempt);
        Assert.Contains($"away:{endPoint.Port}", stopped.Failure!.Message, StringComparison.Ordinal);
        await terminated.Soon();
    }

    [Fact]
    public async Task Stopped_while_it_is_connected_it_tells_the_connection_to_finish()
    {
        ConnectionScript accepted = new();
        Listener listener = await _server.ListenAsync(accepted);
        ConnectionScript script = new();
        PID connector = Start(listener.EndPoint, script);
        Observer observer = await Observer.StartAsync(_server, connector);
        await observer.WhenAsync(ConnectorPhase.Connected);
        ScriptedConnection connection = await script.ConnectionOf(listener.EndPoint.Port);

        await _server.System.Root.StopAsync(connector).Soon();

        Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
        Assert.Single(connection.Events, static told => told is "shutdown");
        Assert.Null((await observer.WhenAsync(ConnectorPhase.Stopped)).Connection);
        await Eventually.Equal("connections that are counted", 0, () => _server.NetPoll.Connections.Live);
    }

    [Fact]
    public async Task Stopped_while_it_connects_or_waits_it_makes_no_connection()
    {
        Listener listener = await _server.ListenAsync(new ConnectionScript());
        TaskCompletionSource<IPAddress[]> found = new();
        ConnectorOptions options = new() { Connect = { Resolver = (_, _) => found.Task } };
        PID connecting = _server.NetPoll.StartConnector(
            "connecting", new DnsEndPoint("slow", listener.EndPoint.Port), static () => new ScriptedConnection(new ConnectionScript()), options);
        PID waiting = _server.NetPoll.StartConnector(
            "waiting",
            ConnectTests.ClosedEndPoint("127.0.0.84"),
            static () => new ScriptedConnection(new ConnectionScript()),
            new ConnectorOptions { FirstDelay = TimeSpan.FromHours(1), MaxDelay = TimeSpan.FromHours(1) });
        Observer observer = await Observer.StartAsync(_server, waiting);
        await observer.WhenAsync(ConnectorPhase.Waiting);

        await _server.System.Root.StopAsync(connecting).Soon();
        await _server.System.Root.StopAsync(waiting).Soon();
        found.SetResult([listener.EndPoint.Address]);
        await observer.WhenAsync(ConnectorPhase.Stopped);

        Assert.Equal(0, (await _server.Statistics(listener)).Accepted);
        Assert.Equal(0, _server.NetPoll.ConnectorCount);
    }

    [Fact]
    public async Task A_stop_at_any_moment_leaves_no_connection()
    {
        await using TestServer other = new();
        Listener listener = await other.ListenAsync(new ConnectionScript());
        ConnectionScript script = new();
        int rounds = StressScale.Rounds(100);
        for (int round = 0; round < rounds; round++)
        {
            PID connector = _server.NetPoll.StartConnector($"test{round}", listener.EndPoint, () => new ScriptedConnection(script), Quick);
            SpinWait.SpinUntil(static () => false, TimeSpan.FromMicroseconds(round * 10));
            await _server.System.Root.StopAsync(connector).Soon();
        }

        await Eventually.Equal("connections that are counted", 0, () => _server.NetPoll.Connections.Live);
        await Eventually.Equal("connections at the other end", 0, async () => (await other.Statistics(listener)).Active);
        Assert.Equal(0, _server.NetPoll.ConnectorCount);
    }

    [Fact]
    public async Task The_shutdown_stops_it_and_its_connection_is_told_once()
    {
        await using TestServer other = new();
        Listener listener = await other.ListenAsync(new ConnectionScript());
        ConnectionScript script = new()
        {
            Shutdown = static self =>
            {
                self.Send("bye"u8);
                self.Close();
            },
        };
        PID connector = Start(listener.EndPoint, script);
        Observer observer = await Observer.StartAsync(_server, connector);
        await observer.WhenAsync(ConnectorPhase.Connected);
        ScriptedConnection connection = await script.ConnectionOf(listener.EndPoint.Port);

        await _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)).Soon();

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        Assert.Single(connection.Events, static told => told is "shutdown");
        Assert.Equal(1, (await other.Statistics(listener)).Accepted);
        Assert.IsType<DeadLetterProcess>(_server.System.ProcessRegistry.Get(connector));
        Assert.Throws<ObjectDisposedException>(() => Start(listener.EndPoint, script));
    }

    [Fact]
    public async Task A_factory_that_throws_counts_as_a_failed_attempt()
    {
        int made = 0;
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(new ConnectionScript());
        PID connector = _server.NetPoll.StartConnector(
            "test",
            listener.EndPoint,
            () => Interlocked.Increment(ref made) == 1 ? throw new FormatException("not yet") : new ScriptedConnection(script),
            new ConnectorOptions { FirstDelay = TimeSpan.FromMilliseconds(50), Jitter = 0 });
        Observer observer = await Observer.StartAsync(_server, connector);

        ConnectorState connected = await observer.WhenAsync(ConnectorPhase.Connected);

        Assert.Equal(2, connected.Attempt);
        Assert.IsType<FormatException>(Assert.Single(_server.Log.Entries, static entry => entry.Id == 141).Exception);
    }

    [Fact]
    public async Task A_handler_that_fails_at_the_start_costs_its_connection_and_the_next_one_follows()
    {
        ConnectionScript script = new() { Connected = static _ => throw new FormatException("on purpose") };
        Listener listener = await _server.ListenAsync(new ConnectionScript());
        PID connector = Start(listener.EndPoint, script);
        Observer observer = await Observer.StartAsync(_server, connector);

        for (int number = 0; number < 5; number++)
        {
            Assert.Equal(CloseReason.Error, (await observer.WhenAsync(ConnectorPhase.Waiting)).Closed!.Reason);
        }

        await _server.System.Root.StopAsync(connector).Soon();
    }

    [Fact]
    public async Task Names_are_used_once_and_options_are_checked()
    {
        IPEndPoint endPoint = ConnectTests.ClosedEndPoint("127.0.0.85");
        PID connector = Start(endPoint, new ConnectionScript());
        Assert.Equal("netpoll/connector-test", connector.Id);
        Assert.Throws<ProcessNameExistException>(() => Start(endPoint, new ConnectionScript()));
        (ConnectorOptions Options, string Named)[] cases =
        [
            (new ConnectorOptions { FirstDelay = TimeSpan.Zero }, "ConnectorOptions.FirstDelay is 00:00:00"),
            (new ConnectorOptions { MaxDelay = TimeSpan.FromMilliseconds(99) }, "ConnectorOptions.MaxDelay is 00:00:00.0990000"),
            (new ConnectorOptions { Jitter = 1.5 }, "ConnectorOptions.Jitter is 1.5"),
            (new ConnectorOptions { StableAfter = TimeSpan.FromSeconds(-1) }, "ConnectorOptions.StableAfter is -00:00:01"),
            (new ConnectorOptions { MaxAttempts = 0 }, "ConnectorOptions.MaxAttempts is 0"),
            (new ConnectorOptions { Connect = { ConnectTimeout = TimeSpan.Zero } }, "ConnectOptions.ConnectTimeout is 00:00:00"),
        ];

        foreach ((ConnectorOptions options, string named) in cases)
        {
            ArgumentException exception = Assert.ThrowsAny<ArgumentException>(
                () => _server.NetPoll.StartConnector("x", endPoint, static () => new ScriptedConnection(new ConnectionScript()), options));
            Assert.Contains(named, exception.Message, StringComparison.Ordinal);
        }

        await _server.System.Root.StopAsync(connector).Soon();
        await _server.System.Root.StopAsync(Start(endPoint, new ConnectionScript())).Soon();
    }

    [Fact]
    public void Chance_takes_away_a_part_of_the_wait_and_no_more()
    {
        double chance = 0;
        Backoff backoff = new(new ConnectorOptions { FirstDelay = TimeSpan.FromSeconds(1), MaxDelay = TimeSpan.FromSeconds(3), Jitter = 0.5 }, () => chance);

        Assert.Equal(TimeSpan.FromSeconds(1), backoff.Next());
        chance = 0.5;
        Assert.Equal(TimeSpan.FromSeconds(1.5), backoff.Next());
        chance = 0.999999;
        Assert.InRange(backoff.Next(), TimeSpan.FromSeconds(1.5), TimeSpan.FromSeconds(1.51));
        backoff.Reset();
        chance = 0;
        Assert.Equal(TimeSpan.FromSeconds(1), backoff.Next());
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private PID Start(EndPoint endPoint, ConnectionScript script) =>
        _server.NetPoll.StartConnector("test", endPoint, () => new ScriptedConnection(script), Quick);

    /// <summary>An actor that is sent a connector's states.</summary>
    private sealed class Observer
    {
        private readonly Channel<ConnectorState> _states = Channel.CreateUnbounded<ConnectorState>();

        /// <summary>The state of now is the first to come.</summary>
        public static async Task<Observer> StartAsync(TestServer server, PID connector)
        {
            Observer observer = new();
            TaskCompletionSource first = new(TaskCreationOptions.RunContinuationsAsynchronously);
            PID pid = server.System.Root.Spawn(Props.FromFunc(context =>
            {
                if (context.Message is ConnectorState state)
                {
                    observer._states.Writer.TryWrite(state);
                    first.TrySetResult();
                }

                return Task.CompletedTask;
            }));
            server.System.Root.Send(connector, new ObserveConnector(pid));
            await first.Task.Soon();
            return observer;
        }

        /// <summary>The next state of that kind; those before it are passed over.</summary>
        public async Task<ConnectorState> WhenAsync(ConnectorPhase phase)
        {
            while (true)
            {
                ConnectorState state = await _states.Reader.ReadAsync(TestContext.Current.CancellationToken).Soon();
                if (state.Phase == phase)
                {
                    return state;
                }
            }
        }
    }
}
