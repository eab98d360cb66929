using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Sockets that somebody else has made: listeners, connections and datagram sockets. After Go's file_test.go.</summary>
[Collection(Alone.Name)]
public sealed class AdoptedSocketTests : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private readonly PollerGroup _group = new(new PollerOptions { PollerCount = 2 });

    public AdoptedSocketTests() => TestBackend.SkipOnPortable("The portable backend adopts no sockets.");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _group.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    [InlineData(null)]
    public async Task A_listener_accepts_and_leaves_its_path_to_him_who_bound_it(string? address)
    {
        EndPoint endPoint = address is null ? new UnixDomainSocketEndPoint(_folder["socket"]) : new IPEndPoint(IPAddress.Parse(address), 0);
        using Socket made = Listening(endPoint);
        EndPoint bound = made.LocalEndPoint!;
        NetListener listener = NetListener.Adopt(made.SafeHandle, _group);
        await using NetConnection client = await new NetDialer { Group = _group }.ConnectAsync(bound);
        await using NetConnection server = await listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation);

        await client.WriteAsync("hello"u8.ToArray());
        byte[] buffer = new byte[16];
        int count = await server.ReadAsync(buffer).AsTask().WaitAsync(Limit, Cancellation);

        Assert.Equal("hello"u8.ToArray(), buffer[..count]);
        Assert.Equal(bound.ToString(), listener.LocalEndPoint.ToString());
        Assert.True(made.SafeHandle.IsClosed);
        await listener.CloseAsync();
        Assert.Equal(address is null, File.Exists(_folder["socket"]));
        await Assert.ThrowsAsync<IOException>(async () => await new NetDialer { Group = _group }.ConnectAsync(bound));
    }

    [Fact]
    public async Task A_connection_goes_on_and_ends_by_a_FIN()
    {
        using TcpPair pair = new();
        NetConnection connection = NetConnection.Adopt(pair.Ours.SafeHandle, _group);
        Task<int> read = connection.ReadAsync(new byte[8]).AsTask();
        await Eventually.Equal("parked", 1, () => connection.Poller.ParkedCount);
        await pair.Peer.SendAsync("abc"u8.ToArray(), Cancellation);
        Assert.Equal(3, await read.WaitAsync(Limit, Cancellation));
        Assert.Equal(pair.Peer.LocalEndPoint, connection.RemoteEndPoint);
        Assert.Equal(pair.Peer.RemoteEndPoint, connection.LocalEndPoint);

        await connection.WriteAsync("de"u8.ToArray());
        await connection.CloseAsync();

        // Not a reset, as the disposal of a socket's handle would make it.
        byte[] buffer = new byte[8];
        Assert.Equal(2, await pair.Peer.ReceiveAsync(buffer, Cancellation).AsTask().WaitAsync(Limit, Cancellation));
        Assert.Equal(0, await pair.Peer.ReceiveAsync(buffer, Cancellation).AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task A_datagram_socket_receives_and_answers()
    {
        using Socket made = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        made.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        EndPoint bound = made.LocalEndPoint!;
        await using NetDatagramSocket server = NetDatagramSocket.Adopt(made.SafeHandle, _group);
        await using NetDatagramSocket client = NetDatagramSocket.Connect((IPEndPoint)bound, group: _group);

        await client.SendAsync("ping"u8.ToArray());
        byte[] buffer = new byte[16];
        ReceivedDatagram got = await server.ReceiveAsync(buffer).AsTask().WaitAsync(Limit, Cancellation);
        await server.SendAsync(buffer.AsMemory(0, got.Count), got.From);

        ReceivedDatagram answer = await client.ReceiveAsync(buffer).AsTask().WaitAsync(Limit, Cancellation);
        Assert.Equal("ping"u8.ToArray(), buffer[..answer.Count]);
        Assert.Equal(bound, server.LocalEndPoint);
    }

    [Fact]
    public void What_is_no_such_socket_is_refused_by_name_and_stays_its_owner_s()
    {
        using Socket listening = Listening(new IPEndPoint(IPAddress.Loopback, 0));
        using TcpPair pair = new();
        using Socket unconnected = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using Socket datagrams = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        using SafeFileHandle file = File.OpenHandle("/dev/null");
        int sockets = ProcessDescriptors.Sockets;

        AssertRefused("/dev/null) is no socket; expected a TCP or Unix domain socket that listens.", () => NetListener.Adopt(file, _group));
        AssertRefused(") does not listen; expected a TCP or Unix domain socket that listens.", () => NetListener.Adopt(pair.Ours.SafeHandle, _group));
        AssertRefused(") listens; expected a TCP or Unix domain socket that is connected.", () => NetConnection.Adopt(listening.SafeHandle, _group));
        AssertRefused(") is not connected; expected a TCP or Unix domain socket that is connected.", () => NetConnection.Adopt(unconnected.SafeHandle, _group));
        AssertRefused(") is a socket of family 1 and type 2; expected a UDP socket.", () => NetDatagramSocket.Adopt(datagrams.SafeHandle, _group));
        AssertRefused(") is a socket of family 2 and type 1; expected a UDP socket.", () => NetDatagramSocket.Adopt(listening.SafeHandle, _group));

        Assert.False(listening.SafeHandle.IsClosed || pair.Ours.SafeHandle.IsClosed || file.IsClosed || datagrams.SafeHandle.IsClosed);
        Assert.InRange(ProcessDescriptors.Sockets, 0, sockets);
    }

    [Fact]
    public async Task A_socket_of_another_kind_is_a_descriptor()
    {
        using Socket first = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        using Socket second = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        UnixDomainSocketEndPoint endPoint = new(_folder["datagrams"]);
        first.Bind(endPoint);
        second.Connect(endPoint);
        await using NetDescriptor receiver = NetDescriptor.Adopt(first.SafeHandle, _group);
        await using NetDescriptor sender = NetDescriptor.Adopt(second.SafeHandle, _group);
        Task<int> read = receiver.ReadAsync(new byte[16]).AsTask();
        await Eventually.Equal("parked", 1, () => receiver.Poller!.ParkedCount);

        await sender.WriteAsync("12345"u8.ToArray());

        Assert.Equal(5, await read.WaitAsync(Limit, Cancellation));
    }

    private static Socket Listening(EndPoint endPoint)
    {
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(endPoint);
        socket.Listen(8);
        return socket;
    }

    private static void AssertRefused(string expected, Func<object> adopt)
    {
        ArgumentException failure = Assert.Throws<ArgumentException>(adopt);
        Assert.StartsWith("descriptor ", failure.Message, StringComparison.Ordinal);
        Assert.EndsWith(expected, failure.Message, StringComparison.Ordinal);
    }
}
