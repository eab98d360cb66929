using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Core.Interop;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connecting;

/// <summary>Connection actors over what was open already: pipes, terminals, sockets.</summary>
public sealed class AdoptedConnectionTests : IAsyncDisposable
{
    // What is no socket has no FIN to wait for: a test that waited for it would fail.
    private static readonly ConnectOptions NoEnd = new() { Connections = new ConnectionOptions { LingerTimeout = TimeSpan.FromHours(1) } };

    private readonly TestServer _server = new(pollers: 2);

    // What the peers of the connections live on.
    private readonly PollerGroup _outside = new(new PollerOptions { PollerCount = 1 });

    public AdoptedConnectionTests() => TestBackend.SkipOnPortable("The portable backend has none but sockets.");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _outside.DisposeAsync();
    }

    [Fact]
    public async Task An_actor_reads_a_pipe_to_its_end()
    {
        (SafeFileHandle reader, SafeFileHandle writer) = Pipe();
        await using NetDescriptor other = NetDescriptor.Adopt(writer, _outside);
        ConnectionScript script = new();

        PID pid = await AdoptAsync(reader, script);
        ScriptedConnection connection = await script.ConnectionOf(0);
        await other.WriteAsync("hello"u8.ToArray());
        await Eventually.Equal("bytes", "hello", () => Encoding.ASCII.GetString(connection.ReceivedBytes));
        await other.WriteAsync(" again"u8.ToArray());
        await other.DisposeAsync();

        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal((CloseReason.Peer, 11L), (closed.Reason, closed.BytesReceived));
        Assert.Equal("hello again", Encoding.ASCII.GetString(connection.ReceivedBytes));
        Assert.Null(connection.Remote);
        Assert.StartsWith("netpoll/outbound/", pid.Id, StringComparison.Ordinal);
        await Eventually.Equal("connections that are counted", 0, () => _server.NetPoll.Connections.Live);
    }

    [Fact]
    public async Task An_actor_fills_a_pipe_and_closes_when_all_is_out()
    {
        (SafeFileHandle reader, SafeFileHandle writer) = Pipe();
        await using NetDescriptor other = NetDescriptor.Adopt(reader, _outside);
        byte[] sent = new byte[1 << 20];
        new Random(Seed.Next()).NextBytes(sent);
        ConnectionScript script = new()
        {
            Connected = self =>
            {
                self.Send(sent);
                self.Close();
            },
        };

        await AdoptAsync(writer, script);
        using MemoryStream received = new();
        await other.AsStream().CopyToAsync(received, Cancellation).Soon();

        Assert.True(sent.AsSpan().SequenceEqual(received.ToArray()), "What came is not what was sent.");
        ConnectionClosed closed = await (await script.ConnectionOf(0)).WhenClosed;
        Assert.Equal((CloseReason.Local, 1L << 20, 0L), (closed.Reason, closed.BytesSent, closed.BytesUnsent));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_actor_is_told_when_nobody_reads_its_pipe_any_more(bool isFull)
    {
        (SafeFileHandle reader, SafeFileHandle writer) = Pipe();
        ConnectionScript script = new();
        await AdoptAsync(writer, script);
        ScriptedConnection connection = await script.ConnectionOf(0);
        if (isFull)
        {
            await connection.Do(static self => self.Send(new byte[100_000]));
            await connection.Do(static self => Assert.NotEqual(0, self.OutputBytes));
        }

        reader.Dispose();

        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(CloseReason.Reset, closed.Reason);
        Assert.Contains("(pipe:[", closed.Exception!.Message, StringComparison.Ordinal);
        Assert.Contains("(errno 32)", closed.Exception.Message, StringComparison.Ordinal);
        Assert.Equal(isFull, closed.BytesUnsent > 0);
    }

    [Fact]
    public async Task An_actor_that_sends_into_the_reading_end_fails()
    {
        (SafeFileHandle reader, SafeFileHandle writer) = Pipe();
        using SafeFileHandle other = writer;
        ConnectionScript script = new() { Connected = static self => self.Send("x"u8) };

        await AdoptAsync(reader, script);

        ConnectionClosed closed = await (await script.ConnectionOf(0)).WhenClosed;
        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.Contains("(errno 9)", closed.Exception!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_actor_answers_at_a_terminal()
    {
        (SafeFileHandle master, SafeFileHandle slave) = PseudoTerminal.Open();
        await using NetDescriptor outside = NetDescriptor.Adopt(master, _outside);
        ConnectionScript script = ConnectionScript.Echo();
        await AdoptAsync(slave, script);
        ScriptedConnection connection = await script.ConnectionOf(0);

        await outside.WriteAsync("hello\n"u8.ToArray());

        // What is typed is shown by the terminal, and then what the actor answers.
        byte[] shown = new byte["hello\r\nhello\r\n".Length];
        await outside.AsStream().ReadExactlyAsync(shown, Cancellation).AsTask().Soon();
        Assert.Equal("hello\r\nhello\r\n", Encoding.ASCII.GetString(shown));
        await connection.Do(static self => self.Close());
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        await Assert.ThrowsAsync<IOException>(() => outside.ReadAsync(shown).AsTask().Soon());
    }

    [Fact]
    public async Task A_connected_socket_has_its_end_points_and_ends_by_a_FIN()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(listener.LocalEndPoint!, Cancellation);
        using Socket accepted = await listener.AcceptAsync(Cancellation);
        ConnectionScript script = ConnectionScript.Echo();

        await AdoptAsync(accepted.SafeHandle, script);
        ScriptedConnection connection = await script.ConnectionOf(((IPEndPoint)peer.LocalEndPoint!).Port);
        await peer.SendAsync("hello"u8.ToArray(), Cancellation);
        byte[] answer = new byte[8];
        Assert.Equal(5, await peer.ReceiveAsync(answer, Cancellation).AsTask().Soon());
        await connection.Do(static self => self.Close());

        Assert.Equal(0, await peer.ReceiveAsync(answer, Cancellation).AsTask().Soon());
        peer.Dispose();
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_plain_actor_handles_a_pipe_by_messages()
    {
        (SafeFileHandle reader, SafeFileHandle writer) = Pipe();
        await using NetDescriptor other = NetDescriptor.Adopt(writer, _outside);
        TaskCompletionSource<Connected> connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<ConnectionClosed> closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        PID handler = _server.System.Root.Spawn(Props.FromFunc(context =>
        {
            switch (context.Message)
            {
                case Connected message:
                    connected.SetResult(message);
                    break;
                case PeerClosed message:
                    context.Send(message.Connection, Close.Instance);
                    break;
                case ConnectionClosed message:
                    closed.SetResult(message);
                    break;
            }

            return Task.CompletedTask;
        }));

        await _server.NetPoll.ConnectAsync(new HandleEndPoint(reader), handler, NoEnd, Cancellation);
        Connected first = await connected.Task.Soon();
        await other.WriteAsync("abc"u8.ToArray());
        await other.DisposeAsync();

        Assert.Equal((null, null), (first.RemoteEndPoint, first.LocalEndPoint));
        Assert.Equal(3, (await closed.Task.Soon()).BytesReceived);
    }

    [Fact]
    public async Task An_actor_counts_with_an_eventfd()
    {
        SafeFileHandle counter = new(Libc.EventDescriptor(), ownsHandle: true);
        using SafeFileHandle other = new(Libc.Duplicate((int)counter.DangerousGetHandle()), ownsHandle: true);
        await using NetDescriptor outside = NetDescriptor.Adopt(other, _outside);
        TaskCompletionSource<ulong> counted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ConnectionScript script = new()
        {
            Connected = static self =>
            {
                self.SuspendReading();
                self.Send(BitConverter.GetBytes(3UL));
                self.Send(BitConverter.GetBytes(4UL));
            },
            Received = (_, bytes) =>
            {
                counted.TrySetResult(BitConverter.ToUInt64(bytes));
                return bytes.Length;
            },
        };
        await AdoptAsync(counter, script);

        // The two sends are one write of the turn's; the reader may come between its halves.
        byte[] count = new byte[8];
        ulong sum = 0;
        while (sum < 7)
        {
            Assert.Equal(8, await outside.ReadAsync(count).AsTask().Soon());
            sum += BitConverter.ToUInt64(count);
        }

        Assert.Equal(7UL, sum);
        ScriptedConnection connection = await script.ConnectionOf(0);
        await connection.Do(static self => self.ResumeReading());
        await outside.WriteAsync(BitConverter.GetBytes(5UL));
        Assert.Equal(5UL, await counted.Task.Soon());
        Assert.False(connection.HasClosed);
    }

    [Fact]
    public async Task A_datagram_socket_that_was_open_serves_and_is_given_up_once()
    {
        using Socket made = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        made.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        IPEndPoint bound = (IPEndPoint)made.LocalEndPoint!;
        HandleEndPoint endPoint = new(made.SafeHandle);
        using DatagramPeer peer = new();

        DatagramSocket socket = await BindAsync(endPoint);
        peer.Say("hello", bound);

        Assert.Equal("hello", await peer.Hears());
        Assert.Equal(bound, socket.LocalEndPoint);
        await Assert.ThrowsAsync<ArgumentException>(() => BindAsync(endPoint));
        using Socket stream = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        ArgumentException noDatagrams = await Assert.ThrowsAsync<ArgumentException>(() => BindAsync(new HandleEndPoint(stream.SafeHandle)));
        Assert.Contains("UDP", noDatagrams.Message, StringComparison.Ordinal);
        ArgumentException noAddress = await Assert.ThrowsAsync<ArgumentException>(() => BindAsync(new UnixDomainSocketEndPoint("/nowhere")));
        Assert.Contains("expected an IPEndPoint or a HandleEndPoint", noAddress.Message, StringComparison.Ordinal);

        Task<DatagramSocket> BindAsync(EndPoint at) =>
            _server.NetPoll.BindDatagramsAsync($"inherited{Guid.NewGuid()}", at, static () => new ScriptedDatagramActor(DatagramScript.Echo())).Soon();
    }

    [Fact]
    public async Task What_is_no_stream_is_refused()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        HandleEndPoint file = new(File.OpenHandle("/dev/null"));
        SafeFileHandle closed = new(5, ownsHandle: false);
        closed.Dispose();

        NotSupportedException refusal = await Assert.ThrowsAsync<NotSupportedException>(() => AdoptAsync(file.Handle, new ConnectionScript()));
        Assert.Contains("(/dev/null) cannot be watched", refusal.Message, StringComparison.Ordinal);
        ArgumentException failure = await Assert.ThrowsAsync<ArgumentException>(() => AdoptAsync(listener.SafeHandle, new ConnectionScript()));
        Assert.Contains("listens; expected a TCP or Unix domain socket that is connected", failure.Message, StringComparison.Ordinal);
        failure = await Assert.ThrowsAsync<ArgumentException>(() => AdoptAsync(closed, new ConnectionScript()));
        Assert.Contains("is closed", failure.Message, StringComparison.Ordinal);
        failure = Assert.Throws<ArgumentException>(() => { _server.NetPoll.StartConnector("pipe", file, static () => new ScriptedConnection(new ConnectionScript())); });
        Assert.Contains("expected an address", failure.Message, StringComparison.Ordinal);
        await Eventually.Equal("connections that are counted", 0, () => _server.NetPoll.Connections.Live);
    }

    [Fact]
    public async Task A_listener_that_was_open_serves_and_is_given_up_once()
    {
        using Socket made = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        made.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        made.Listen(16);
        EndPoint bound = made.LocalEndPoint!;
        HandleEndPoint endPoint = new(made.SafeHandle);
        ConnectionScript script = ConnectionScript.Echo();

        Listener listener = await _server.NetPoll.ListenAsync("inherited", endPoint, () => new ScriptedConnection(script));

        Assert.Equal(bound, listener.EndPoint);
        for (int round = 0; round < 8; round++)
        {
            using Peer peer = await Peer.ConnectAsync((IPEndPoint)bound);
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }

        await Assert.ThrowsAsync<ArgumentException>(() => _server.NetPoll.ListenAsync("again", endPoint, () => new ScriptedConnection(script)));
        await _server.System.Root.StopAsync(listener.Pid).Soon();
        using Socket late = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await Assert.ThrowsAsync<SocketException>(async () => await late.ConnectAsync(bound, Cancellation));
    }

    private static (SafeFileHandle Reader, SafeFileHandle Writer) Pipe()
    {
        Assert.Equal(0, Libc.Pipe(out int reader, out int writer));
        return (new SafeFileHandle(reader, ownsHandle: true), new SafeFileHandle(writer, ownsHandle: true));
    }

    private Task<PID> AdoptAsync(SafeHandle handle, ConnectionScript script) =>
        _server.NetPoll.ConnectAsync(new HandleEndPoint(handle), () => new ScriptedConnection(script), NoEnd, Cancellation).Soon();
}
