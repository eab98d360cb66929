using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Listening;

public sealed class ListenerTests : IAsyncDisposable
{
    private const int Aborted = 103; // ECONNABORTED
    private const int OutOfDescriptors = 24; // EMFILE

    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task A_port_in_use_is_an_error_that_names_the_address()
    {
        using Socket taken = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        IPEndPoint endPoint = (IPEndPoint)taken.LocalEndPoint!;

        IOException exception = await Assert.ThrowsAsync<IOException>(() => ListenAsync(endPoint));

        Assert.Contains(endPoint.ToString(), exception.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.IsType<SocketException>(exception.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task A_port_that_one_of_our_own_shares_among_its_pollers_is_in_use_too()
    {
        Listener first = await _server.ListenAsync(new ConnectionScript());

        IOException exception = await Assert.ThrowsAsync<IOException>(() => ListenAsync(first.EndPoint));
        await using TestServer other = new(pollers: 2);
        IOException elsewhere = await Assert.ThrowsAsync<IOException>(
            () => other.NetPoll.ListenAsync("other", first.EndPoint, static () => new ScriptedConnection(new ConnectionScript())));

        Assert.Contains($"{first.EndPoint}", exception.Message, StringComparison.Ordinal);
        Assert.Contains($"{first.EndPoint}", elsewhere.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_not_ours_is_an_error_that_names_it()
    {
        IOException exception = await Assert.ThrowsAsync<IOException>(() => ListenAsync(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 0)));

        Assert.Contains("192.0.2.1", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_in_use_is_refused_and_holds_no_port()
    {
        Listener first = await _server.NetPoll.ListenAsync("name", new IPEndPoint(IPAddress.Loopback, 0), static () => new ScriptedConnection(new ConnectionScript()));
        int port = FreePort();

        await Assert.ThrowsAsync<ProcessNameExistException>(
            () => _server.NetPoll.ListenAsync("name", new IPEndPoint(IPAddress.Loopback, port), static () => new ScriptedConnection(new ConnectionScript())));
        Listener second = await ListenAsync(new IPEndPoint(IPAddress.Loopback, port));

        Assert.Equal("netpoll/listener-name", first.Pid.Id);
        Assert.Equal(port, second.EndPoint.Port);
    }

    [Fact]
    public async Task It_counts_what_it_accepted_and_what_is_open()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        Assert.Equal(new ListenerStatistics(0, 0), await _server.Statistics(listener));
        List<(Peer Peer, ScriptedConnection Connection)> all = [];
        for (int number = 0; number < 5; number++)
        {
            all.Add(await TestServer.OpenAsync(listener, script));
        }

        Assert.Equal(new ListenerStatistics(5, 5), await _server.Statistics(listener));
        all[0].Peer.Dispose();
        all[1].Peer.Reset();
        await all[0].Connection.WhenClosed;
        await all[1].Connection.WhenClosed;

        Assert.Equal(new ListenerStatistics(5, 3), await _server.Statistics(listener));
        Assert.Equal(5, all.Select(static one => one.Connection.Pid.Id).Distinct().Count());
        all.ForEach(static one => one.Peer.Dispose());
    }

    [Fact]
    public async Task Stopped_by_its_PID_it_frees_the_address_and_its_connections_live_on()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        Task<bool> terminated = await _server.Watch(listener.Pid, static _ => true);

        await _server.System.Root.StopAsync(listener.Pid).Soon();
        await terminated.Soon();
        await Assert.ThrowsAnyAsync<SocketException>(() => Peer.ConnectAsync(listener.EndPoint));
        Listener again = await ListenAsync(listener.EndPoint);

        Assert.Equal(listener.EndPoint, again.EndPoint);
        await peer.SendAsync("hello");
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        await _server.NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();
        Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task What_waits_to_be_accepted_when_it_stops_is_served_and_not_reset()
    {
        const int Waiting = 200;
        ConnectionScript script = new()
        {
            Connected = static self => self.Send("hello"u8),
            Shutdown = static _ => { },
        };
        Listener listener = await _server.ListenAsync(script);
        using ManualResetEventSlim release = new();
        foreach (Actors.Pollers.ActorPoller home in _server.Homes)
        {
            home.Poller.Post(release.Wait);
        }

        // The system completes these connections by itself; nobody accepts them yet.
        List<Peer> peers = [];
        for (int number = 0; number < Waiting; number++)
        {
            peers.Add(await Peer.ConnectAsync(listener.EndPoint));
        }

        // The stop is queued at every poller that accepts before any of them looks at its listening socket.
        Actors.Pollers.ActorPoller[] accepting = _server.Homes.Take(TestBackend.IsPortable ? 1 : _server.Homes.Length).ToArray();
        long[] posts = [.. accepting.Select(Posts)];
        Task stopped = _server.System.Root.StopAsync(listener.Pid);
        await Eventually.True("the stop is queued", () => accepting.Select(Posts).Zip(posts).All(static pair => pair.First > pair.Second));
        release.Set();
        await stopped.Soon();

        foreach (Peer peer in peers)
        {
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }

        Assert.Equal(Waiting, _server.Homes.Sum(static home => home.Connections.Count));
        peers.ForEach(static peer => peer.Dispose());

        static long Posts(Actors.Pollers.ActorPoller home) =>
            home.Poller.Snapshot().WakeupsSent + home.Poller.Snapshot().WakeupsCoalesced;
    }

    [Fact]
    public async Task Out_of_descriptors_it_waits_on_a_timer_neither_spins_nor_dies_and_recovers()
    {
        FakeTimeProvider time = new();
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAcceptFails(OutOfDescriptors, OutOfDescriptors, OutOfDescriptors, OutOfDescriptors).ThenAccepts(socket);
        await using TestServer server = new(options: new PollerOptions { Platform = platform, TimeProvider = time });
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        Assert.Equal(1, platform.Listener.AcceptCalls);

        // Each wait is twice as long as the one before.
        int calls = 1;
        foreach (int wait in new[] { 5, 10, 20 })
        {
            time.Advance(TimeSpan.FromMilliseconds(wait - 1));
            await server.OnPoller(static () => true);
            Assert.Equal(calls, platform.Listener.AcceptCalls);
            time.Advance(TimeSpan.FromMilliseconds(1));
            await server.OnPoller(static () => true);
            Assert.Equal(++calls, platform.Listener.AcceptCalls);
        }

        Assert.Equal(4, server.Log.Entries.Count(static entry => entry.Id == 104));
        Assert.Equal(0, (await server.Statistics(listener)).Accepted);
        time.Advance(TimeSpan.FromMilliseconds(40));
        await script.ConnectionOf(socket.RemoteEndPoint!.Port);

        Assert.Equal(new ListenerStatistics(1, 1), await server.Statistics(listener));
    }

    [Fact]
    public async Task The_longest_wait_is_a_second()
    {
        FakeTimeProvider time = new();
        ScriptedPlatform platform = new();
        platform.Listener.ThenAcceptFails(Enumerable.Repeat(OutOfDescriptors, 30).ToArray());
        await using TestServer server = new(options: new PollerOptions { Platform = platform, TimeProvider = time });
        await server.ListenAsync(new ConnectionScript());
        for (int round = 0; round < 12; round++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await server.OnPoller(static () => true);
            await server.OnPoller(static () => true);
        }

        Assert.Equal(13, platform.Listener.AcceptCalls);
    }

    [Fact]
    public async Task Out_of_descriptors_a_stop_is_not_held_up()
    {
        FakeTimeProvider time = new();
        ScriptedPlatform platform = new();
        platform.Listener.ThenAcceptFails(OutOfDescriptors, OutOfDescriptors);
        await using TestServer server = new(options: new PollerOptions { Platform = platform, TimeProvider = time });
        Listener listener = await server.ListenAsync(new ConnectionScript());

        await server.System.Root.StopAsync(listener.Pid).Soon();
        time.Advance(TimeSpan.FromSeconds(10));
        await server.OnPoller(static () => true);

        Assert.Equal(1, platform.Listener.CloseCalls);
        Assert.Equal(2, platform.Listener.AcceptCalls);
    }

    [Fact]
    public async Task A_connection_that_died_in_the_queue_is_passed_over()
    {
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAcceptFails(Aborted, Aborted).ThenAccepts(socket);
        await using TestServer server = new(options: new PollerOptions { Platform = platform });
        ConnectionScript script = new();

        await server.ListenAsync(script);

        await script.ConnectionOf(socket.RemoteEndPoint!.Port);
        Assert.DoesNotContain(server.Log.Entries, static entry => entry.Id == 104);
    }

    [Fact]
    public async Task A_poller_that_takes_no_more_descriptors_refuses_connections_and_goes_on_when_it_can()
    {
        FakeTimeProvider time = new();
        ScriptedPlatform platform = new();
        ScriptedSocket[] sockets = [new(), new(), new()];
        platform.Listener.ThenAccepts(sockets[0]).ThenAccepts(sockets[1]);
        await using TestServer server = new(options: new PollerOptions { Platform = platform, TimeProvider = time, MaxDescriptors = 2 });
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        ScriptedConnection first = await script.ConnectionOf(sockets[0].RemoteEndPoint!.Port);

        Assert.Equal(1, sockets[1].CloseCalls);
        ListenerStatistics full = await server.Statistics(listener);
        Assert.Equal((1, 1, 1), (full.Accepted, full.Active, full.Refused[RefusalReason.OutOfDescriptors]));
        await first.Do(static self => self.Abort());
        await first.WhenClosed;
        platform.Listener.ThenAccepts(sockets[2]);
        time.Advance(TimeSpan.FromSeconds(1));
        await server.OnPoller(static () => true);
        await server.OnPoller(static () => true);

        ListenerStatistics later = await server.Statistics(listener);
        Assert.Equal((2, 1, 1), (later.Accepted, later.Active, later.Refused.Total));
    }

    [Fact]
    public async Task Really_out_of_descriptors_it_tells_who_waits_and_recovers()
    {
        // The limit is the process's. It does what the explicit test below does.
        await OwnProcess.PassesWithDescriptors(300, typeof(ListenerTests), nameof(In_a_process_of_its_own_it_runs_out_of_descriptors_and_recovers));
    }

    [Fact(Explicit = true)]
    public async Task In_a_process_of_its_own_it_runs_out_of_descriptors_and_recovers()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, new ListenerOptions { Farewell = static _ => "full"u8.ToArray() });
        (Peer neighbour, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);
        using Peer _ = neighbour;
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        List<IDisposable> all = [];

        await OwnProcess.WarmThreadPool();
        neighbour.Socket.ReceiveTimeout = 30_000;
        client.ReceiveTimeout = 30_000;
        try
        {
            while (true)
            {
                all.Add(File.OpenHandle("/dev/null"));
            }
        }
        catch (IOException)
        {
            // All are taken.
        }

        client.Connect(listener.EndPoint);
        Assert.True(SpinWait.SpinUntil(() => _server.Log.Entries.Count(static entry => entry.Id == 104) >= 2, TimeSpan.FromSeconds(30)));
        byte[] farewell = new byte[5];
        Assert.Equal(4, client.Receive(farewell));
        Assert.Equal(0, client.Receive(farewell));
        Assert.Equal("full"u8.ToArray(), farewell[..4]);
        long waits = _server.Homes.Sum(static home => home.Poller.Snapshot().Waits);
        byte[] echo = new byte[5];
        neighbour.Socket.Send("hello"u8);
        Assert.Equal(5, neighbour.Socket.Receive(echo));
        Thread.Sleep(200);
        Assert.InRange(_server.Homes.Sum(static home => home.Poller.Snapshot().Waits) - waits, 0, 100);

        all.ForEach(static taken => taken.Dispose());
        Peer later;
        while (true)
        {
            // The last failed attempts may still find the descriptors gone, and tell this one so.
            later = await Peer.ConnectAsync(listener.EndPoint);
            await later.SendAsync("hello");
            int count = await later.Socket.ReceiveAsync(echo.AsMemory(), TestContext.Current.CancellationToken).Soon();
            if (count == 5)
            {
                break;
            }

            Assert.Equal("full"u8.ToArray(), echo[..count]);
            later.Dispose();
        }

        Assert.Equal("hello"u8.ToArray(), echo);
        later.Dispose();
        Assert.True((await _server.Statistics(listener)).Refused[RefusalReason.OutOfDescriptors] >= 1);
    }

    [Fact]
    public async Task It_accepts_in_batches_and_who_was_accepted_has_a_turn_between_them()
    {
        const int Waiting = 500;
        ScriptedPlatform platform = new();
        for (int number = 0; number < Waiting; number++)
        {
            platform.Listener.ThenAccepts(new ScriptedSocket());
        }

        await using TestServer server = new(options: new PollerOptions { Platform = platform });
        ConcurrentQueue<int> acceptedBefore = new();
        await server.ListenAsync(new ConnectionScript { Connected = _ => acceptedBefore.Enqueue(platform.Listener.AcceptCalls) });
        await Eventually.Equal("connections", Waiting, () => acceptedBefore.Count);

        // Several at once, and not all before the first can do anything.
        int[] batches = [.. acceptedBefore.Distinct()];
        Assert.InRange(batches[0], 2, Waiting / 2);
        Assert.InRange(batches.Length, 2, Waiting / 2);
    }

    [Fact]
    public async Task Both_pollers_accept()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        HashSet<Poller> pollers = [];
        List<Peer> peers = [];

        while (pollers.Count < 2)
        {
            Assert.True(peers.Count < 100, "A hundred connections, all on one poller.");
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            pollers.Add(connection.Poller);
        }

        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task Options_out_of_their_range_are_refused_by_name()
    {
        (ListenerOptions Options, string Named)[] cases =
        [
            (new ListenerOptions { Backlog = 0 }, "ListenerOptions.Backlog is 0"),
            (new ListenerOptions { MaxConnections = 0 }, "ListenerOptions.MaxConnections is 0"),
            (new ListenerOptions { AddressLimits = { new AddressLimit { IPv4PrefixLength = 33 } } }, "AddressLimit.IPv4PrefixLength is 33"),
            (new ListenerOptions { AddressLimits = { new AddressLimit { IPv6PrefixLength = -1 } } }, "AddressLimit.IPv6PrefixLength is -1"),
            (new ListenerOptions { AddressLimits = { new AddressLimit { MaxConcurrent = 0 } } }, "AddressLimit.MaxConcurrent is 0"),
            (new ListenerOptions { AddressLimits = { new AddressLimit { MaxPerInterval = 1_000_001 } } }, "AddressLimit.MaxPerInterval is 1000001"),
            (new ListenerOptions { AddressLimits = { new AddressLimit { Interval = TimeSpan.Zero } } }, "AddressLimit.Interval is 00:00:00"),
            (new ListenerOptions { Connections = new ConnectionOptions { OutputHighWatermark = 0 } }, "ConnectionOptions.OutputHighWatermark is 0"),
            (new ListenerOptions { Connections = new ConnectionOptions { MaxOutputBytes = 1000 } }, "ConnectionOptions.MaxOutputBytes is 1000"),
            (new ListenerOptions { Connections = new ConnectionOptions { MaxInputBytes = -1 } }, "ConnectionOptions.MaxInputBytes is -1"),
            (new ListenerOptions { Connections = new ConnectionOptions { WriteTimeout = TimeSpan.Zero } }, "ConnectionOptions.WriteTimeout is 00:00:00"),
            (new ListenerOptions { Connections = new ConnectionOptions { LingerTimeout = TimeSpan.FromSeconds(-1) } }, "ConnectionOptions.LingerTimeout is -00:00:01"),
        ];

        foreach ((ListenerOptions options, string named) in cases)
        {
            ArgumentException exception = await Assert.ThrowsAnyAsync<ArgumentException>(
                () => _server.NetPoll.ListenAsync("x", new IPEndPoint(IPAddress.Loopback, 0), static () => new ScriptedConnection(new ConnectionScript()), options));
            Assert.Contains(named, exception.Message, StringComparison.Ordinal);
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static int FreePort()
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private Task<Listener> ListenAsync(EndPoint endPoint) =>
        _server.NetPoll.ListenAsync("another", endPoint, static () => new ScriptedConnection(new ConnectionScript()));
}
