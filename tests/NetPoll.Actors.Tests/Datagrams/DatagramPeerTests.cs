using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Datagrams;

/// <summary>One actor for each peer's address: made, bounded, stopped when idle, and with the socket.</summary>
public sealed class DatagramPeerTests : IAsyncDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;
    private readonly ConcurrentQueue<string> _told = new();
    private readonly List<DatagramPeer> _peers = [];
    private DatagramSocket? _socket;

    public DatagramPeerTests()
    {
        _server = new TestServer(options: new PollerOptions { TimeProvider = _time });
    }

    public async ValueTask DisposeAsync()
    {
        _peers.ForEach(static peer => peer.Dispose());
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Each_address_has_an_actor_and_each_actor_its_own_datagrams_in_order()
    {
        await Bind();
        DatagramPeer[] peers = [Peer(), Peer(), Peer()];

        for (int round = 0; round < 10; round++)
        {
            foreach (DatagramPeer peer in peers)
            {
                peer.Say($"{round}", _socket!.LocalEndPoint);
            }
        }

        foreach (DatagramPeer peer in peers)
        {
            for (int round = 0; round < 10; round++)
            {
                Assert.Equal($"{round}: {round + 1}", await peer.Hears());
            }
        }

        DatagramStatistics figures = await Figures();
        Assert.Equal((3, 30, 30), (figures.Peers, figures.Received, figures.Sent));
        Assert.Equal(3, _told.Count(static line => line.StartsWith("started", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_peer_s_actor_is_a_child_of_the_socket_and_lives_on_its_poller()
    {
        await Bind();
        DatagramPeer peer = Peer();

        peer.Say("who", _socket!.LocalEndPoint);

        Assert.Equal($"{_socket.Pid.Id}/1 of {_socket.Pid.Id} at home: True", await peer.Hears());
    }

    [Fact]
    public async Task One_that_sends_nothing_for_a_while_loses_its_actor_and_gets_a_new_one_when_it_comes_again()
    {
        await Bind(new DatagramOptions { PeerIdleTimeout = Idle });
        DatagramPeer quiet = Peer();
        DatagramPeer busy = Peer();
        Assert.Equal("1", await Ask(quiet, "count"));
        Assert.Equal("1", await Ask(busy, "count"));

        await Advance(TimeSpan.FromSeconds(20));
        Assert.Equal("2", await Ask(busy, "count"));
        await Advance(TimeSpan.FromSeconds(9.9));
        Assert.Equal(2, (await Figures()).Peers);
        await Advance(TimeSpan.FromSeconds(0.2));
        await Eventually.Equal("peers", 1, async () => (await Figures()).Peers);
        await Told($"stopped {quiet.EndPoint}");

        Assert.Equal("3", await Ask(busy, "count"));
        Assert.Equal("1", await Ask(quiet, "count"));
        await Advance(TimeSpan.FromSeconds(31));
        await Eventually.Equal("peers", 0, async () => (await Figures()).Peers);
        Assert.Equal("1", await Ask(busy, "count"));
    }

    [Fact]
    public async Task One_too_many_is_not_served_until_there_is_room()
    {
        await Bind(new DatagramOptions { MaxPeers = 2, PeerIdleTimeout = Idle });
        DatagramPeer first = Peer();
        DatagramPeer second = Peer();
        DatagramPeer third = Peer();
        await Ask(first, "count");
        await Ask(second, "count");

        third.Say("count", _socket!.LocalEndPoint);
        third.Say("count", _socket.LocalEndPoint);
        await Eventually.Equal("refused", 2, async () => (await Figures()).PeersRefused);
        Assert.Equal("2", await Ask(first, "count"));
        Assert.Single(_server.Log.Entries, static entry => entry.Id == 155);
        first.Say("stop", _socket.LocalEndPoint);
        await Told($"stopped {first.EndPoint}");
        await Eventually.Equal("peers", 1, async () => (await Figures()).Peers);

        Assert.Equal("1", await Ask(third, "count"));
        Assert.Equal("2", await Ask(second, "count"));
    }

    [Fact]
    public async Task Or_the_idlest_makes_room()
    {
        await Bind(new DatagramOptions { MaxPeers = 2, PeerOverflow = PeerOverflow.ReplaceIdlest });
        DatagramPeer first = Peer();
        DatagramPeer second = Peer();
        DatagramPeer third = Peer();
        await Ask(first, "count");
        await Ask(second, "count");
        await Ask(first, "count");

        Assert.Equal("1", await Ask(third, "count"));

        await Told($"stopped {second.EndPoint}");
        Assert.Equal("3", await Ask(first, "count"));
        Assert.Equal(2, (await Figures()).Peers);
        Assert.Equal(0, (await Figures()).PeersRefused);
    }

    [Fact]
    public async Task What_waits_for_an_actor_that_does_not_keep_up_is_bounded()
    {
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await Bind(new DatagramOptions { MaxQueuedPerPeer = 5 }, gate.Task);
        DatagramPeer slow = Peer();
        DatagramPeer other = Peer();
        slow.Say("wait", _socket!.LocalEndPoint);
        await Told($"waiting {slow.EndPoint}");

        for (int number = 0; number < 8; number++)
        {
            slow.Say("count", _socket.LocalEndPoint);
        }

        await Eventually.Equal("dropped", 3, async () => (await Figures()).PeerDropped);
        Assert.Equal("1", await Ask(other, "count"));
        gate.SetResult();
        for (int number = 2; number <= 6; number++)
        {
            Assert.Equal($"{number}", await slow.Hears());
        }

        Assert.Equal("7", await Ask(slow, "count"));
    }

    [Fact]
    public async Task One_that_fails_is_stopped_and_no_other_is_touched()
    {
        await Bind();
        DatagramPeer bad = Peer();
        DatagramPeer good = Peer();
        await Ask(bad, "count");
        await Ask(good, "count");

        bad.Say("fail", _socket!.LocalEndPoint);
        await Told($"stopped {bad.EndPoint}");

        Assert.Equal("1", await Ask(bad, "count"));
        Assert.Equal("2", await Ask(good, "count"));
        TestLog.Entry error = Assert.Single(_server.Log.Errors);
        Assert.Equal("Told to.", error.Exception!.Message);
        Assert.Contains($"{_socket.Pid.Id}/1", error.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_whose_actor_cannot_be_made_is_logged_and_the_others_go_on()
    {
        int made = 0;
        _socket = await _server.NetPoll.BindDatagramsAsync(
            "test",
            AnyPort,
            from => ++made == 1 ? throw new InvalidOperationException("Not this one.") : new Session(this, from, Task.CompletedTask)).Soon();
        DatagramPeer first = Peer();
        first.Say("count", _socket.LocalEndPoint);

        Assert.Equal("1", await Ask(Peer(), "count"));

        Assert.Equal("Not this one.", Assert.Single(_server.Log.Errors).Exception!.Message);
        Assert.Equal("1", await Ask(first, "count"));
    }

    [Fact]
    public async Task The_socket_stops_after_its_peers_actors_whose_goodbyes_are_sent()
    {
        await Bind();
        DatagramPeer[] peers = [.. Enumerable.Range(0, 20).Select(_ => Peer())];
        foreach (DatagramPeer peer in peers)
        {
            Assert.Equal("hello", await Ask(peer, "greet"));
        }

        await _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)).Soon();

        foreach (DatagramPeer peer in peers)
        {
            Assert.Equal("goodbye", await peer.Hears());
            Assert.Contains($"stopped {peer.EndPoint}", _told);
        }

        Assert.Empty(_server.DeadLetters);
    }

    [Fact]
    public async Task Peers_come_and_go_under_load_and_every_one_is_answered()
    {
        const int Clients = 40;
        await Bind(new DatagramOptions { PeerIdleTimeout = TimeSpan.FromMilliseconds(1), ReceiveBufferBytes = 1 << 20 });
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task clock = Task.Run(
            async () =>
            {
                while (!end.IsCancellationRequested)
                {
                    _time.Advance(TimeSpan.FromMilliseconds(3));
                    await Task.Yield();
                }
            },
            TestContext.Current.CancellationToken);

        DatagramPeer[] clients = [.. Enumerable.Range(0, Clients).Select(_ => Peer())];
        await Task.WhenAll(clients.Select(async client =>
        {
            for (int round = 0; round < StressScale.Rounds(20); round++)
            {
                // Whichever actor it is: it answers, once.
                Assert.NotEqual(0, int.Parse(await Ask(client, "count"), System.Globalization.CultureInfo.InvariantCulture));
            }
        }));
        await end.CancelAsync();
        await clock;
        _time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.Equal("peers", 0, async () => (await Figures()).Peers);
        await Eventually.Equal("actors", true, () => _told.Count(static line => line.StartsWith("started", StringComparison.Ordinal))
            == _told.Count(static line => line.StartsWith("stopped", StringComparison.Ordinal)));
        Assert.Empty(_server.Log.Errors);
    }

    private async Task Bind(DatagramOptions? options = null, Task? gate = null) => _socket = await _server.NetPoll.BindDatagramsAsync(
        "test", AnyPort, from => new Session(this, from, gate ?? Task.CompletedTask), options).Soon();

    private DatagramPeer Peer()
    {
        DatagramPeer peer = new();
        _peers.Add(peer);
        return peer;
    }

    private async Task<string> Ask(DatagramPeer peer, string question)
    {
        peer.Say(question, _socket!.LocalEndPoint);
        return await peer.Hears();
    }

    // The poller has seen the time when it has run something that came after it.
    private async Task Advance(TimeSpan time)
    {
        _time.Advance(time);
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
    }

    private Task Told(string line) => Eventually.True(line, () => _told.Contains(line));

    private Task<DatagramStatistics> Figures() => _server.Ask<DatagramStatistics>(_socket!.Pid, GetDatagramStatistics.Instance);

    /// <summary>One peer's actor: counts what it is sent.</summary>
    private sealed class Session(DatagramPeerTests test, DatagramAddress peer, Task gate) : IActor
    {
        private int _count;
        private bool _isPolite;

        public async Task ReceiveAsync(IContext context)
        {
            switch (context.Message)
            {
                case Started:
                    test._told.Enqueue($"started {peer}");
                    break;
                case Stopping when _isPolite:
                    Say(context, "goodbye");
                    break;
                case Stopped:
                    test._told.Enqueue($"stopped {peer}");
                    break;
                case Datagram datagram:
                    Assert.Equal(peer, datagram.From);
                    _count++;
                    await Handle(context, Encoding.UTF8.GetString(datagram.Bytes.Span));
                    break;
            }
        }

        private async Task Handle(IContext context, string text)
        {
            switch (text)
            {
                case "greet":
                    _isPolite = true;
                    Say(context, "hello");
                    break;
                case "count":
                    Say(context, $"{_count}");
                    break;
                case "who":
                    Say(context, $"{context.Self.Id} of {context.Parent!.Id} at home: {test._server.Homes[0].Poller.IsCurrent}");
                    break;
                case "wait":
                    test._told.Enqueue($"waiting {peer}");
                    await gate;
                    break;
                case "stop":
                    context.Stop(context.Self);
                    break;
                case "fail":
                    throw new InvalidOperationException("Told to.");
                default:
                    Say(context, $"{text}: {_count}");
                    break;
            }
        }

        private void Say(IContext context, string text) => context.Send(context.Parent!, new SendDatagram(Encoding.UTF8.GetBytes(text), peer));
    }
}
