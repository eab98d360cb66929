using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Datagrams;

/// <summary>UDP sockets as actors, over the loopback: what is received, sent, refused, and what a failure costs.</summary>
public sealed class DatagramActorTests : IAsyncDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly TestServer _server;
    private readonly DatagramScript _script = new();

    public DatagramActorTests()
    {
        _server = new TestServer();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("::1", "::1")]
    [InlineData("::", "127.0.0.1")]
    public async Task An_echo_goes_back_to_whom_it_came_from(string bound, string target)
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6 || !bound.Contains(':', StringComparison.Ordinal), "This system has no IPv6.");
        DatagramSocket socket = await Bind(DatagramScript.Echo(), endPoint: new IPEndPoint(IPAddress.Parse(bound), 0));
        using DatagramPeer one = new(IPAddress.Parse(target));
        using DatagramPeer two = new(IPAddress.Parse(target));
        IPEndPoint server = new(IPAddress.Parse(target), socket.LocalEndPoint.Port);

        for (int round = 0; round < 3; round++)
        {
            one.Say($"one {round}", server);
            two.Say($"two {round}", server);
            Assert.Equal($"one {round}", await one.Hears());
            Assert.Equal($"two {round}", await two.Hears());
        }

        Assert.NotEqual(0, socket.LocalEndPoint.Port);
        Assert.Equal("netpoll/datagrams-test", socket.Pid.Id);
        Assert.Equal(socket, _server.NetPoll.FindDatagramSocket("test"));
    }

    [Fact]
    public async Task A_burst_comes_in_order_and_leaves_in_order()
    {
        // What the system's buffers hold everywhere.
        const int Burst = 200;
        DatagramSocket socket = await Bind(DatagramScript.Echo());
        using DatagramPeer peer = new();

        // Held, so that the burst is there as a whole.
        await _server.OnPoller(() =>
        {
            for (int number = 0; number < Burst; number++)
            {
                peer.Say($"{number}", socket.LocalEndPoint);
            }

            return true;
        });

        for (int number = 0; number < Burst; number++)
        {
            Assert.Equal($"{number}", await peer.Hears());
        }

        DatagramStatistics figures = await Figures(socket);
        Assert.Equal((Burst, Burst, 0), (figures.Received, figures.Sent, figures.Dropped));
        Assert.Equal(figures.BytesReceived, figures.BytesSent);
    }

    [Fact]
    public async Task A_flood_leaves_the_poller_s_other_work_its_turn()
    {
        const int Burst = 400;
        int heard = 0;
        int heardBetween = -1;
        _script.Datagram = (_, _, _) =>
        {
            if (heard++ == 0)
            {
                _server.Homes[0].Poller.Post(() => heardBetween = heard);
            }
        };
        DatagramSocket socket = await Bind(_script, new DatagramOptions { ReceiveBufferBytes = 4 << 20 });
        using DatagramPeer peer = new();

        await _server.OnPoller(() =>
        {
            for (int number = 0; number < Burst; number++)
            {
                peer.Say($"{number}", socket.LocalEndPoint);
            }

            return true;
        });

        await Eventually.Equal("datagrams", Burst, () => Volatile.Read(ref heard));
        Assert.InRange(heardBetween, 1, 256 + 64);
    }

    [Fact]
    public async Task One_that_is_too_long_is_cut_and_says_so_and_the_next_is_whole_and_one_without_bytes_is_one()
    {
        DatagramSocket socket = await Bind(_script, new DatagramOptions { MaxDatagramBytes = 4 });
        using DatagramPeer peer = new();

        peer.Say("too long", socket.LocalEndPoint);
        peer.Say("fits", socket.LocalEndPoint);
        peer.Say(string.Empty, socket.LocalEndPoint);
        peer.Say("end", socket.LocalEndPoint);

        await _script.Hears("bound", "too ...", "fits", string.Empty, "end");
        Assert.Equal(1, (await Figures(socket)).Truncated);
    }

    [Fact]
    public async Task Longer_ones_than_may_be_received_can_be_sent_in_their_place()
    {
        string large = new('x', 9000);
        DatagramSocket socket = await Bind(_script);
        using DatagramPeer peer = new();

        await Do(socket, self =>
        {
            self.Say("before", peer.Address);
            self.Say(large, peer.Address);
            self.Say("after", peer.Address);
            self.Say(new string('x', 70_000), peer.Address);
            self.Say("last", peer.Address);
        });

        Assert.Equal("before", await peer.Hears());
        Assert.Equal(large, await peer.Hears());
        Assert.Equal("after", await peer.Hears());
        Assert.Equal("last", await peer.Hears());
        await _script.Hears("bound", $"failed: {peer.EndPoint} MessageSize");
        Assert.Equal((1, 4), ((await Figures(socket)).Failed, (await Figures(socket)).Sent));
    }

    [Fact]
    public async Task A_refusal_is_told_once_and_the_socket_goes_on()
    {
        IPEndPoint nobody = DatagramPeer.Nobody();
        DatagramSocket socket = await _server.NetPoll.ConnectDatagramsAsync(nobody, () => new ScriptedDatagramActor(_script), AnyPort).Soon();

        await Do(socket, static self => self.Say("anybody?"));
        await _script.Hears("bound", "refused: ConnectionRefused");

        // Somebody comes; what was refused is forgotten.
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        peer.Bind(nobody);
        await Do(socket, static self => self.Say("and now?"));
        byte[] buffer = new byte[100];
        SocketReceiveFromResult question = await peer.ReceiveFromAsync(buffer, AnyPort).Soon();
        Assert.Equal("and now?", Encoding.UTF8.GetString(buffer, 0, question.ReceivedBytes));
        peer.SendTo("here"u8, question.RemoteEndPoint);

        await _script.Hears("bound", "refused: ConnectionRefused", "here");
        Assert.Equal((1, 0), ((await Figures(socket)).Refused, (await Figures(socket)).Failed));
        Assert.Equal(nobody, socket.RemoteEndPoint);
        Assert.StartsWith("netpoll/datagrams/", socket.Pid.Id, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_sent_behind_a_refusal_is_sent_all_the_same()
    {
        IPEndPoint nobody = DatagramPeer.Nobody();
        DatagramSocket socket = await _server.NetPoll.ConnectDatagramsAsync(nobody, () => new ScriptedDatagramActor(_script), AnyPort).Soon();

        await Do(socket, static self =>
        {
            for (int number = 0; number < 20; number++)
            {
                self.Say($"{number}");
            }
        });

        await Eventually.Equal("sent", 20, async () => (await Figures(socket)).Sent);
        await Eventually.True("told", () => _script.Told.Contains("refused: ConnectionRefused"));
        DatagramStatistics figures = await Figures(socket);
        Assert.Equal(0, figures.Failed);
        Assert.InRange(figures.Refused, 1, 20);
        Assert.Equal(figures.Refused, _script.Told.Count(static line => line.StartsWith("refused", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_refusal_of_what_one_that_is_not_connected_has_sent_is_nobodys()
    {
        DatagramSocket socket = await Bind(_script);
        using DatagramPeer peer = new();
        DatagramAddress nobody = new(DatagramPeer.Nobody());

        await Do(socket, self => self.Say("anybody?", nobody));
        await Do(socket, self => self.Say("you?", peer.Address));
        Assert.Equal("you?", await peer.Hears());
        peer.Say("yes", socket.LocalEndPoint);

        await _script.Hears("bound", "yes");
        Assert.Equal((0, 0), ((await Figures(socket)).Refused, (await Figures(socket)).Failed));
    }

    [Fact]
    public async Task A_connected_one_hears_its_peer_alone_and_answers_by_the_address_too()
    {
        using DatagramPeer peer = new();
        using DatagramPeer stranger = new();
        DatagramSocket socket = await _server.NetPoll.ConnectDatagramsAsync(peer.EndPoint, () => new ScriptedDatagramActor(_script), AnyPort).Soon();
        _script.Datagram = static (self, datagram, text) => self.Say($"{text}!", datagram.From);

        stranger.Say("no", socket.LocalEndPoint);
        peer.Say("yes", socket.LocalEndPoint);

        Assert.Equal("yes!", await peer.Hears());
        await _script.Hears("bound", "yes");
        ArgumentException error = await Do(socket, self => Assert.Throws<ArgumentException>(() => self.Say("x", stranger.Address)));
        Assert.Contains($"{peer.EndPoint}", error.Message, StringComparison.Ordinal);
        Assert.Contains($"{stranger.EndPoint}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_the_socket_cannot_reach_is_an_error_of_the_caller_or_told_for_a_message()
    {
        DatagramSocket socket = await Bind(_script);
        DatagramAddress six = new(new IPEndPoint(IPAddress.IPv6Loopback, 5));

        ArgumentException error = await Do(socket, self => Assert.Throws<ArgumentException>(() => self.Say("x", six)));
        Assert.Contains("[::1]:5", error.Message, StringComparison.Ordinal);
        await Do(socket, static self => Assert.Throws<ArgumentException>(() => self.Say("x")));
        _server.System.Root.Send(socket.Pid, new SendDatagram("x"u8.ToArray(), six));

        await _script.Hears("bound", "failed: [::1]:5 AddressNotAvailable");
    }

    [Fact]
    public async Task A_handler_that_throws_costs_its_datagram_and_no_other()
    {
        _script.Datagram = static (self, datagram, text) =>
        {
            if (text.StartsWith("bad", StringComparison.Ordinal))
            {
                throw new InvalidOperationException($"It was {text}.");
            }

            self.Say($"{text}!", datagram.From);
        };
        DatagramSocket socket = await Bind(_script);
        using DatagramPeer peer = new();

        await _server.OnPoller(() =>
        {
            foreach (string text in (string[])["1", "bad 2", "3", "bad 4", "bad 5", "6"])
            {
                peer.Say(text, socket.LocalEndPoint);
            }

            return true;
        });

        Assert.Equal("1!", await peer.Hears());
        Assert.Equal("3!", await peer.Hears());
        Assert.Equal("6!", await peer.Hears());
        await _script.Hears("bound", "1", "bad 2", "bound", "3", "bad 4", "bound", "bad 5", "bound", "6");
        Assert.Equal(["It was bad 2.", "It was bad 4.", "It was bad 5."], _server.Log.Errors.Select(static entry => entry.Exception!.Message));
        Assert.Equal(socket, Assert.Single(_server.NetPoll.DatagramSockets));
    }

    [Fact]
    public async Task A_handler_that_fails_at_its_beginning_is_stopped()
    {
        _script.Bound = static _ => throw new InvalidOperationException("No.");
        DatagramSocket socket = await Bind(_script);

        await Eventually.Equal("sockets", 0, () => _server.NetPoll.DatagramSockets.Count);
        await Eventually.True("the name is free", () => _server.System.ProcessRegistry.Get(socket.Pid) is Proto.DeadLetterProcess);
        Assert.Equal(["bound", "stopping"], _script.Told);
    }

    [Fact]
    public async Task One_whose_successor_cannot_be_made_ends_with_its_socket()
    {
        int made = 0;
        _script.Datagram = static (_, _, _) => throw new InvalidOperationException("Bad.");
        DatagramSocket socket = await _server.NetPoll.BindDatagramsAsync(
            "test", AnyPort, () => ++made == 1 ? new ScriptedDatagramActor(_script) : throw new InvalidOperationException("No more.")).Soon();
        Task<bool> ended = await _server.Watch(socket.Pid, _ => CanBind(socket.LocalEndPoint));
        using DatagramPeer peer = new();

        peer.Say("bad", socket.LocalEndPoint);

        Assert.True(await ended.Soon(), "The address was still bound when the watcher was told.");
        Assert.Equal(2, made);
    }

    [Fact]
    public async Task While_a_handler_awaits_datagrams_wait_and_then_come_in_order()
    {
        TaskCompletionSource gate = new();
        TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _script.Message = async (self, _) =>
        {
            entered.SetResult();
            await gate.Task;
            _script.Note(_server.Homes[0].Poller.IsCurrent ? "resumed at home" : "resumed elsewhere");
        };
        DatagramSocket socket = await Bind(_script);
        using DatagramPeer peer = new();
        _server.System.Root.Send(socket.Pid, "wait");
        await entered.Task.Soon();

        peer.Say("1", socket.LocalEndPoint);
        peer.Say("2", socket.LocalEndPoint);

        // The poller has seen them when it has answered something that came later.
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
        Assert.Equal(["bound"], _script.Told);
        gate.SetResult();
        await _script.Hears("bound", "resumed at home", "1", "2");
    }

    [Fact]
    public async Task Suspended_it_is_given_nothing_and_on_demand_no_more_than_was_asked_for()
    {
        _script.Bound = static self => self.Suspend();
        DatagramSocket socket = await Bind(_script);
        using DatagramPeer peer = new();
        for (int number = 1; number <= 6; number++)
        {
            peer.Say($"{number}", socket.LocalEndPoint);
        }

        await Do(socket, static self => self.Want(2));
        await _script.Hears("bound", "1", "2");
        await Do(socket, static self => self.Want(1));
        await _script.Hears("bound", "1", "2", "3");
        await Do(socket, static _ => { });
        Assert.Equal(["bound", "1", "2", "3"], _script.Told);
        await Do(socket, static self => self.Resume());
        await _script.Hears("bound", "1", "2", "3", "4", "5", "6");
        await Do(socket, static self => self.Suspend());
        peer.Say("7", socket.LocalEndPoint);
        await Do(socket, static _ => { });
        Assert.Equal(7, _script.Told.Length);
        await Do(socket, static self => self.Resume());
        await _script.Hears("bound", "1", "2", "3", "4", "5", "6", "7");
    }

    [Fact]
    public async Task A_stop_sends_what_is_said_then_frees_the_address_before_the_watchers_are_told()
    {
        using DatagramPeer peer = new();
        _script.AtStop = self => self.Say("goodbye", peer.Address);
        DatagramSocket socket = await Bind(_script);
        Task<bool> told = await _server.Watch(socket.Pid, _ => CanBind(socket.LocalEndPoint));

        await _server.System.Root.StopAsync(socket.Pid).Soon();

        Assert.Equal("goodbye", await peer.Hears());
        Assert.True(await told.Soon(), "The address was still bound when the watcher was told.");
        Assert.Empty(_server.NetPoll.DatagramSockets);
        DatagramSocket next = await Bind(_script, endPoint: socket.LocalEndPoint);
        Assert.Equal(socket.LocalEndPoint, next.LocalEndPoint);
    }

    [Fact]
    public async Task The_shutdown_closes_it_after_the_connections()
    {
        using DatagramPeer peer = new();
        DatagramSocket socket = await Bind(_script);
        ConnectionScript connections = new();
        Listener listener = await _server.ListenAsync(() => new Reporter(_server.System, socket.Pid, peer.Address));
        using Peer connection = await Peer.ConnectAsync(listener.EndPoint);
        await Eventually.Equal("connections", 1, async () => (await _server.Statistics(listener)).Active);

        await _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)).Soon();

        Assert.Equal("closed", await peer.Hears());
        await _script.Hears("bound", "stopping");
        Assert.True(CanBind(socket.LocalEndPoint));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Bind(_script));
    }

    [Fact]
    public async Task An_actor_system_that_goes_away_leaves_no_socket_behind()
    {
        DatagramSocket socket = await Bind(_script);

        await _server.System.ShutdownAsync().Soon();

        await Eventually.True("the address is free", () => CanBind(socket.LocalEndPoint));
    }

    [Fact]
    public async Task What_cannot_be_bound_says_so_and_leaves_nothing_behind()
    {
        using DatagramPeer taken = new();
        IOException inUse = await Assert.ThrowsAsync<IOException>(() => Bind(_script, endPoint: taken.EndPoint));
        Assert.Contains($"{taken.EndPoint}", inUse.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.IsType<SocketException>(inUse.InnerException).SocketErrorCode);

        DatagramSocket socket = await Bind(_script);
        IPEndPoint other = DatagramPeer.Nobody();
        await Assert.ThrowsAsync<ProcessNameExistException>(() => Bind(_script, endPoint: other));
        Assert.True(CanBind(other));
        Assert.Equal(socket, Assert.Single(_server.NetPoll.DatagramSockets));

        ArgumentException option = await Assert.ThrowsAsync<ArgumentException>(() => Bind(_script, new DatagramOptions { MaxDatagramBytes = 70_000 }));
        Assert.Contains("MaxDatagramBytes is 70000; expected 1 to 65535", option.Message, StringComparison.Ordinal);
        ArgumentException group = await Assert.ThrowsAsync<ArgumentException>(
            () => Bind(_script, new DatagramOptions { MulticastGroups = { IPAddress.Parse("192.0.2.1") } }));
        Assert.Contains("192.0.2.1", group.Message, StringComparison.Ordinal);
        InvalidOperationException noActor = await Assert.ThrowsAsync<InvalidOperationException>(
            () => _server.NetPoll.BindDatagramsAsync("none", other, static () => (DatagramActor)null!));
        Assert.Contains("netpoll/datagrams-none", noActor.Message, StringComparison.Ordinal);
        Assert.True(CanBind(other));
    }

    [Fact]
    public async Task A_group_is_joined_and_sent_to_by_the_interface_that_an_option_names()
    {
        IPAddress group = IPAddress.Parse("239.7.7.7");
        int loopback = Interface(static one => one.NetworkInterfaceType == NetworkInterfaceType.Loopback)!.Value;
        DatagramOptions options = new() { MulticastGroups = { group }, MulticastInterface = loopback, ShareAddress = true, MulticastTimeToLive = 1 };
        DatagramSocket socket = await Bind(_script, options, new IPEndPoint(IPAddress.Any, 0));
        using DatagramPeer peer = new(IPAddress.Any);
        peer.Socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastInterface, IPAddress.HostToNetworkOrder(loopback));
        peer.Socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.AddMembership, new MulticastOption(group, loopback));
        peer.Socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.PacketInformation, true);

        peer.Say("to the actor", new IPEndPoint(group, socket.LocalEndPoint.Port));
        await _script.Hears("bound", "to the actor");
        await Do(socket, self => self.Say("to the peer", new DatagramAddress(new IPEndPoint(group, peer.EndPoint.Port))));
        SocketReceiveMessageFromResult received = await peer.Socket.ReceiveMessageFromAsync(new byte[16], SocketFlags.None, peer.EndPoint).Soon();

        Assert.Equal(("to the peer".Length, loopback), (received.ReceivedBytes, received.PacketInformation.Interface));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_sent_to_a_group_comes_back_to_this_machine_unless_an_option_says_no(bool comesBack)
    {
        // On the loopback everything comes back.
        int? index = Interface(static one => one.NetworkInterfaceType != NetworkInterfaceType.Loopback
            && one.SupportsMulticast && one.OperationalStatus == OperationalStatus.Up && one.Supports(NetworkInterfaceComponent.IPv4));
        Assert.SkipWhen(index is null, "This machine has no interface with multicast but the loopback.");
        IPAddress group = IPAddress.Parse("239.7.7.8");
        DatagramOptions options = new() { MulticastGroups = { group }, MulticastInterface = index!.Value, MulticastLoopback = comesBack, MulticastTimeToLive = 0 };
        DatagramSocket socket = await Bind(_script, options, new IPEndPoint(IPAddress.Any, 0));

        await Do(socket, self =>
        {
            self.Say("all", new DatagramAddress(new IPEndPoint(group, self.Local.Port)));
            self.Say("me", new DatagramAddress(new IPEndPoint(IPAddress.Loopback, self.Local.Port)));
        });

        await _script.Hears(comesBack ? ["bound", "all", "me"] : ["bound", "me"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Broadcasts_are_sent_only_where_an_option_allows_it(bool isAllowed)
    {
        using DatagramPeer receiver = new(IPAddress.Any);
        IPEndPoint all = new(IPAddress.Parse("127.255.255.255"), receiver.EndPoint.Port);
        DatagramSocket socket = await Bind(_script, new DatagramOptions { Broadcast = isAllowed });

        await Do(socket, self => self.Say("to all", new DatagramAddress(all)));
        if (!isAllowed)
        {
            await _script.Hears("bound", $"failed: {all} {SocketError.AccessDenied}");
            receiver.Say("directly", new IPEndPoint(IPAddress.Loopback, receiver.EndPoint.Port));
        }

        Assert.Equal(isAllowed ? "to all" : "directly", await receiver.Hears());
    }

    private static int? Interface(Func<NetworkInterface, bool> which) =>
        NetworkInterface.GetAllNetworkInterfaces().FirstOrDefault(which)?.GetIPProperties().GetIPv4Properties().Index;

    private static bool CanBind(IPEndPoint endPoint)
    {
        using Socket socket = new(endPoint.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Bind(endPoint);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private Task<DatagramSocket> Bind(DatagramScript script, DatagramOptions? options = null, IPEndPoint? endPoint = null) =>
        _server.NetPoll.BindDatagramsAsync("test", endPoint ?? AnyPort, () => new ScriptedDatagramActor(script), options).Soon();

    private Task<DatagramStatistics> Figures(DatagramSocket socket) => _server.Ask<DatagramStatistics>(socket.Pid, GetDatagramStatistics.Instance);

    private Task<bool> Do(DatagramSocket socket, Action<ScriptedDatagramActor> action) => Do(socket, self =>
    {
        action(self);
        return true;
    });

    private Task<T> Do<T>(DatagramSocket socket, Func<ScriptedDatagramActor, T> action)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _server.System.Root.Send(socket.Pid, (Action<ScriptedDatagramActor>)(self =>
        {
            try
            {
                done.SetResult(action(self));
            }
            catch (Exception exception)
            {
                done.SetException(exception);
            }
        }));
        return done.Task.Soon();
    }

    /// <summary>Tells by datagram that it has closed.</summary>
    private sealed class Reporter(ActorSystem system, PID socket, DatagramAddress to) : ConnectionActor
    {
        protected override void OnClosed(ConnectionClosed closed) => system.Root.Send(socket, new SendDatagram("closed"u8.ToArray(), to));
    }
}
