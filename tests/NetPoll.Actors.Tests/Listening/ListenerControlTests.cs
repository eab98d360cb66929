using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>Pausing, resuming and stopping a listener by its PID, and what becomes of those who wait meanwhile.</summary>
public sealed class ListenerControlTests : IAsyncDisposable
{
    private const int OutOfDescriptors = 24; // EMFILE

    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task Paused_it_lets_newcomers_wait_and_resumed_it_serves_them()
    {
        ConnectionScript script = new() { Connected = static self => self.Send("in"u8) };
        Listener listener = await _server.ListenAsync(script);
        using Peer before = await Peer.ConnectAsync(listener.EndPoint);
        Assert.Equal("in", await before.ReceiveTextAsync(2));

        await _server.Ask<AcceptingPaused>(listener.Pid, new PauseAccepting());
        List<Peer> waiting = [];
        for (int number = 0; number < 20; number++)
        {
            waiting.Add(await Peer.ConnectAsync(listener.EndPoint));
        }

        await _server.OnPoller(static () => true, poller: 0);
        await _server.OnPoller(static () => true, poller: 1);
        ListenerStatistics paused = await _server.Statistics(listener);
        Assert.Equal((1, true), (paused.Accepted, paused.IsPaused));
        Assert.All(waiting, static peer => Assert.Equal(0, peer.Socket.Available));

        await _server.Ask<AcceptingResumed>(listener.Pid, new ResumeAccepting());
        foreach (Peer peer in waiting)
        {
            Assert.Equal("in", await peer.ReceiveTextAsync(2));
            peer.Dispose();
        }

        ListenerStatistics resumed = await _server.Statistics(listener);
        Assert.Equal((21, false), (resumed.Accepted, resumed.IsPaused));
    }

    [Fact]
    public async Task Pausing_and_resuming_may_be_repeated_and_need_no_answer()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        for (int round = 0; round < 10; round++)
        {
            _server.System.Root.Send(listener.Pid, new PauseAccepting());
            _server.System.Root.Send(listener.Pid, new PauseAccepting());
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            _server.System.Root.Send(listener.Pid, new ResumeAccepting());
            _server.System.Root.Send(listener.Pid, new ResumeAccepting());
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }
    }

    [Fact]
    public async Task Stopped_while_paused_it_serves_who_has_waited()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        await _server.Ask<AcceptingPaused>(listener.Pid, new PauseAccepting());
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await _server.System.Root.StopAsync(listener.Pid).Soon();

        await peer.SendAsync("hello");
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task What_waits_to_be_accepted_when_the_server_stops_is_told_so()
    {
        ConnectionScript script = new()
        {
            Shutdown = static self =>
            {
                self.Send("bye"u8);
                self.Close();
            },
        };
        Listener listener = await _server.ListenAsync(script);
        await _server.Ask<AcceptingPaused>(listener.Pid, new PauseAccepting());
        List<Peer> peers = [];
        for (int number = 0; number < 100; number++)
        {
            peers.Add(await Peer.ConnectAsync(listener.EndPoint));
        }

        Task shutdown = _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30));

        foreach (Peer peer in peers)
        {
            Assert.Equal("bye"u8.ToArray(), await peer.ReceiveToEndAsync());
            peer.CloseWrite();
        }

        await shutdown.Soon();
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task Out_of_descriptors_when_it_stops_it_tells_those_who_wait_one_by_one()
    {
        ScriptedPlatform platform = new() { Reserve = static () => new MemoryStream() };
        ScriptedSocket[] waiting = [new(), new(), new()];
        platform.Listener.ThenAcceptFails(ScriptedSocket.WouldBlock, OutOfDescriptors);
        foreach (ScriptedSocket socket in waiting)
        {
            platform.Listener.ThenAccepts(socket);
        }

        await using TestServer server = new(options: new PollerOptions { Platform = platform });
        Listener listener = await server.ListenAsync(new ConnectionScript(), new ListenerOptions { Farewell = static _ => "no"u8.ToArray() });

        await server.System.Root.StopAsync(listener.Pid).Soon();

        Assert.All(waiting, static socket => Assert.Equal((1, "no"), (socket.CloseCalls, System.Text.Encoding.UTF8.GetString(socket.Written))));
        Assert.Equal(1, platform.Listener.CloseCalls);
        Assert.Contains(server.Log.Errors, static entry => entry.Id == 132);
    }

    [Fact]
    public async Task Out_of_descriptors_one_who_waits_is_told_at_each_attempt()
    {
        Microsoft.Extensions.Time.Testing.FakeTimeProvider time = new();
        ScriptedPlatform platform = new() { Reserve = static () => new MemoryStream() };
        ScriptedSocket[] waiting = [new(), new()];
        platform.Listener.ThenAcceptFails(OutOfDescriptors).ThenAccepts(waiting[0]).ThenAcceptFails(OutOfDescriptors).ThenAccepts(waiting[1]);
        await using TestServer server = new(options: new PollerOptions { Platform = platform, TimeProvider = time });
        Listener listener = await server.ListenAsync(new ConnectionScript(), new ListenerOptions { Farewell = static _ => "no"u8.ToArray() });

        Assert.Equal((1, 0), (waiting[0].CloseCalls, waiting[1].CloseCalls));
        time.Advance(TimeSpan.FromMilliseconds(5));
        await server.OnPoller(static () => true);

        Assert.Equal((1, 1), (waiting[0].CloseCalls, waiting[1].CloseCalls));
        ListenerStatistics statistics = await server.Statistics(listener);
        Assert.Equal((0, 0, 2), (statistics.Accepted, statistics.Active, statistics.Refused[RefusalReason.OutOfDescriptors]));
    }

    [Fact]
    public async Task Listeners_that_have_stopped_are_not_kept()
    {
        for (int number = 0; number < 20; number++)
        {
            Listener listener = await _server.ListenAsync(new ConnectionScript());
            Assert.Single(_server.NetPoll.ListenerActors);
            await _server.System.Root.StopAsync(listener.Pid).Soon();
            Assert.Empty(_server.NetPoll.ListenerActors);
        }
    }

    [Fact]
    public async Task Connections_of_a_listener_that_has_stopped_are_drained_by_the_shutdown()
    {
        ConnectionScript script = new()
        {
            Shutdown = static _ => { },
            Received = static (self, bytes) =>
            {
                self.Close();
                return bytes.Length;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        await _server.System.Root.StopAsync(listener.Pid).Soon();

        Task shutdown = _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30));
        await Eventually.True("it is told", () => connection.Events.Contains("shutdown"));
        Assert.False(shutdown.IsCompleted);
        await peer.SendAsync("done");
        Assert.Empty(await peer.ReceiveToEndAsync());
        peer.CloseWrite();
        await shutdown.Soon();

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task Listening_that_races_the_shutdown_either_fails_or_is_stopped_by_it()
    {
        IPEndPoint endPoint = FreeEndPoint("127.0.0.77");
        int refused = 0;
        int rounds = StressScale.Rounds(40);
        for (int round = 0; round < rounds; round++)
        {
            await using TestServer server = new(pollers: 2);
            using Barrier together = new(2);
            Task<bool> listening = Task.Run(async () =>
            {
                together.SignalAndWait();
                try
                {
                    await server.NetPoll.ListenAsync("race", endPoint, static () => new ScriptedConnection(new ConnectionScript()));
                    return true;
                }
                catch (ObjectDisposedException)
                {
                    return false;
                }
            });
            Task shutdown = Task.Run(() =>
            {
                together.SignalAndWait();
                SpinWait.SpinUntil(() => server.NetPoll.ListenerActors.Length > 0, TimeSpan.FromMicroseconds(round * 5));
                return server.NetPoll.ShutdownAsync(TimeSpan.Zero);
            });

            await Task.WhenAll(listening, shutdown).Soon();

            refused += await listening ? 0 : 1;
            Assert.Empty(server.NetPoll.ListenerActors);
            Assert.IsType<DeadLetterProcess>(server.System.ProcessRegistry.Get(PID.FromAddress(server.System.Address, "netpoll/listener-race")));

            // Nobody holds the address: it can be bound without sharing.
            using Socket free = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            free.Bind(endPoint);
            free.Listen();
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{refused} of {rounds} were refused");
    }

    [Fact]
    public async Task After_the_actor_system_has_gone_nothing_listens()
    {
        IPEndPoint endPoint = FreeEndPoint("127.0.0.78");
        TestServer server = new();
        await server.System.ShutdownAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => server.NetPoll.ListenAsync(
            "late", endPoint, static () => new ScriptedConnection(new ConnectionScript())));

        await Assert.ThrowsAnyAsync<SocketException>(() => Peer.ConnectAsync(endPoint));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    // An address of the test's own, so that no other test's connection comes from the port meanwhile.
    private static IPEndPoint FreeEndPoint(string address)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
