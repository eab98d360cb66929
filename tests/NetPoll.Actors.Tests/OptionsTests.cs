using System.Net;
using System.Reflection;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests;

/// <summary>Every option that can have a value out of its range: it stops what was to begin, and the message names it.</summary>
public sealed class OptionsTests : IAsyncDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly TestServer _server = new();

    /// <summary>All options that are numbers, times or enumerations.</summary>
    public static TheoryData<string, string> Values
    {
        get
        {
            TheoryData<string, string> values = [];
            foreach (object options in Samples())
            {
                foreach (PropertyInfo property in options.GetType().GetProperties().Where(static property => property.CanWrite && ImpossibleFor(property) is not null))
                {
                    values.Add(options.GetType().Name, property.Name);
                }
            }

            return values;
        }
    }

    [Theory]
    [MemberData(nameof(Values))]
    public async Task A_value_out_of_its_range_is_refused_by_its_name_and_nothing_begins(string type, string name)
    {
        object options = Samples().Single(sample => sample.GetType().Name == type);
        PropertyInfo property = options.GetType().GetProperty(name)!;
        object impossible = ImpossibleFor(property)!;
        property.SetValue(options, impossible);

        ArgumentException refused = await Assert.ThrowsAnyAsync<ArgumentException>(() => UseAsync(options));

        Assert.Contains(FormattableString.Invariant($"{type}.{name} is {impossible}; expected "), refused.Message, StringComparison.Ordinal);
        Assert.Empty(_server.NetPoll.Listeners);
        Assert.Equal(0, _server.Homes[0].Poller.Snapshot().Monitored);
    }

    [Theory]
    [MemberData(nameof(Values))]
    public async Task The_largest_value_is_refused_by_its_name_or_works(string type, string name)
    {
        object options = Samples().Single(sample => sample.GetType().Name == type);
        PropertyInfo property = options.GetType().GetProperty(name)!;
        object largest = LargestFor(property);
        property.SetValue(options, largest);

        try
        {
            await UseAsync(options);
        }
        catch (ArgumentException refused)
        {
            // By itself, or as the limit of another one: OutputHighWatermark is what MaxOutputBytes must be at least.
            Assert.StartsWith($"{type}.", refused.Message, StringComparison.Ordinal);
            Assert.Contains(name, refused.Message, StringComparison.Ordinal);
            Assert.Contains(FormattableString.Invariant($"{largest}"), refused.Message, StringComparison.Ordinal);
        }
        catch (IOException refused) when (options is DatagramOptions { MulticastInterface: int.MaxValue })
        {
            // Which interfaces there are only the system knows.
            Assert.Contains(FormattableString.Invariant($"interface {largest}"), refused.Message, StringComparison.Ordinal);
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static object[] Samples() =>
    [
        new PollerOptions { PollerCount = 1 },
        new NetPollOptions { Pollers = { PollerCount = 1 } },
        new BalancingOptions(),
        new ListenerOptions(),
        new AddressLimit(),
        new ProxyProtocolOptions { TrustedNetworks = { IPNetwork.Parse("127.0.0.0/8") } },
        new ConnectionOptions(),
        new DeadlineProfile(),
        new Heartbeat(TimeSpan.FromSeconds(1), new byte[1]),
        new RateLimit { BytesPerSecond = 1 },
        new RestartPolicy(),
        new ConnectOptions(),
        new ConnectorOptions(),
        new DatagramOptions(),
    ];

    private static object? ImpossibleFor(PropertyInfo property)
    {
        Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        return type == typeof(int) ? int.MinValue
            : type == typeof(long) ? long.MinValue
            : type == typeof(double) ? double.NaN
            : type == typeof(TimeSpan) ? TimeSpan.FromDays(-1)
            : type.IsEnum ? Enum.ToObject(type, 77)
            : null;
    }

    private static object LargestFor(PropertyInfo property)
    {
        Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        return type == typeof(int) ? int.MaxValue
            : type == typeof(long) ? long.MaxValue
            : type == typeof(double) ? double.MaxValue
            : type == typeof(TimeSpan) ? TimeSpan.MaxValue
            : Enum.GetValuesAsUnderlyingType(type) is int[] values ? Enum.ToObject(type, values.Max())
            : throw new ArgumentOutOfRangeException(nameof(property), type, "a type that the test knows");
    }

    // Begins what the options are for, and has something said and heard by it.
    private async Task UseAsync(object options)
    {
        NetPollExtension netPoll = _server.NetPoll;
        switch (options)
        {
            case PollerOptions pollers:
                await UseAsync(new NetPollOptions { Pollers = pollers });
                break;
            case BalancingOptions balancing:
                await UseAsync(new NetPollOptions { Pollers = { PollerCount = 2 }, Balancing = balancing });
                break;
            case NetPollOptions all:
                await UseSystemAsync(all);
                break;
            case ListenerOptions listener:
                await EchoAsync(netPoll, listener);
                break;
            case AddressLimit limit:
                await UseAsync(new ListenerOptions { AddressLimits = { limit } });
                break;
            case ProxyProtocolOptions proxies:
                await UseAsync(new ListenerOptions { ProxyProtocol = proxies });
                break;
            case ConnectionOptions connections:
                await UseAsync(new ListenerOptions { Connections = connections });
                break;
            case DeadlineProfile deadlines:
                await UseAsync(new ConnectionOptions { Deadlines = deadlines });
                break;
            case Heartbeat heartbeat:
                await UseAsync(new ConnectionOptions { Heartbeat = heartbeat });
                break;
            case RateLimit limit:
                await UseAsync(new ConnectionOptions { RateLimits = new RateLimits { Inbound = limit, Outbound = limit } });
                break;
            case RestartPolicy restart:
                await UseAsync(new ConnectionOptions { Restart = restart });
                break;
            case ConnectOptions connect:
                await TalkAsync((echo, talking) => netPoll.ConnectAsync(echo, talking, options: connect).Soon());
                break;
            case ConnectorOptions connector:
                await TalkAsync((echo, talking) => Task.FromResult(netPoll.StartConnector("used", echo, talking, connector)));
                break;
            case DatagramOptions datagrams:
                await EchoDatagramAsync(netPoll, datagrams);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(options), options, "options of a kind that the test knows");
        }
    }

    private static async Task UseSystemAsync(NetPollOptions options)
    {
        await using ActorSystem system = new();
        system.WithNetPoll(options);
        await EchoAsync(system.NetPoll(), new ListenerOptions());
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero).Soon();
    }

    private static async Task EchoAsync(NetPollExtension netPoll, ListenerOptions options)
    {
        TaskCompletionSource failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ConnectionScript script = new()
        {
            Received = (self, bytes) =>
            {
                if (bytes.SequenceEqual("fail"u8))
                {
                    failed.SetResult();
                    throw new InvalidOperationException("on purpose");
                }

                self.Send(bytes);
                return bytes.Length;
            },
        };
        Listener listener = await netPoll.ListenAsync("used", AnyPort, () => new ScriptedConnection(script), options).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        if (options.ProxyProtocol is not null)
        {
            await peer.SendAsync("PROXY TCP4 192.0.2.7 198.51.100.1 1 443\r\n");
        }

        if (options.Connections.Restart is not null)
        {
            await peer.SendAsync("fail");
            await failed.Task.Soon();
        }

        await peer.SendAsync("hello");
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
    }

    private static async Task EchoDatagramAsync(NetPollExtension netPoll, DatagramOptions options)
    {
        DatagramSocket socket = await netPoll.BindDatagramsAsync("used", AnyPort, static _ => new EchoPeer(), options).Soon();
        using DatagramPeer peer = new();
        peer.Say("hello", socket.LocalEndPoint);
        Assert.Equal("hello", await peer.Hears());
    }

    // By a name, so that the times of the look-up and of further addresses count as well.
    private async Task TalkAsync(Func<EndPoint, Func<ConnectionActor>, Task<PID>> begin)
    {
        ConnectionScript script = new() { Connected = static self => self.Send("hello"u8) };
        Listener echo = await _server.ListenAsync(ConnectionScript.Echo());
        try
        {
            await begin(new DnsEndPoint("localhost", echo.EndPoint.Port), () => new ScriptedConnection(script));
            ScriptedConnection connection = await script.ConnectionOf(echo.EndPoint.Port);
            await Eventually.Equal("bytes", 5, () => connection.ReceivedBytes.Length);
        }
        finally
        {
            await _server.System.Root.StopAsync(echo.Pid).Soon();
        }
    }

    private sealed class EchoPeer : IActor
    {
        public Task ReceiveAsync(IContext context)
        {
            if (context.Message is Datagram datagram)
            {
                context.Send(datagram.Socket, new SendDatagram(datagram.Bytes, datagram.From));
            }

            return Task.CompletedTask;
        }
    }
}
