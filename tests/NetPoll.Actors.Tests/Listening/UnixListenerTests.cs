using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>Listeners and connections of the actor layer over Unix domain sockets: one acceptor, whose sockets go to all pollers.</summary>
public sealed class UnixListenerTests : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TestServer _server = new(pollers: 2);
    private readonly ConcurrentQueue<Core.Poller> _homes = new();
    private readonly ConcurrentQueue<CloseReason> _ends = new();

    private UnixDomainSocketEndPoint Path => new(_folder["socket"]);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Connections_live_on_all_pollers_in_turn_and_are_served()
    {
        Listener listener = await ListenAsync();

        for (int number = 0; number < 6; number++)
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }

        Assert.Equal(Path, listener.EndPoint);
        Assert.Equal([3, 3], _homes.GroupBy(static home => home.Index).OrderBy(static group => group.Key).Select(static group => group.Count()));
        await Eventually.Equal("statistics", (6L, 0L), async () =>
        {
            ListenerStatistics statistics = await _server.Statistics(listener);
            return (statistics.Accepted, statistics.Active);
        });
    }

    [Fact]
    public async Task A_stopped_listener_frees_its_path_and_its_connections_live_on()
    {
        Listener listener = await ListenAsync();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("1");
        Assert.Equal("1", await peer.ReceiveTextAsync(1));

        await _server.System.Root.StopAsync(listener.Pid).Soon();

        Assert.False(File.Exists(_folder["socket"]));
        await peer.SendAsync("2");
        Assert.Equal("2", await peer.ReceiveTextAsync(1));
        Assert.Equal(Path, (await ListenAsync()).EndPoint);
    }

    [Fact]
    public async Task While_it_is_paused_newcomers_wait_and_a_stop_serves_them_first()
    {
        Listener listener = await ListenAsync();
        await _server.Ask<AcceptingPaused>(listener.Pid, new PauseAccepting());
        using Peer first = await Peer.ConnectAsync(listener.EndPoint);
        using Peer second = await Peer.ConnectAsync(listener.EndPoint);

        await _server.System.Root.StopAsync(listener.Pid).Soon();

        foreach (Peer peer in (Peer[])[first, second])
        {
            await peer.SendAsync("late");
            Assert.Equal("late", await peer.ReceiveTextAsync(4));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_poller_that_drains_gets_no_more_and_the_others_go_on_whichever_accepts(int drained)
    {
        Listener listener = await ListenAsync();

        Assert.Equal(0, (await _server.Ask<PollerDrained>(_server.NetPoll.Pollers[drained], new DrainPoller(TimeSpan.FromMinutes(1)))).Reset);
        for (int number = 0; number < 4; number++)
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }

        Assert.All(_homes, home => Assert.NotEqual(drained, home.Index));
        Assert.NotNull(_server.NetPoll.FindListener("unix"));
        await _server.Ask<PollerDrained>(_server.NetPoll.Pollers[1 - drained], new DrainPoller(TimeSpan.FromMinutes(1)));
        Assert.False(File.Exists(_folder["socket"]));
    }

    [Fact]
    public async Task A_shutdown_tells_every_connection_also_those_that_waited_to_be_accepted()
    {
        const int Count = 20;
        Listener listener = await ListenAsync();
        await _server.Ask<AcceptingPaused>(listener.Pid, new PauseAccepting());
        List<Peer> peers = [];
        for (int number = 0; number < Count; number++)
        {
            peers.Add(await Peer.ConnectAsync(listener.EndPoint));
        }

        foreach (Peer peer in peers)
        {
            peer.CloseWrite();
        }

        await _server.NetPoll.ShutdownAsync(TimeSpan.FromMinutes(1)).Soon();

        Assert.Equal(Count, _ends.Count);
        Assert.False(File.Exists(_folder["socket"]));
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task An_outbound_connection_knows_the_server_s_process()
    {
        await ListenAsync();
        TaskCompletionSource<(EndPoint? Remote, PeerCredentials? Peer)> seen = new();

        PID pid = await _server.NetPoll.ConnectAsync(Path, () => new Visitor(seen)).Soon();

        (EndPoint? remote, PeerCredentials? peer) = await seen.Task.Soon();
        Assert.Equal(Path, remote);
        Assert.Equal(Environment.ProcessId, peer!.Value.ProcessId);
        await _server.System.Root.StopAsync(pid).Soon();
    }

    [Fact]
    public async Task A_handler_is_told_who_has_connected()
    {
        TaskCompletionSource<Connected> told = new();
        PID handler = _server.System.Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is Connected connected)
            {
                told.TrySetResult(connected);
            }

            return Task.CompletedTask;
        }));
        await _server.NetPoll.ListenAsync("handled", Path, handler).Soon();

        using Peer peer = await Peer.ConnectAsync(Path);

        Connected connected = await told.Task.Soon();
        Assert.Equal(Environment.ProcessId, connected.PeerCredentials!.Value.ProcessId);
        Assert.Equal(Path, connected.LocalEndPoint);
        Assert.IsType<UnixDomainSocketEndPoint>(connected.RemoteEndPoint);
    }

    [Fact]
    public async Task Limits_by_address_do_not_hold_and_the_number_of_connections_does()
    {
        ListenerOptions options = new() { MaxConnections = 3, Farewell = static refusal => Encoding.ASCII.GetBytes($"{refusal.Reason}") };
        options.AddressLimits.Add(new AddressLimit { MaxConcurrent = 1 });
        Listener listener = await ListenAsync(options);
        List<Peer> peers = [];
        for (int number = 0; number < 3; number++)
        {
            peers.Add(await Peer.ConnectAsync(listener.EndPoint));
            await peers[^1].SendAsync("x");
            Assert.Equal("x", await peers[^1].ReceiveTextAsync(1));
        }

        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);

        Assert.Equal("TooManyConnections", await refused.ReceiveTextAsync(18));
        peers.ForEach(static peer => peer.Dispose());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_proxy_on_a_Unix_socket_is_believed_only_if_it_is_told_to_be(bool trust)
    {
        ConnectionScript script = ConnectionScript.Echo();
        ListenerOptions options = new() { ProxyProtocol = new ProxyProtocolOptions { TrustUnixSockets = trust } };
        options.ProxyProtocol.TrustedNetworks.Add(IPNetwork.Parse("0.0.0.0/0"));
        Listener listener = await _server.NetPoll.ListenAsync("proxied", Path, () => new ScriptedConnection(script), options).Soon();
        using Peer proxy = await Peer.ConnectAsync(listener.EndPoint);

        if (!trust)
        {
            await Eventually.Equal("refusals", 1L, async () => (await _server.Statistics(listener)).Refused[RefusalReason.UntrustedProxy]);
            return;
        }

        await proxy.SendAsync("PROXY TCP4 192.0.2.7 198.51.100.1 777 443\r\nhello");
        Assert.Equal("hello", await proxy.ReceiveTextAsync(5));
        Assert.Equal(IPEndPoint.Parse("192.0.2.7:777"), (await script.ConnectionOf(777)).Remote);
    }

    [Fact]
    public async Task An_abstract_name_serves_as_well_and_a_path_in_use_is_an_error()
    {
        UnixDomainSocketEndPoint name = new($"\0netpoll-{Guid.NewGuid():N}");
        Listener listener = await _server.NetPoll.ListenAsync("abstract", name, () => new Echo(this)).Soon();
        await ListenAsync();

        IOException failure = await Assert.ThrowsAsync<IOException>(() => _server.NetPoll.ListenAsync("again", Path, () => new Echo(this)).Soon());
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("hello");

        Assert.Contains(_folder["socket"], failure.Message, StringComparison.Ordinal);
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
    }

    private Task<Listener> ListenAsync(ListenerOptions? options = null) => _server.NetPoll.ListenAsync("unix", Path, () => new Echo(this), options).Soon();

    private sealed class Echo(UnixListenerTests test) : ConnectionActor
    {
        protected override void OnConnected() => test._homes.Enqueue(Core.Poller.Current!);

        protected override int OnReceived(ReadOnlySpan<byte> bytes)
        {
            Send(bytes);
            return bytes.Length;
        }

        protected override void OnClosed(ConnectionClosed closed) => test._ends.Enqueue(closed.Reason);
    }

    private sealed class Visitor(TaskCompletionSource<(EndPoint? Remote, PeerCredentials? Peer)> seen) : ConnectionActor
    {
        protected override void OnConnected() => seen.SetResult((RemoteEndPoint, PeerCredentials));

        protected override int OnReceived(ReadOnlySpan<byte> bytes) => bytes.Length;
    }
}
