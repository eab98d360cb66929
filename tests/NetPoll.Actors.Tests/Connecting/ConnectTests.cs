using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connecting;

/// <summary>Outbound connections: the same actors at the other end, and errors that say whom could not be reached.</summary>
public sealed class ConnectTests : IAsyncDisposable
{
    private const string Host = "server.example";

    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task An_actor_talks_to_a_server_that_it_connected_to()
    {
        Listener listener = await _server.ListenAsync(ConnectionScript.Echo());
        ConnectionScript script = new() { Connected = static self => self.Send("hello"u8) };

        PID pid = await ConnectAsync(listener.EndPoint, script);
        ScriptedConnection connection = await script.ConnectionOf(listener.EndPoint.Port);

        await Eventually.Equal("bytes that came back", "hello", () => System.Text.Encoding.UTF8.GetString(connection.ReceivedBytes));
        Assert.Equal(pid, connection.Pid);
        Assert.Equal(listener.EndPoint, connection.Remote);
        Task<bool> terminated = await _server.Watch(pid, static _ => true);
        await connection.Do(static self => self.Close());
        await terminated.Soon();
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        await Eventually.Equal("connections that are counted", 0, () => _server.NetPoll.Connections.Live);
    }

    [Fact]
    public async Task Messages_may_be_sent_to_the_PID_at_once()
    {
        Listener listener = await _server.ListenAsync(new ConnectionScript());
        ConnectionScript script = new();

        PID pid = await ConnectAsync(listener.EndPoint, script);
        _server.System.Root.Send(pid, "at once");

        ScriptedConnection connection = await script.ConnectionOf(listener.EndPoint.Port);
        await Eventually.True("the message comes after the start", () => connection.Events is ["connected", "at once"]);
    }

    [Fact]
    public async Task A_host_is_looked_up_and_its_addresses_are_tried_until_one_answers()
    {
        Listener listener = await _server.ListenAsync(new ConnectionScript());
        ConnectionScript script = new();
        IPAddress[] addresses = [IPAddress.Parse("127.0.0.9"), IPAddress.IPv6Loopback, listener.EndPoint.Address];

        await ConnectAsync(new DnsEndPoint(Host, listener.EndPoint.Port), script, Resolving(addresses));

        Assert.Equal(listener.EndPoint, (await script.ConnectionOf(listener.EndPoint.Port)).Remote);
    }

    [Fact]
    public async Task A_host_s_addresses_of_another_family_than_asked_for_are_left_out()
    {
        ConnectOptions options = Resolving(IPAddress.Loopback);

        IOException exception = await Assert.ThrowsAsync<IOException>(
            () => ConnectAsync(new DnsEndPoint(Host, 1, AddressFamily.InterNetworkV6), new ConnectionScript(), options));

        Assert.Contains($"{Host}:1", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_names_the_address_and_has_the_system_s_error()
    {
        IPEndPoint closed = ClosedEndPoint();

        IOException exception = await Assert.ThrowsAsync<IOException>(() => ConnectAsync(closed, new ConnectionScript()));

        Assert.Contains(closed.ToString(), exception.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(exception.InnerException).SocketErrorCode);
        Assert.Equal(0, _server.NetPoll.Connections.Live);
    }

    [Fact]
    public async Task A_refusal_by_every_address_of_a_host_names_the_host()
    {
        IPEndPoint closed = ClosedEndPoint();
        DnsEndPoint host = new(Host, closed.Port);

        IOException one = await Assert.ThrowsAsync<IOException>(() => ConnectAsync(host, new ConnectionScript(), Resolving(closed.Address)));
        IOException many = await Assert.ThrowsAsync<IOException>(
            () => ConnectAsync(host, new ConnectionScript(), Resolving(closed.Address, IPAddress.Parse("127.0.0.9"))));
        IOException none = await Assert.ThrowsAsync<IOException>(() => ConnectAsync(host, new ConnectionScript(), Resolving()));

        Assert.All(new[] { one, many, none }, exception => Assert.Contains($"{Host}:{closed.Port}", exception.Message, StringComparison.Ordinal));
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(one.InnerException).SocketErrorCode);
        Assert.Equal(SocketError.HostNotFound, Assert.IsType<SocketException>(none.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task No_answer_within_the_timeout_is_told_with_the_end_point()
    {
        FakeTimeProvider time = new();
        ScriptedPlatform platform = new();
        platform.Connecting.ConnectResults.Enqueue(Core.Backends.IoResult.TryAgain);
        await using TestServer server = new(options: new PollerOptions { Platform = platform, TimeProvider = time });
        IPEndPoint endPoint = new(IPAddress.Loopback, 9);

        Task<PID> attempt = server.NetPoll.ConnectAsync(
            endPoint, static () => new ScriptedConnection(new ConnectionScript()), new ConnectOptions { ConnectTimeout = TimeSpan.FromSeconds(3) });
        time.Advance(TimeSpan.FromSeconds(2.9));
        await server.OnPoller(static () => true);
        Assert.False(attempt.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.2));

        DeadlineExceededException exception = await Assert.ThrowsAsync<DeadlineExceededException>(() => attempt.Soon());
        Assert.Contains(endPoint.ToString(), exception.Message, StringComparison.Ordinal);
        await Eventually.Equal("closes of the socket", 1, () => platform.Connecting.CloseCalls);
    }

    [Fact]
    public async Task A_name_that_is_not_found_in_time_is_told_with_the_name()
    {
        ConnectOptions options = new() { ConnectTimeout = TimeSpan.FromMilliseconds(20), Resolver = static (_, _) => new TaskCompletionSource<IPAddress[]>().Task };

        DeadlineExceededException exception = await Assert.ThrowsAsync<DeadlineExceededException>(
            () => ConnectAsync(new DnsEndPoint(Host, 80), new ConnectionScript(), options));

        Assert.Contains($"{Host}:80", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_attempt_ends_by_its_token()
    {
        using CancellationTokenSource cancellation = new();
        ConnectOptions options = new() { Resolver = static (_, _) => new TaskCompletionSource<IPAddress[]>().Task };
        Task<PID> attempt = _server.NetPoll.ConnectAsync(
            new DnsEndPoint(Host, 80), static () => new ScriptedConnection(new ConnectionScript()), options, cancellation.Token);

        await cancellation.CancelAsync();

        OperationCanceledException exception = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => attempt.Soon());
        Assert.Equal(cancellation.Token, exception.CancellationToken);
    }

    [Fact]
    public async Task A_factory_that_throws_is_told_and_leaves_nothing_open()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);

        FormatException exception = await Assert.ThrowsAsync<FormatException>(
            () => _server.NetPoll.ConnectAsync(listener.EndPoint, static () => throw new FormatException("no actor")).Soon());

        Assert.Equal("no actor", exception.Message);
        await Eventually.Equal("connections that are counted", 0, () => _server.NetPoll.Connections.Live);
    }

    [Fact]
    public async Task A_connection_that_connects_shares_its_poller_with_the_new_one()
    {
        ConnectionScript upstream = new();
        Listener backend = await _server.ListenAsync(upstream);
        ConnectionScript accepted = new();
        Listener front = await _server.ListenAsync(accepted);
        for (int number = 0; number < 8; number++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(front, accepted);
            using Peer _ = peer;
            ConnectionScript script = new();

            await connection.Do(async self => await _server.NetPoll.ConnectAsync(backend.EndPoint, () => new ScriptedConnection(script)));

            Assert.Same(connection.Poller, (await script.ConnectionOf(backend.EndPoint.Port)).Poller);
        }
    }

    [Fact]
    public async Task The_poller_may_be_chosen()
    {
        Listener listener = await _server.ListenAsync(new ConnectionScript());
        for (int poller = 0; poller < 2; poller++)
        {
            ConnectionScript script = new();
            await ConnectAsync(listener.EndPoint, script, new ConnectOptions { Poller = PollerChoice.At(poller) });
            Assert.Same(_server.Homes[poller].Poller, (await script.ConnectionOf(listener.EndPoint.Port)).Poller);
        }

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            () => ConnectAsync(listener.EndPoint, new ConnectionScript(), new ConnectOptions { Poller = PollerChoice.At(2) }));
    }

    [Fact]
    public async Task The_shutdown_drains_outbound_connections_and_ends_attempts()
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
        await ConnectAsync(listener.EndPoint, script);
        ScriptedConnection connection = await script.ConnectionOf(listener.EndPoint.Port);
        Task<PID> attempt = ConnectAsync(
            new DnsEndPoint(Host, 80), script, new ConnectOptions { Resolver = static (_, _) => new TaskCompletionSource<IPAddress[]>().Task });

        await _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)).Soon();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => attempt);
        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal((CloseReason.Local, 3), (closed.Reason, closed.BytesSent));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => ConnectAsync(listener.EndPoint, script));
    }

    [Fact]
    public async Task Connecting_that_races_the_shutdown_leaves_nothing_open()
    {
        await using TestServer other = new();
        Listener listener = await other.ListenAsync(new ConnectionScript());
        int rounds = StressScale.Rounds(40);
        for (int round = 0; round < rounds; round++)
        {
            TestServer server = new(pollers: 2);
            ConnectionScript script = new();
            Task<PID>[] attempts =
            [
                .. Enumerable.Range(0, 8).Select(_ => server.NetPoll.ConnectAsync(listener.EndPoint, () => new ScriptedConnection(script))),
            ];
            SpinWait.SpinUntil(static () => false, TimeSpan.FromMicroseconds(round * 20));

            await server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)).Soon();

            foreach (Task<PID> attempt in attempts)
            {
                if (await Task.WhenAny(attempt).Soon() is { IsFaulted: true } failed)
                {
                    Assert.IsType<ObjectDisposedException>(failed.Exception!.InnerException);
                }
            }

            Assert.Equal(0, server.NetPoll.Connections.Live);
            await server.DisposeAsync();
        }

        await Eventually.Equal("connections at the other end", 0, async () => (await other.Statistics(listener)).Active);
    }

    [Fact]
    public async Task What_is_no_end_point_of_a_known_kind_is_refused_by_name()
    {
        ArgumentException strange = await Assert.ThrowsAsync<ArgumentException>(() => ConnectAsync(new StrangeEndPoint(), new ConnectionScript()));
        ArgumentException port = await Assert.ThrowsAsync<ArgumentException>(() => ConnectAsync(new DnsEndPoint(Host, 0), new ConnectionScript()));
        (ConnectOptions Options, string Named)[] cases =
        [
            (new ConnectOptions { ConnectTimeout = TimeSpan.Zero }, "ConnectOptions.ConnectTimeout is 00:00:00"),
            (new ConnectOptions { FallbackDelay = TimeSpan.FromSeconds(-1) }, "ConnectOptions.FallbackDelay is -00:00:01"),
            (new ConnectOptions { Connections = new ConnectionOptions { MaxInputBytes = 0 } }, "ConnectionOptions.MaxInputBytes is 0"),
        ];

        Assert.Contains(nameof(StrangeEndPoint), strange.Message, StringComparison.Ordinal);
        Assert.Contains(Host, port.Message, StringComparison.Ordinal);
        foreach ((ConnectOptions options, string named) in cases)
        {
            ArgumentException exception = await Assert.ThrowsAnyAsync<ArgumentException>(() => ConnectAsync(new DnsEndPoint(Host, 1), new ConnectionScript(), options));
            Assert.Contains(named, exception.Message, StringComparison.Ordinal);
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    // An address of the test's own, so that no other test takes the port meanwhile.
    internal static IPEndPoint ClosedEndPoint(string address = "127.0.0.80")
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }

    private static ConnectOptions Resolving(params IPAddress[] addresses) => new() { Resolver = (_, _) => Task.FromResult(addresses) };

    private async Task<PID> ConnectAsync(EndPoint endPoint, ConnectionScript script, ConnectOptions? options = null) =>
        await _server.NetPoll.ConnectAsync(endPoint, () => new ScriptedConnection(script), options).Soon();

    private sealed class StrangeEndPoint : EndPoint
    {
        public override AddressFamily AddressFamily => AddressFamily.Unspecified;
    }
}
