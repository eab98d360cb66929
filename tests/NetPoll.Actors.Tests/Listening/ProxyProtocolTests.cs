using System.Net;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>A listener behind proxies: whose connection it is, and what becomes of those that do not say so.</summary>
public sealed class ProxyProtocolTests : IAsyncDisposable
{
    private static readonly byte[] Signature = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;

    public ProxyProtocolTests() => _server = new TestServer(pollers: 2, new PollerOptions { TimeProvider = _time });

    /// <summary>Headers, and the addresses that the handler sees.</summary>
    public static TheoryData<byte[], string> Headers => new()
    {
        { "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"u8.ToArray(), "192.0.2.7:56324" },
        { "PROXY TCP6 2001:db8::1 ::1 4124 443\r\n"u8.ToArray(), "[2001:db8::1]:4124" },
        { [.. Signature, 0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB], "192.0.2.7:56324" },
        { [.. Signature, 0x21, 0x11, 0x03, 0xF4, 192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB, .. new byte[1000]], "192.0.2.7:56324" },
    };

    [Theory]
    [MemberData(nameof(Headers))]
    public async Task The_client_is_who_the_header_says_and_the_handler_never_sees_the_header(byte[] header, string client)
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await ListenAsync(script);
        using Peer proxy = await Peer.ConnectAsync(listener.EndPoint);

        await proxy.SendAsync((byte[])[.. header, .. "hello"u8]);

        Assert.Equal("hello", await proxy.ReceiveTextAsync(5));
        ScriptedConnection connection = await script.ConnectionOf(IPEndPoint.Parse(client).Port);
        Assert.Equal(client, connection.Remote!.ToString());
        await proxy.SendAsync(" and more");
        Assert.Equal(" and more", await proxy.ReceiveTextAsync(9));
    }

    [Fact]
    public async Task A_header_may_come_byte_by_byte_and_with_the_first_bytes_behind_it()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await ListenAsync(script);
        byte[] bytes = [.. "PROXY TCP4 192.0.2.7 198.51.100.1 777 443\r\n"u8, .. "hel"u8];
        for (int split = 0; split < bytes.Length; split++)
        {
            using Peer proxy = await Peer.ConnectAsync(listener.EndPoint);
            await proxy.SendAsync(bytes.AsMemory(0, split));
            await SettleAsync();
            await proxy.SendAsync(bytes.AsMemory(split));
            await proxy.SendAsync("lo");
            Assert.Equal("hello", await proxy.ReceiveTextAsync(5));
        }

        using Peer slow = await Peer.ConnectAsync(listener.EndPoint);
        foreach (byte one in bytes)
        {
            await slow.SendAsync(new byte[] { one });
            await SettleAsync();
        }

        Assert.Equal("hel", await slow.ReceiveTextAsync(3));
    }

    [Fact]
    public async Task Much_that_comes_with_the_header_arrives_whole()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await ListenAsync(script);
        byte[] much = Connections.ConnectionReadingTests.Pattern(2 * 1024 * 1024);
        using Peer proxy = await Peer.ConnectAsync(listener.EndPoint);

        Task sending = proxy.SendAsync((byte[])[.. "PROXY TCP4 192.0.2.7 198.51.100.1 778 443\r\n"u8, .. much]);
        byte[] echo = await proxy.ReceiveAsync(much.Length);
        await sending;

        Assert.True(much.AsSpan().SequenceEqual(echo));
    }

    [Fact]
    public async Task What_came_with_the_header_waits_for_a_handler_that_suspends_reading_at_once()
    {
        ConnectionScript script = new() { Connected = static self => self.SuspendReading() };
        Listener listener = await ListenAsync(script);
        using Peer proxy = await Peer.ConnectAsync(listener.EndPoint);
        await proxy.SendAsync("PROXY TCP4 192.0.2.7 198.51.100.1 779 443\r\nhello");
        ScriptedConnection connection = await script.ConnectionOf(779);
        proxy.CloseWrite();
        await SettleAsync();
        Assert.Empty(connection.ReceivedBytes);

        await connection.Do(static self => self.ResumeReading());
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal("hello"u8.ToArray(), connection.ReceivedBytes);
        Assert.Equal((CloseReason.Peer, 5), (closed.Reason, closed.BytesReceived));
    }

    [Theory]
    [InlineData("PROXY UNKNOWN\r\n")]
    [InlineData("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")]
    public async Task A_header_that_names_nobody_leaves_the_proxy_s_address_and_is_limited_by_no_address(string header)
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await ListenAsync(script, new AddressLimit { MaxConcurrent = 1 });
        for (int number = 0; number < 3; number++)
        {
            Peer proxy = await Peer.ConnectAsync(listener.EndPoint);
            await proxy.SendAsync(Encoding.Latin1.GetBytes(header + "hello"));
            Assert.Equal("hello", await proxy.ReceiveTextAsync(5));
            Assert.Equal(new IPEndPoint(IPAddress.Loopback, proxy.LocalPort), (await script.ConnectionOf(proxy)).Remote);
        }

        Assert.Equal(3, (await _server.Statistics(listener)).Active);
    }

    [Fact]
    public async Task Limits_hold_for_the_client_and_not_for_the_proxy()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await ListenAsync(script, new AddressLimit { MaxConcurrent = 1 });
        using Peer first = await SpeakAsync(listener, "PROXY TCP4 192.0.2.7 198.51.100.1 1001 443\r\nhello");
        using Peer other = await SpeakAsync(listener, "PROXY TCP4 192.0.2.8 198.51.100.1 1002 443\r\nhello");
        Assert.Equal("hello", await first.ReceiveTextAsync(5));
        Assert.Equal("hello", await other.ReceiveTextAsync(5));

        using Peer refused = await SpeakAsync(listener, "PROXY TCP4 192.0.2.7 198.51.100.1 1003 443\r\nhello");
        Assert.Equal("NetworkConcurrency 192.0.2.7:1003", Encoding.UTF8.GetString(await refused.ReceiveToEndAsync()));
        first.Dispose();
        await (await script.ConnectionOf(1001)).WhenClosed;
        using Peer again = await SpeakAsync(listener, "PROXY TCP4 192.0.2.7 198.51.100.1 1004 443\r\nhello");

        Assert.Equal("hello", await again.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task Networks_rates_and_exemptions_go_by_the_client_too()
    {
        ListenerOptions options = Options();
        options.AddressLimits.Add(new AddressLimit { IPv4PrefixLength = 24, MaxPerInterval = 2, Interval = TimeSpan.FromMinutes(10) });
        options.ExemptNetworks.Add(IPNetwork.Parse("198.51.100.0/24"));
        Listener listener = await _server.ListenAsync(ConnectionScript.Echo(), options);
        List<Peer> peers = [];

        await ExpectAsync("192.0.2.7", "hello");
        await ExpectAsync("192.0.2.8", "hello");
        await ExpectAsync("192.0.2.9", "NetworkRate 192.0.2.9:1009");
        await ExpectAsync("192.0.3.9", "hello");
        for (int number = 0; number < 4; number++)
        {
            await ExpectAsync("198.51.100.5", "hello");
        }

        _time.Advance(TimeSpan.FromMinutes(5));
        await SettleAsync();
        await ExpectAsync("192.0.2.9", "hello");
        await ExpectAsync("192.0.2.9", "NetworkRate 192.0.2.9:1009");
        ListenerStatistics statistics = await _server.Statistics(listener);
        Assert.Equal((8, 2), (statistics.Accepted, statistics.Refused[RefusalReason.NetworkRate]));
        peers.ForEach(static peer => peer.Dispose());

        async Task ExpectAsync(string client, string answer)
        {
            Peer peer = await SpeakAsync(listener, $"PROXY TCP4 {client} 198.51.100.1 1009 443\r\nhello");
            peers.Add(peer);
            Assert.Equal(answer, await peer.ReceiveTextAsync(answer.Length));
        }
    }

    [Fact]
    public async Task Plain_actors_the_live_table_errors_and_the_log_of_refusals_name_the_client()
    {
        RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
        ListenerOptions options = Options();
        options.MaxConnections = 1;
        options.AddressLimits.Add(new AddressLimit { MaxConcurrent = 1 });
        Listener listener = await _server.NetPoll.ListenAsync("proxied", new IPEndPoint(IPAddress.Loopback, 0), handler.Pid, options).Soon();
        using Peer proxy = await SpeakAsync(listener, "PROXY TCP6 2001:db8::7 ::1 1010 443\r\nhello");
        IPEndPoint client = IPEndPoint.Parse("[2001:db8::7]:1010");

        Connected connected = await handler.Next<Connected>();
        await handler.NextBytes(5);
        ConnectionTable table = await _server.Ask<ConnectionTable>(
            _server.NetPoll.ConnectionTable, new GetConnections { Where = row => client.Equals(row.RemoteEndPoint) });
        proxy.Reset();
        ConnectionClosed closed = await handler.Next<ConnectionClosed>();

        Assert.Equal(client, connected.RemoteEndPoint);
        Assert.Equal(connected.Connection, Assert.Single(table.Connections).Pid);
        Assert.Contains("[2001:db8::7]:1010", closed.Exception!.Message, StringComparison.Ordinal);

        options = Options();
        options.AddressLimits.Add(new AddressLimit { MaxConcurrent = 1 });
        Listener limited = await _server.ListenAsync(ConnectionScript.Echo(), options);
        using Peer served = await SpeakAsync(limited, "PROXY TCP6 2001:db8::8 ::1 1011 443\r\nhello");
        Assert.Equal("hello", await served.ReceiveTextAsync(5));
        using Peer refused = await SpeakAsync(limited, "PROXY TCP6 2001:db8::9 ::1 1012 443\r\nhello");
        Assert.Equal("NetworkConcurrency [2001:db8::9]:1012", Encoding.UTF8.GetString(await refused.ReceiveToEndAsync()));
        Assert.Contains("[2001:db8::9]:1012", Assert.Single(_server.Log.Entries, static entry => entry.Id == 130).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logs_name_the_client()
    {
        ConnectionScript script = new() { Received = static (_, _) => throw new FormatException("on purpose") };
        Listener listener = await ListenAsync(script);
        using Peer proxy = await SpeakAsync(listener, "PROXY TCP4 192.0.2.7 198.51.100.1 1005 443\r\nhello");

        await (await script.ConnectionOf(1005)).WhenClosed;

        Assert.Contains("192.0.2.7:1005", Assert.Single(_server.Log.Errors).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n", "neither version")]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 1005 443\n", "line feed")]
    public async Task What_is_no_header_is_refused_with_the_reason_in_the_log_and_no_actor_is_made(string bytes, string reason)
    {
        int made = 0;
        Listener listener = await _server.ListenAsync(
            () =>
            {
                Interlocked.Increment(ref made);
                return new ScriptedConnection(new ConnectionScript());
            },
            Options());
        using Peer peer = await SpeakAsync(listener, bytes);

        Assert.Equal($"ProxyHeaderInvalid 127.0.0.1:{peer.LocalPort}", Encoding.UTF8.GetString(await peer.ReceiveToEndAsync()));

        ListenerStatistics statistics = await _server.Statistics(listener);
        Assert.Equal((0, 0, 1), (statistics.Accepted, statistics.Active, statistics.Refused[RefusalReason.ProxyHeaderInvalid]));
        Assert.Contains(reason, Assert.Single(_server.Log.Entries, static entry => entry.Id == 133).Text, StringComparison.Ordinal);
        Assert.Equal(0, made);
    }

    [Fact]
    public async Task A_header_that_is_too_long_is_refused_before_it_has_come()
    {
        Listener listener = await ListenAsync(new ConnectionScript());
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync((byte[])[.. Signature, 0x21, 0x11, 0x40, 0x00]);

        Assert.StartsWith("ProxyHeaderInvalid", Encoding.UTF8.GetString(await peer.ReceiveToEndAsync()), StringComparison.Ordinal);
        Assert.Contains("MaxHeaderBytes is 4096", Assert.Single(_server.Log.Entries, static entry => entry.Id == 133).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_not_trusted_is_refused_whatever_he_says()
    {
        ListenerOptions options = Options();
        options.ProxyProtocol!.TrustedNetworks.Clear();
        options.ProxyProtocol.TrustedNetworks.Add(IPNetwork.Parse("127.0.0.2/32"));
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, options);

        using Peer liar = await SpeakAsync(listener, "PROXY TCP4 192.0.2.7 198.51.100.1 1006 443\r\nhello");
        Assert.Equal($"UntrustedProxy 127.0.0.1:{liar.LocalPort}", Encoding.UTF8.GetString(await liar.ReceiveToEndAsync()));
        using Peer trusted = await Peer.ConnectAsync(listener.EndPoint, from: IPAddress.Parse("127.0.0.2"));
        await trusted.SendAsync("PROXY TCP4 192.0.2.7 198.51.100.1 1007 443\r\nhello");

        Assert.Equal("hello", await trusted.ReceiveTextAsync(5));
        Assert.Contains("trusted networks", Assert.Single(_server.Log.Entries, static entry => entry.Id == 133).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_header_that_does_not_come_in_time_ends_the_connection_and_frees_its_place()
    {
        ListenerOptions options = Options();
        options.MaxConnections = 1;
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, options);
        using Peer slow = await SpeakAsync(listener, "PROXY TCP4 192.0.2.7");
        await Eventually.Equal("it waits for the header", 1, async () => (await _server.Statistics(listener)).Active);
        await SettleAsync();
        using Peer refused = await Peer.ConnectAsync(listener.EndPoint);
        Assert.StartsWith("TooManyConnections", Encoding.UTF8.GetString(await refused.ReceiveToEndAsync()), StringComparison.Ordinal);

        _time.Advance(TimeSpan.FromSeconds(5) - TimeSpan.FromMilliseconds(1));
        await SettleAsync();
        Assert.Equal(1, (await _server.Statistics(listener)).Active);
        _time.Advance(TimeSpan.FromMilliseconds(2));

        Assert.StartsWith("ProxyHeaderTimeout", Encoding.UTF8.GetString(await slow.ReceiveToEndAsync()), StringComparison.Ordinal);
        Assert.Contains("20 bytes came within 00:00:05", Assert.Single(_server.Log.Entries, static entry => entry.Id == 133).Text, StringComparison.Ordinal);
        using Peer next = await SpeakAsync(listener, "PROXY TCP4 192.0.2.7 198.51.100.1 1008 443\r\nhello");
        Assert.Equal("hello", await next.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task Who_only_looks_whether_the_port_is_open_is_no_refusal_and_one_who_breaks_off_is()
    {
        Listener listener = await ListenAsync(new ConnectionScript());
        for (int number = 0; number < 3; number++)
        {
            using Peer looker = await Peer.ConnectAsync(listener.EndPoint);
        }

        using (Peer quitter = await SpeakAsync(listener, "PROXY TCP4"))
        {
            quitter.CloseWrite();
            Assert.StartsWith("ProxyHeaderInvalid", Encoding.UTF8.GetString(await quitter.ReceiveToEndAsync()), StringComparison.Ordinal);
        }

        await Eventually.Equal("connections that wait", 0, async () => (await _server.Statistics(listener)).Active);
        Assert.Equal(1, (await _server.Statistics(listener)).Refused.Total);
    }

    [Fact]
    public async Task A_shutdown_refuses_who_has_not_said_who_he_is_and_does_not_wait_for_it()
    {
        Listener listener = await ListenAsync(new ConnectionScript());
        using Peer silent = await Peer.ConnectAsync(listener.EndPoint);
        using Peer slow = await SpeakAsync(listener, "PROXY TCP4");
        await Eventually.Equal("both wait", 2, async () => (await _server.Statistics(listener)).Active);

        Task shutdown = _server.NetPoll.ShutdownAsync(TimeSpan.FromHours(1));

        Assert.StartsWith("Stopping", Encoding.UTF8.GetString(await silent.ReceiveToEndAsync()), StringComparison.Ordinal);
        Assert.StartsWith("Stopping", Encoding.UTF8.GetString(await slow.ReceiveToEndAsync()), StringComparison.Ordinal);
        await shutdown.Soon();
    }

    [Fact]
    public async Task A_poller_that_drains_refuses_who_has_not_said_who_he_is()
    {
        await using TestServer server = new(options: new PollerOptions { TimeProvider = _time });
        Listener listener = await server.ListenAsync(new ConnectionScript(), Options());
        using Peer slow = await SpeakAsync(listener, "PROXY TCP4");
        await Eventually.Equal("it waits", 1, async () => (await server.Statistics(listener)).Active);

        Task drained = server.Ask<PollerDrained>(server.NetPoll.Pollers[0], new DrainPoller(TimeSpan.FromHours(1)));

        Assert.StartsWith("Stopping", Encoding.UTF8.GetString(await slow.ReceiveToEndAsync()), StringComparison.Ordinal);
        await drained;
    }

    [Fact]
    public async Task Options_out_of_their_range_are_refused_by_name()
    {
        (ProxyProtocolOptions Options, string Named)[] cases =
        [
            (new ProxyProtocolOptions(), "ProxyProtocolOptions.TrustedNetworks is empty"),
            (new ProxyProtocolOptions { TrustedNetworks = { IPNetwork.Parse("127.0.0.0/8") }, HeaderTimeout = TimeSpan.Zero }, "ProxyProtocolOptions.HeaderTimeout is 00:00:00"),
            (new ProxyProtocolOptions { TrustedNetworks = { IPNetwork.Parse("127.0.0.0/8") }, MaxHeaderBytes = 231 }, "ProxyProtocolOptions.MaxHeaderBytes is 231"),
            (new ProxyProtocolOptions { TrustedNetworks = { IPNetwork.Parse("127.0.0.0/8") }, MaxHeaderBytes = 16_385 }, "ProxyProtocolOptions.MaxHeaderBytes is 16385"),
        ];

        foreach ((ProxyProtocolOptions options, string named) in cases)
        {
            ArgumentException exception = await Assert.ThrowsAnyAsync<ArgumentException>(
                () => _server.ListenAsync(new ConnectionScript(), new ListenerOptions { ProxyProtocol = options }));
            Assert.Contains(named, exception.Message, StringComparison.Ordinal);
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static ListenerOptions Options() => new()
    {
        ProxyProtocol = new ProxyProtocolOptions { TrustedNetworks = { IPNetwork.Parse("127.0.0.0/8") } },
        Farewell = static refusal => Encoding.UTF8.GetBytes($"{refusal.Reason} {refusal.RemoteEndPoint}"),
    };

    private static async Task<Peer> SpeakAsync(Listener listener, string text)
    {
        Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync(text);
        return peer;
    }

    private Task<Listener> ListenAsync(ConnectionScript script, params AddressLimit[] limits)
    {
        ListenerOptions options = Options();
        foreach (AddressLimit limit in limits)
        {
            options.AddressLimits.Add(limit);
        }

        return _server.ListenAsync(script, options);
    }

    // What has come is looked at on both pollers before this ends.
    private async Task SettleAsync()
    {
        for (int round = 0; round < 2; round++)
        {
            await _server.OnPoller(static () => true, poller: 0);
            await _server.OnPoller(static () => true, poller: 1);
        }
    }
}
