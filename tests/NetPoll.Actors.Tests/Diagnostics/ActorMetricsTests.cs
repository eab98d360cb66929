using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Diagnostics;

/// <summary>The meter <c>NetPoll.Actors</c>, of one group of pollers: others run beside these tests.</summary>
public sealed class ActorMetricsTests : IAsyncDisposable
{
    private readonly string _group = $"measured-{Guid.NewGuid():N}";
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<Figure> _figures = new();
    private readonly TestServer _server;

    public ActorMetricsTests()
    {
        _server = new TestServer(pollers: 2, new PollerOptions { Name = _group });
        _listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == "NetPoll.Actors")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            Dictionary<string, string?> values = [];
            foreach (KeyValuePair<string, object?> tag in tags)
            {
                values.Add(tag.Key, tag.Value?.ToString());
            }

            if (values.Remove("netpoll.group", out string? group) && group == _group)
            {
                _figures.Enqueue(new Figure(instrument.Name, instrument.Unit, value, values));
            }
        });
        _listener.Start();
    }

    [Fact]
    public async Task Connections_are_counted_by_listener()
    {
        ConnectionScript script = new();
        Listener one = await _server.ListenAsync(script);
        Listener two = await _server.ListenAsync(script);
        (Peer first, ScriptedConnection closing) = await TestServer.OpenAsync(one, script);
        using Peer _ = first;
        using Peer second = (await TestServer.OpenAsync(one, script)).Peer;
        using Peer third = (await TestServer.OpenAsync(two, script)).Peer;
        await closing.Do(static self => self.Abort());
        await closing.WhenClosed;

        Observe();

        Assert.Equal((1, "{connection}"), Sum("netpoll.listener.connections", "netpoll.listener", one.Pid.Id));
        Assert.Equal((2, "{connection}"), Sum("netpoll.listener.accepted", "netpoll.listener", one.Pid.Id));
        Assert.Equal((1, "{connection}"), Sum("netpoll.listener.connections", "netpoll.listener", two.Pid.Id));
        Assert.Equal((2, "{connection}"), Sum("netpoll.poller.connections"));
        Assert.Equal(2, _figures.Where(static figure => figure.Name == "netpoll.poller.connections").Select(static figure => figure.Tags["netpoll.poller"]).Distinct().Count());
    }

    [Fact]
    public async Task Datagrams_are_counted_in_both_directions_and_what_is_dropped_by_reason()
    {
        DatagramScript script = DatagramScript.Echo();
        DatagramSocket echo = await _server.NetPoll.BindDatagramsAsync(
            "echo", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), () => new ScriptedDatagramActor(script)).Soon();
        DatagramSocket peers = await _server.NetPoll.BindDatagramsAsync(
            "peers", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), static _ => new Mute(), new DatagramOptions { MaxPeers = 1 }).Soon();
        using DatagramPeer peer = new();
        using DatagramPeer other = new();
        peer.Say("hello", echo.LocalEndPoint);
        Assert.Equal("hello", await peer.Hears());
        _server.System.Root.Send(echo.Pid, new SendDatagram(new byte[70_000], peer.Address));
        peer.Say("1", peers.LocalEndPoint);
        other.Say("2", peers.LocalEndPoint);
        await Eventually.Equal("received", 2, async () => (await _server.Ask<DatagramStatistics>(peers.Pid, GetDatagramStatistics.Instance)).Received);
        await Eventually.Equal("failed", 1, async () => (await _server.Ask<DatagramStatistics>(echo.Pid, GetDatagramStatistics.Instance)).Failed);

        Observe();

        Assert.Equal((2, "{socket}"), Sum("netpoll.poller.datagram_sockets"));
        Assert.Equal((1, "{peer}"), Sum("netpoll.poller.datagram_peers"));
        Assert.Equal((7, "By"), Sum("netpoll.datagram.io", "network.io.direction", "receive"));
        Assert.Equal((5, "By"), Sum("netpoll.datagram.io", "network.io.direction", "transmit"));
        Assert.Equal((3, "{datagram}"), Sum("netpoll.datagram.datagrams", "network.io.direction", "receive"));
        Assert.Equal((1, "{datagram}"), Sum("netpoll.datagram.datagrams", "network.io.direction", "transmit"));
        Assert.Equal((1, "{datagram}"), Sum("netpoll.datagram.dropped", "netpoll.drop.reason", "peer_limit"));
        Assert.Equal((1, "{datagram}"), Sum("netpoll.datagram.dropped", "netpoll.drop.reason", "send_failed"));
        Assert.Equal((0, "{datagram}"), Sum("netpoll.datagram.dropped", "netpoll.drop.reason", "send_queue"));
    }

    [Fact]
    public async Task Refusals_are_counted_by_reason_and_listener()
    {
        Listener listener = await _server.NetPoll.ListenAsync(
            "small", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), static () => new ScriptedConnection(new ConnectionScript()), new ListenerOptions { MaxConnections = 1 }).Soon();
        using Peer served = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("accepted", 1, () => _server.Statistics(listener).GetAwaiter().GetResult().Accepted);
        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("refused", 1, () => _server.Statistics(listener).GetAwaiter().GetResult().Refused.Total);

        Observe();

        Assert.Equal((1, "{connection}"), Sum("netpoll.listener.refused", "netpoll.refusal.reason", "too_many_connections"));
        Assert.Equal((1, "{connection}"), Sum("netpoll.listener.refused", "netpoll.listener", listener.Pid.Id));
    }

    [Fact]
    public async Task Ends_are_counted_by_reason_and_listener()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        (Peer first, ScriptedConnection aborting) = await TestServer.OpenAsync(listener, script);
        using Peer _ = first;
        (Peer second, ScriptedConnection ending) = await TestServer.OpenAsync(listener, script);
        await aborting.Do(static self => self.Abort());
        second.CloseWrite();
        await aborting.WhenClosed;
        await ending.WhenClosed;
        (Peer third, ScriptedConnection slow) = await TestServer.OpenAsync(listener, script);
        await slow.Do(static self => self.Close(CloseReason.HeartbeatMissed));
        third.Dispose();
        await slow.WhenClosed;

        Figure[] ends = [.. _figures.Where(static figure => figure.Name == "netpoll.connection.closed")];

        Assert.Equal(["aborted", "heartbeat_missed", "peer"], ends.Select(static figure => figure.Tags["netpoll.close.reason"]!).Order(StringComparer.Ordinal));
        Assert.All(ends, figure => Assert.Equal((1, listener.Pid.Id), (figure.Value, figure.Tags["netpoll.listener"])));
        second.Dispose();
    }

    [Fact]
    public async Task Bytes_and_messages_are_counted_in_both_directions()
    {
        ConnectionScript script = new()
        {
            Received = static (self, bytes) =>
            {
                self.Send(bytes);
                self.Send("!"u8);
                return bytes.Length;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        await peer.SendAsync("hello");
        Assert.Equal("hello!", await peer.ReceiveTextAsync(6));

        // A turn later: the peer may have the bytes before they are counted.
        await connection.Do(static _ => { });
        Observe();

        Assert.Equal((5, "By"), Sum("netpoll.connection.io", "network.io.direction", "receive"));
        Assert.Equal((6, "By"), Sum("netpoll.connection.io", "network.io.direction", "transmit"));
        Assert.Equal((1, "{message}"), Sum("netpoll.connection.messages", "network.io.direction", "receive"));
        Assert.Equal((2, "{message}"), Sum("netpoll.connection.messages", "network.io.direction", "transmit"));
    }

    [Fact]
    public async Task Moves_are_counted_where_they_end()
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        int there = 1 - connection.Poller.Index;
        await _server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(_server.NetPoll.Pollers[there]));
        Observe();

        Assert.Equal((1, "{connection}"), Sum("netpoll.connection.moves", "netpoll.poller", $"poller-{there}"));
        Assert.Equal((0, "{connection}"), Sum("netpoll.connection.moves", "netpoll.poller", $"poller-{1 - there}"));
    }

    [Fact]
    public async Task Waiting_output_is_counted_as_long_as_it_waits()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024 });
        (Peer reading, ScriptedConnection first) = await TestServer.OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        (Peer deaf, ScriptedConnection second) = await TestServer.OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        using Peer _ = reading;
        using Peer __ = deaf;
        using SharedPayload payload = SharedPayload.Copy(new byte[8 * 1024 * 1024]);
        await first.Do(self => self.Send(payload));
        await second.Do(static self => self.Send(new byte[8 * 1024 * 1024]));
        long waiting = await first.Ask(static self => self.OutputBytes) + await second.Ask(static self => self.OutputBytes);

        Observe();
        Assert.Equal((waiting, "By"), Sum("netpoll.connection.output_queue"));

        await reading.ReceiveAsync(payload.Length);
        await second.Do(static self => self.Abort());
        await second.WhenClosed;
        await Eventually.Equal("waiting output", 0, () =>
        {
            Observe();
            return Sum("netpoll.connection.output_queue").Value;
        });
    }

    [Fact]
    public void Publishes_are_counted()
    {
        ConnectionGroup group = new(_server.System, "room");
        using SharedPayload payload = SharedPayload.Copy("x"u8);

        group.Publish(payload);
        group.Publish(payload);

        Assert.Equal((2, "{publish}"), Sum("netpoll.connection_group.publishes"));
    }

    [Fact]
    public async Task Nothing_is_measured_after_the_end()
    {
        await _server.ListenAsync(new ConnectionScript());
        await _server.NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();

        Observe();

        Assert.Empty(_figures);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _listener.Dispose();
    }

    // What is observed is measured anew.
    private void Observe()
    {
        _figures.Clear();
        _listener.RecordObservableInstruments();
    }

    private (long Value, string? Unit) Sum(string instrument, string? tag = null, string? value = null)
    {
        Figure[] figures = [.. _figures.Where(figure => figure.Name == instrument && (tag is null || figure.Tags[tag] == value))];
        return (figures.Sum(static figure => figure.Value), figures.FirstOrDefault()?.Unit);
    }

    private sealed class Mute : Proto.IActor
    {
        public Task ReceiveAsync(Proto.IContext context) => Task.CompletedTask;
    }

    private sealed record Figure(string Name, string? Unit, long Value, Dictionary<string, string?> Tags);
}
