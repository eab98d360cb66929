using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests;

/// <summary>How everything ends: in order, or abruptly.</summary>
public sealed class ShutdownTests
{
    [Fact]
    public async Task Connections_are_told_and_may_finish_what_they_do()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new()
        {
            Shutdown = static self => self.Send("finishing;"u8),
            Received = static (self, bytes) =>
            {
                self.Send("done"u8);
                self.Close();
                return bytes.Length;
            },
        };
        Listener listener = await server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        Task shutdown = server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("finishing;", await peer.ReceiveTextAsync(10));
        Assert.False(shutdown.IsCompleted);
        await peer.SendAsync("go on");
        Assert.Equal("done"u8.ToArray(), await peer.ReceiveToEndAsync());
        peer.CloseWrite();
        await shutdown.Soon();

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        Assert.Contains("shutdown", connection.Events);
        Assert.DoesNotContain(server.Log.Entries, static entry => entry.Id == 107);
    }

    [Fact]
    public async Task When_connections_are_told_nobody_is_accepted_any_more()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new() { Shutdown = static self => self.Send("told"u8) };

        // An address of the test's own, so that no other test takes the port meanwhile.
        Listener listener = await server.NetPoll.ListenAsync(
            "first", new System.Net.IPEndPoint(System.Net.IPAddress.Parse("127.0.0.85"), 0), () => new ScriptedConnection(script)).Soon();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        Task<bool> listenerStopped = await server.Watch(listener.Pid, static _ => true);

        Task shutdown = server.NetPoll.ShutdownAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal("told", await peer.ReceiveTextAsync(4));
        SocketException refused = await Assert.ThrowsAnyAsync<SocketException>(() => Peer.ConnectAsync(listener.EndPoint));
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        Assert.False(shutdown.IsCompleted);
        Assert.False(connection.HasClosed);

        peer.CloseWrite();
        await shutdown.Soon();
        await listenerStopped.Soon();
        Assert.Equal(CloseReason.Peer, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task Unless_told_otherwise_a_connection_sends_what_waits_and_closes()
    {
        await using TestServer server = new();
        byte[] bytes = Connections.ConnectionReadingTests.Pattern(8 * 1024 * 1024);
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script, new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024 });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        await connection.Do(self => self.Send(bytes));

        Task shutdown = server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30));
        byte[] received = await peer.ReceiveToEndAsync();
        peer.CloseWrite();
        await shutdown.Soon();

        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task What_has_not_ended_when_the_time_is_over_is_reset_and_told()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new() { Shutdown = static _ => { } };
        Listener listener = await server.ListenAsync(script);
        List<(Peer Peer, ScriptedConnection Connection)> all = [];
        for (int number = 0; number < 6; number++)
        {
            all.Add(await TestServer.OpenAsync(listener, script));
        }

        await server.NetPoll.ShutdownAsync(TimeSpan.FromMilliseconds(50)).Soon();

        foreach ((Peer peer, ScriptedConnection connection) in all)
        {
            await peer.ExpectResetAsync();
            ConnectionClosed closed = await connection.WhenClosed;
            Assert.Equal(CloseReason.Shutdown, closed.Reason);
            Assert.Equal(["connected", "shutdown", closed], connection.Events);
            peer.Dispose();
        }

        Assert.Contains("6 connections", Assert.Single(server.Log.Entries, static entry => entry.Id == 107).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1_000)]
    [InlineData(-2)]
    public async Task A_time_below_zero_is_an_error_that_names_it_and_nothing_stops(int milliseconds)
    {
        await using TestServer server = new();
        TimeSpan time = TimeSpan.FromMilliseconds(milliseconds);
        ConnectionScript script = ConnectionScript.Echo();
        (Peer peer, ScriptedConnection _) = await TestServer.OpenAsync(await server.ListenAsync(script), script);
        using Peer _ = peer;

        ArgumentOutOfRangeException refused = Assert.Throws<ArgumentOutOfRangeException>(() => server.NetPoll.ShutdownAsync(time).IsCompleted);

        Assert.Equal(time, refused.ActualValue);
        Assert.Single(server.NetPoll.Listeners);
        await peer.SendAsync("hello");
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_time_longer_than_any_timer_s_is_as_good_as_for_ever(bool isOfOnePoller)
    {
        await using TestServer server = new();
        ConnectionScript script = new() { Shutdown = static self => self.Send("told"u8) };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await server.ListenAsync(script), script);
        using Peer _ = peer;

        Task ended = isOfOnePoller
            ? server.Ask<PollerDrained>(server.NetPoll.Pollers[0], new DrainPoller(TimeSpan.MaxValue))
            : server.NetPoll.ShutdownAsync(TimeSpan.MaxValue);
        Assert.Equal("told", await peer.ReceiveTextAsync(4));
        Assert.False(ended.IsCompleted);
        peer.CloseWrite();
        await ended.Soon();

        Assert.Equal(CloseReason.Peer, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_handler_that_never_returns_from_an_await_keeps_no_descriptor_and_is_told_when_it_does()
    {
        TaskCompletionSource gate = new();
        await using TestServer server = new();
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;
        Task handler = connection.Do(async self =>
        {
            await gate.Task;
            self.Send("nobody hears it"u8);
        });
        await server.OnPoller(static () => true);

        await server.NetPoll.ShutdownAsync(TimeSpan.FromMilliseconds(20)).Soon();
        await peer.ExpectResetAsync();
        Assert.False(Descriptors.Has(socket));
        Assert.False(connection.HasClosed);

        gate.SetResult();
        await handler;
        Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
        Assert.Equal(1, connection.Closings);
        await Eventually.True("the PID is gone", () => server.Find(connection.Pid) is null);
    }

    [Fact]
    public async Task After_it_nothing_is_accepted_and_the_pollers_and_their_actors_are_gone()
    {
        await using TestServer server = new(pollers: 2);
        Listener listener = await server.ListenAsync(new ConnectionScript());
        PID[] pids = [listener.Pid, .. server.NetPoll.Pollers];

        await server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(1)).Soon();
        await server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(1)).Soon(); // Harmless.

        await Assert.ThrowsAnyAsync<SocketException>(() => Peer.ConnectAsync(listener.EndPoint));
        Assert.All(pids, pid => Assert.IsType<DeadLetterProcess>(server.System.ProcessRegistry.Get(pid)));
        Assert.All(server.Homes, static home => Assert.True(home.Poller.HasStopped));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => server.ListenAsync(new ConnectionScript()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_listener_that_is_being_started_meanwhile_is_stopped_with_it_or_fails(bool politely)
    {
        for (int round = 0; round < StressScale.Rounds(30); round++)
        {
            await using TestServer server = new(pollers: 2);
            Task<Listener>[] starts = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() => server.ListenAsync(new ConnectionScript())))];

            // Each round at another point of the start.
            Thread.SpinWait(round * 1_000);
            await (politely ? server.NetPoll.ShutdownAsync(TimeSpan.Zero) : server.System.ShutdownAsync()).Soon();

            foreach (Task<Listener> start in starts)
            {
                // Either it failed by that name, or it listened and does no more.
                try
                {
                    Listener listener = await start.Soon();
                    await Eventually.True("nobody listens", () => IsFree(listener.EndPoint));
                }
                catch (ObjectDisposedException)
                {
                }
            }

            await Eventually.True("the pollers have stopped", () => server.Homes.All(static home => home.Poller.HasStopped));
            Assert.Empty(server.NetPoll.Listeners);
        }
    }

    [Fact]
    public async Task Watchers_of_connections_are_told_before_it_completes()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        List<Task<bool>> told = [];
        List<Peer> peers = [];
        for (int number = 0; number < 6; number++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            told.Add(await server.Watch(connection.Pid, static _ => true));
            peers.Add(peer);
        }

        await server.NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();

        await Task.WhenAll(told).Soon();
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task An_actor_system_that_goes_away_without_a_word_leaves_no_descriptor()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        List<Peer> peers = [];
        List<string> sockets = [];
        for (int number = 0; number < 6; number++)
        {
            (Peer peer, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            sockets.Add(peer.ServerSocketName()!);
        }

        Assert.All(sockets, static socket => Assert.True(Descriptors.Has(socket)));

        await server.System.ShutdownAsync().Soon();

        foreach (Peer peer in peers)
        {
            Assert.Empty(await peer.ReceiveToEndAsync());
            peer.Dispose();
        }

        await Eventually.True("the sockets are closed", () => !sockets.Exists(Descriptors.Has));
        await Eventually.True("the pollers have stopped", () => server.Homes.All(static home => home.Poller.HasStopped));
        await Assert.ThrowsAnyAsync<SocketException>(() => Peer.ConnectAsync(listener.EndPoint));
    }

    [Fact]
    public async Task An_actor_system_that_goes_away_during_the_shutdown_cuts_it_short_and_leaves_no_descriptor()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new() { Shutdown = static self => self.Send("told"u8) };
        Listener listener = await server.ListenAsync(script);
        (Peer peer, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;
        DatagramSocket datagrams = await server.NetPoll.BindDatagramsAsync(
            "datagrams", new IPEndPoint(IPAddress.Loopback, 0), static () => new ScriptedDatagramActor(DatagramScript.Echo())).Soon();

        Task shutdown = server.NetPoll.ShutdownAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal("told", await peer.ReceiveTextAsync(4));
        await server.System.ShutdownAsync().Soon();
        await shutdown.Soon();

        await peer.ExpectResetAsync();
        Assert.False(Descriptors.Has(socket));
        using Socket sameAddress = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        sameAddress.Bind(datagrams.LocalEndPoint);
    }

    [Theory]
    [InlineData(ConnectionScheduling.Poller)]
    [InlineData(ConnectionScheduling.ThreadPool)]
    public async Task A_handler_that_outlives_the_actor_system_finds_its_poller_at_rest(ConnectionScheduling scheduling)
    {
        TaskCompletionSource gate = new();
        await using TestServer server = new();
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script, new ConnectionOptions { Scheduling = scheduling });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        TaskCompletionSource isBusy = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task handler = connection.Do(async _ =>
        {
            isBusy.SetResult();
            await gate.Task;
        });
        await isBusy.Task.Soon();
        await server.NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();
        await server.System.ShutdownAsync().Soon();

        gate.SetResult();
        await handler.Soon();

        // What a connection that had still something to say to its actor queued again and again would run between these.
        for (int turn = 0; turn < 100; turn++)
        {
            await server.OnPoller(static () => true);
        }

        Assert.InRange(server.DeadLetters.Count, 0, 10);
        Assert.False(connection.HasClosed);
    }

    [Fact]
    public void NetPoll_is_started_once_and_found_where_it_was_started()
    {
        ActorSystem bare = new();

        InvalidOperationException missing = Assert.Throws<InvalidOperationException>(() => bare.NetPoll());
        Assert.Contains("WithNetPoll", missing.Message, StringComparison.Ordinal);
        bare.WithNetPoll(new NetPollOptions { Pollers = new Core.PollerOptions { PollerCount = 1 } });
        Assert.Throws<InvalidOperationException>(() => bare.WithNetPoll());
        bare.ShutdownAsync();
    }

    [Fact]
    public async Task A_poller_answers_for_itself()
    {
        await using TestServer server = new(pollers: 2);

        Core.PollerSnapshot snapshot = await server.System.Root.RequestAsync<Core.PollerSnapshot>(
            server.NetPoll.Pollers[1],
            new GetPollerSnapshot(),
            TestContext.Current.CancellationToken).Soon();

        Assert.Equal("poller-1", snapshot.Poller);
        Assert.Equal(["netpoll/poller-0", "netpoll/poller-1"], server.NetPoll.Pollers.Select(static pid => pid.Id));
    }

    private static bool IsFree(EndPoint endPoint)
    {
        try
        {
            using System.Net.Sockets.Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(endPoint);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
