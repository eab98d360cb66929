using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors.Tests.Datagrams;

/// <summary>A datagram socket that a plain actor handles, by messages.</summary>
public sealed class HandledDatagramTests : IAsyncDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly TestServer _server;
    private readonly Channel<object> _told = Channel.CreateUnbounded<object>();
    private readonly PID _handler;

    public HandledDatagramTests()
    {
        _server = new TestServer();
        _handler = _server.System.Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is not InfrastructureMessage)
            {
                _told.Writer.TryWrite(context.Message!);
            }

            return Task.CompletedTask;
        }));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Datagrams_come_and_go_as_messages_and_the_bytes_are_the_handlers_own()
    {
        DatagramSocket socket = await _server.NetPoll.BindDatagramsAsync("test", AnyPort, _handler, new DatagramOptions { MaxDatagramBytes = 8 }).Soon();
        using DatagramPeer peer = new();

        peer.Say("first", socket.LocalEndPoint);
        Datagram first = await Next<Datagram>();
        peer.Say("much too long", socket.LocalEndPoint);
        Datagram second = await Next<Datagram>();

        Assert.Equal("first", Encoding.UTF8.GetString(first.Bytes.Span));
        Assert.Equal("much too", Encoding.UTF8.GetString(second.Bytes.Span));
        Assert.Equal((false, true), (first.IsTruncated, second.IsTruncated));
        Assert.Equal((socket.Pid, peer.Address), (first.Socket, first.From));
        _server.System.Root.Send(socket.Pid, new SendDatagram("back"u8.ToArray(), second.From));
        Assert.Equal("back", await peer.Hears());
    }

    [Fact]
    public async Task What_is_demanded_comes_and_nothing_else()
    {
        DatagramSocket socket = await _server.NetPoll.BindDatagramsAsync("test", AnyPort, _handler).Soon();
        using DatagramPeer peer = new();
        ReadingSuspended suspended = await _server.Ask<ReadingSuspended>(socket.Pid, SuspendReading.Instance);
        Assert.Equal(socket.Pid, suspended.Connection);
        for (int number = 1; number <= 4; number++)
        {
            peer.Say($"{number}", socket.LocalEndPoint);
        }

        _server.System.Root.Send(socket.Pid, new Demand(2));
        Assert.Equal("1", await NextText());
        Assert.Equal("2", await NextText());
        await _server.Ask<DatagramStatistics>(socket.Pid, GetDatagramStatistics.Instance);
        Assert.False(_told.Reader.TryPeek(out _));
        _server.System.Root.Send(socket.Pid, ResumeReading.Instance);
        Assert.Equal("3", await NextText());
        Assert.Equal("4", await NextText());
    }

    [Fact]
    public async Task A_refusal_is_a_message_and_so_is_what_could_not_be_sent()
    {
        IPEndPoint nobody = DatagramPeer.Nobody();
        DatagramSocket connected = await _server.NetPoll.ConnectDatagramsAsync(nobody, _handler, AnyPort).Soon();
        _server.System.Root.Send(connected.Pid, new SendDatagram("anybody?"u8.ToArray()));
        Assert.Equal(new DatagramRefused(connected.Pid, SocketError.ConnectionRefused), await Next<DatagramRefused>());

        DatagramSocket bound = await _server.NetPoll.BindDatagramsAsync("test", AnyPort, _handler).Soon();
        DatagramAddress six = new(new IPEndPoint(IPAddress.IPv6Loopback, 5));
        _server.System.Root.Send(bound.Pid, new SendDatagram("x"u8.ToArray(), six));
        Assert.Equal(new DatagramFailed(bound.Pid, six, SocketError.AddressNotAvailable), await Next<DatagramFailed>());
    }

    [Fact]
    public async Task When_the_handler_stops_the_socket_closes()
    {
        DatagramSocket socket = await _server.NetPoll.BindDatagramsAsync("test", AnyPort, _handler).Soon();
        Task<bool> told = await _server.Watch(socket.Pid, static _ => true);

        await _server.System.Root.StopAsync(_handler).Soon();

        Assert.True(await told.Soon());
        Assert.Empty(_server.NetPoll.DatagramSockets);
    }

    [Fact]
    public async Task Twenty_senders_on_other_threads_lose_nothing()
    {
        const int Senders = 20;
        const int Each = 10;
        DatagramSocket socket = await _server.NetPoll.BindDatagramsAsync("test", AnyPort, _handler).Soon();
        using DatagramPeer peer = new();
        string[] expected = [.. Enumerable.Range(0, Senders).SelectMany(static sender => Enumerable.Range(0, Each).Select(number => $"{sender}/{number}")).Order()];

        await Parallel.ForEachAsync(Enumerable.Range(0, Senders), TestContext.Current.CancellationToken, (sender, _) =>
        {
            for (int number = 0; number < Each; number++)
            {
                _server.System.Root.Send(socket.Pid, new SendDatagram(Encoding.UTF8.GetBytes($"{sender}/{number}"), peer.Address));
            }

            return ValueTask.CompletedTask;
        });

        List<string> heard = [];
        while (heard.Count < expected.Length)
        {
            heard.Add(await peer.Hears());
        }

        Assert.Equal(expected, heard.Order());
        for (int sender = 0; sender < Senders; sender++)
        {
            Assert.Equal(Enumerable.Range(0, Each).Select(number => $"{sender}/{number}"), heard.Where(text => text.StartsWith($"{sender}/", StringComparison.Ordinal)));
        }
    }

    private async Task<string> NextText() => Encoding.UTF8.GetString((await Next<Datagram>()).Bytes.Span);

    private async Task<T> Next<T>() => Assert.IsType<T>(await _told.Reader.ReadAsync(TestContext.Current.CancellationToken).Soon());
}
