using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>Who is served, who is refused, and what a refused peer sees.</summary>
public sealed class AdmissionTests : IAsyncDisposable
{
    private static readonly IPAddress Second = IPAddress.Parse("127.0.0.2");
    private static readonly IPAddress Third = IPAddress.Parse("127.0.0.3");

    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task One_too_many_is_told_and_the_next_is_served_when_one_has_gone()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, new ListenerOptions { MaxConnections = 3, Farewell = Full });
        List<(Peer Peer, ScriptedConnection Connection)> served = [];
        for (int number = 0; number < 3; number++)
        {
            served.Add(await TestServer.OpenAsync(listener, script));
        }

        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);
        Assert.Equal("TooManyConnections"u8.ToArray(), await refused.ReceiveToEndAsync());
        Assert.Equal((3, 3, 1), await FiguresOf(listener, RefusalReason.TooManyConnections));

        served[0].Peer.Dispose();
        await served[0].Connection.WhenClosed;
        (Peer next, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);
        Assert.Equal((4, 3, 1), await FiguresOf(listener, RefusalReason.TooManyConnections));
        next.Dispose();
        served.ForEach(static one => one.Peer.Dispose());
    }

    [Fact]
    public async Task The_limit_holds_for_all_pollers_together()
    {
        ConnectionScript script = new() { Connected = static self => self.Send("in"u8) };
        Listener listener = await _server.ListenAsync(script, new ListenerOptions { MaxConnections = 7, Farewell = static _ => "no"u8.ToArray() });
        List<Peer> peers = [];
        for (int number = 0; number < 40; number++)
        {
            peers.Add(await Peer.ConnectAsync(listener.EndPoint));
        }

        string[] answers = await Task.WhenAll(peers.Select(static peer => peer.ReceiveTextAsync(2)));

        Assert.Equal(7, answers.Count(static answer => answer == "in"));
        Assert.Equal(33, answers.Count(static answer => answer == "no"));
        Assert.Equal((7, 7, 33), await FiguresOf(listener, RefusalReason.TooManyConnections));
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task A_farewell_is_not_lost_to_a_reset_when_the_peer_has_spoken_already()
    {
        Listener listener = await _server.ListenAsync(new ConnectionScript(), new ListenerOptions { MaxConnections = 1, Farewell = Full });
        using Peer only = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("the place is taken", 1, async () => (await _server.Statistics(listener)).Active);

        // Everything the peer says is there before anybody looks at its connection.
        using ManualResetEventSlim release = new();
        foreach (Actors.Pollers.ActorPoller home in _server.Homes)
        {
            home.Poller.Post(release.Wait);
        }

        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);
        await refused.SendAsync(new byte[5000]);
        release.Set();

        Assert.Equal("TooManyConnections"u8.ToArray(), await refused.ReceiveToEndAsync());
        await refused.SendAsync(new byte[5000]);
        refused.CloseWrite();
        await Eventually.True("its socket is closed", () => refused.ServerSocketName() is null);
    }

    [Fact]
    public async Task Without_a_farewell_a_refused_peer_is_closed_at_once()
    {
        Listener listener = await _server.ListenAsync(new ConnectionScript(), new ListenerOptions { MaxConnections = 1 });
        using Peer only = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("the place is taken", 1, async () => (await _server.Statistics(listener)).Active);

        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);

        Assert.Empty(await refused.ReceiveToEndAsync());
    }

    [Fact]
    public async Task A_farewell_that_throws_is_logged_and_accepting_goes_on()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(
            script, new ListenerOptions { MaxConnections = 1, Farewell = static _ => throw new FormatException("no farewell") });
        (Peer only, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);

        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);
        Assert.Empty(await refused.ReceiveToEndAsync());
        only.Dispose();
        await connection.WhenClosed;
        (Peer next, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);

        TestLog.Entry entry = Assert.Single(_server.Log.Entries, static entry => entry.Id == 131);
        Assert.IsType<FormatException>(entry.Exception);
        Assert.Contains("TooManyConnections", entry.Text, StringComparison.Ordinal);
        next.Dispose();
    }

    [Fact]
    public async Task Refused_peers_that_stay_hold_few_descriptors_and_not_for_long()
    {
        FakeTimeProvider time = new();
        await using TestServer server = new(options: new PollerOptions { TimeProvider = time });
        Listener listener = await server.ListenAsync(new ConnectionScript(), new ListenerOptions { MaxConnections = 1, Farewell = Full });
        using Peer only = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("the place is taken", 1, async () => (await server.Statistics(listener)).Active);
        List<Peer> refused = [];
        for (int number = 0; number < 80; number++)
        {
            refused.Add(await Peer.ConnectAsync(listener.EndPoint));
            Assert.Equal("TooManyConnections"u8.ToArray(), await refused[^1].ReceiveToEndAsync());
        }

        await server.OnPoller(static () => true);
        Assert.Equal(64, refused.Count(static peer => peer.ServerSocketName() is not null));
        time.Advance(TimeSpan.FromSeconds(1));
        await server.OnPoller(static () => true);
        await Eventually.Equal("sockets of refused peers", 0, () => refused.Count(static peer => peer.ServerSocketName() is not null));
        refused.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task A_shutdown_does_not_wait_for_refused_peers_and_leaves_no_descriptor_of_theirs()
    {
        TestServer server = new();
        Listener listener = await server.ListenAsync(new ConnectionScript(), new ListenerOptions { MaxConnections = 1, Farewell = Full });
        using Peer only = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("the place is taken", 1, async () => (await server.Statistics(listener)).Active);
        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);
        Assert.Equal("TooManyConnections"u8.ToArray(), await refused.ReceiveToEndAsync());

        await server.DisposeAsync();

        Assert.Null(refused.ServerSocketName());
    }

    [Fact]
    public async Task An_address_may_have_so_many_open_and_others_do_not_suffer()
    {
        ConnectionScript script = new() { Connected = static self => self.Send("in"u8) };
        Listener listener = await _server.ListenAsync(script, new ListenerOptions { AddressLimits = { new AddressLimit { MaxConcurrent = 2 } }, Farewell = Full });
        using Peer first = await Served(listener, Second);
        using Peer second = await Served(listener, Second);

        using Peer refused = await Peer.ConnectAsync(listener.EndPoint, from: Second);
        Assert.Equal("NetworkConcurrency"u8.ToArray(), await refused.ReceiveToEndAsync());
        using Peer other = await Served(listener, Third);
        ScriptedConnection leaving = await script.ConnectionOf(first);
        first.Dispose();
        await leaving.WhenClosed;

        using Peer next = await Served(listener, Second);
        Assert.Equal((4, 3, 1), await FiguresOf(listener, RefusalReason.NetworkConcurrency));
    }

    [Fact]
    public async Task A_network_may_have_so_many_open_and_exempt_ones_as_many_as_they_like()
    {
        ConnectionScript script = new() { Connected = static self => self.Send("in"u8) };
        Listener listener = await _server.ListenAsync(script, new ListenerOptions
        {
            AddressLimits = { new AddressLimit { MaxConcurrent = 2 }, new AddressLimit { IPv4PrefixLength = 24, MaxConcurrent = 3 } },
            ExemptNetworks = { IPNetwork.Parse("127.0.0.64/26") },
            Farewell = Full,
        });
        List<Peer> peers = [await Served(listener, Second), await Served(listener, Second), await Served(listener, Third)];

        // Neither has its own two, but their network has its three. Another network is another matter, and so are those that are exempt.
        using Peer refused = await Peer.ConnectAsync(listener.EndPoint, from: Third);
        Assert.Equal("NetworkConcurrency"u8.ToArray(), await refused.ReceiveToEndAsync());
        peers.Add(await Served(listener, IPAddress.Parse("127.0.1.3")));
        for (int number = 0; number < 5; number++)
        {
            peers.Add(await Served(listener, IPAddress.Parse("127.0.0.70")));
        }

        ScriptedConnection leaving = await script.ConnectionOf(peers[0]);
        peers[0].Dispose();
        await leaving.WhenClosed;
        peers.Add(await Served(listener, Third));
        Assert.Equal((10, 9, 1), await FiguresOf(listener, RefusalReason.NetworkConcurrency));
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task A_network_may_come_so_often_and_exempt_ones_as_often_as_they_like()
    {
        FakeTimeProvider time = new();
        await using TestServer server = new(options: new PollerOptions { TimeProvider = time });
        ConnectionScript script = new() { Connected = static self => self.Send("in"u8) };
        Listener listener = await server.ListenAsync(script, new ListenerOptions
        {
            AddressLimits = { new AddressLimit { IPv4PrefixLength = 24, MaxPerInterval = 2, Interval = TimeSpan.FromMinutes(10) } },
            ExemptNetworks = { IPNetwork.Parse("127.0.0.3/32") },
            Farewell = Full,
        });
        List<Peer> peers = [await Served(listener, Second), await Served(listener, IPAddress.Loopback)];

        using Peer refused = await Peer.ConnectAsync(listener.EndPoint, from: Second);
        Assert.Equal("NetworkRate"u8.ToArray(), await refused.ReceiveToEndAsync());
        for (int number = 0; number < 5; number++)
        {
            peers.Add(await Served(listener, Third));
        }

        time.Advance(TimeSpan.FromMinutes(5));
        peers.Add(await Served(listener, Second));
        using Peer again = await Peer.ConnectAsync(listener.EndPoint, from: Second);
        Assert.Equal("NetworkRate"u8.ToArray(), await again.ReceiveToEndAsync());
        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task Refusals_are_counted_by_reason_and_reported_once_a_second_at_most()
    {
        FakeTimeProvider time = new();
        await using TestServer server = new(options: new PollerOptions { TimeProvider = time });
        Listener listener = await server.ListenAsync(new ConnectionScript(), new ListenerOptions { MaxConnections = 1, Farewell = Full });
        using Peer only = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("the place is taken", 1, async () => (await server.Statistics(listener)).Active);

        await BeRefused(listener, 5);
        Assert.Contains("refused 1 connections because of TooManyConnections", Assert.Single(Reports()).Text, StringComparison.Ordinal);
        time.Advance(TimeSpan.FromSeconds(1));
        await BeRefused(listener, 1);

        Assert.Contains("refused 5 connections because of TooManyConnections", Reports()[^1].Text, StringComparison.Ordinal);
        Assert.Equal(2, Reports().Count);
        RefusalCounts refused = (await server.Statistics(listener)).Refused;
        Assert.Equal(6, refused.Total);
        Assert.Equal("6 TooManyConnections", refused.ToString());

        List<TestLog.Entry> Reports() => [.. server.Log.Entries.Where(static entry => entry.Id == 130)];
    }

    [Fact]
    public async Task A_factory_that_throws_costs_its_own_connection_only_and_frees_the_place()
    {
        int made = 0;
        ConnectionScript script = new() { Connected = static self => self.Send("in"u8) };
        Listener listener = await _server.ListenAsync(
            () => Interlocked.Increment(ref made) <= 2 ? throw new FormatException("not today") : new ScriptedConnection(script),
            new ListenerOptions { MaxConnections = 1, AddressLimits = { new AddressLimit { MaxConcurrent = 1 } } });

        for (int number = 0; number < 2; number++)
        {
            await BeResetAsync(listener);

            // The socket is closed first, so that never more are open than may be: another poller could still find the place taken.
            await Eventually.Equal("connections", 0, async () => (await _server.Statistics(listener)).Active);
        }

        using Peer served = await Served(listener, IPAddress.Loopback);
        Assert.Equal((1, 1, 2), await FiguresOf(listener, RefusalReason.FactoryFailed));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static ReadOnlyMemory<byte> Full(Refusal refusal) => System.Text.Encoding.UTF8.GetBytes(refusal.Reason.ToString());

    private static async Task<Peer> Served(Listener listener, IPAddress from)
    {
        Peer peer = await Peer.ConnectAsync(listener.EndPoint, from: from);
        Assert.Equal("in", await peer.ReceiveTextAsync(2));
        return peer;
    }

    private static async Task BeRefused(Listener listener, int times)
    {
        for (int number = 0; number < times; number++)
        {
            using Peer refused = await Peer.ConnectAsync(listener.EndPoint);
            Assert.Equal("TooManyConnections"u8.ToArray(), await refused.ReceiveToEndAsync());
        }
    }

    // The reset may come before the system has told that the connection is there, or while the test looks at it.
    private static async Task BeResetAsync(Listener listener)
    {
        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            await peer.ReceiveToEndAsync();
        });
    }

    private async Task<(long Accepted, long Active, long Refused)> FiguresOf(Listener listener, RefusalReason reason)
    {
        ListenerStatistics statistics = await _server.Statistics(listener);
        return (statistics.Accepted, statistics.Active, statistics.Refused[reason]);
    }
}
