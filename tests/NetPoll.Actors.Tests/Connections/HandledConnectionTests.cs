using System.Net;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>A plain actor handles a connection, by messages in both directions.</summary>
public sealed class HandledConnectionTests : IAsyncDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly TestServer _server = new();
    private readonly RecordingHandler _handler = new();

    [Fact]
    public async Task A_handler_is_told_of_the_connection_its_bytes_and_its_end_in_order()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        await peer.SendAsync("hello");
        Assert.Equal("hello"u8.ToArray(), await _handler.NextBytes(5));
        Send(connection, new Write("world"u8.ToArray()));
        Assert.Equal("world", await peer.ReceiveTextAsync(5));
        peer.CloseWrite();
        Assert.Equal(connection, (await _handler.Next<PeerClosed>()).Connection);
        Send(connection, new Write("bye"u8.ToArray()));
        Send(connection, Close.Instance);
        Assert.Equal("bye"u8.ToArray(), await peer.ReceiveToEndAsync());

        ConnectionClosed closed = await _handler.Next<ConnectionClosed>();
        Assert.Equal((connection, CloseReason.Local, 5L, 8L, 0L), (closed.Connection, closed.Reason, closed.BytesReceived, closed.BytesSent, closed.BytesUnsent));
    }

    [Fact]
    public async Task Connected_names_both_addresses()
    {
        await using TestServer server = new();
        _handler.Spawn(server.System);
        Listener listener = await server.NetPoll.ListenAsync("addresses", AnyPort, _handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        Connected connected = await _handler.Next<Connected>();

        Assert.Equal(peer.LocalPort, connected.RemoteEndPoint!.Port);
        Assert.Equal(listener.EndPoint, connected.LocalEndPoint);
    }

    [Fact]
    public async Task Received_bytes_are_the_handler_s_own()
    {
        (Peer peer, PID _) = await OpenAsync();
        using Peer _ = peer;

        await peer.SendAsync("first");
        await Eventually.Equal("bytes", 5, () => _handler.BytesReceived);
        await peer.SendAsync("other");
        await Eventually.Equal("bytes", 10, () => _handler.BytesReceived);

        Assert.Equal("firstother", string.Concat(_handler.All.OfType<Received>().Select(static received => Encoding.ASCII.GetString(received.Bytes.Span))));
    }

    [Fact]
    public async Task A_batch_leaves_in_order_with_nothing_between_its_pieces()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        Send(connection, new Write("<"u8.ToArray()));
        Send(connection, new WriteBatch(["one"u8.ToArray(), ReadOnlyMemory<byte>.Empty, "two"u8.ToArray()]));
        Send(connection, new Write(">"u8.ToArray()));

        Assert.Equal("<onetwo>", await peer.ReceiveTextAsync(8));
        WriteAcknowledged answer = await _server.Ask<WriteAcknowledged>(
            connection, new WriteBatch(["three"u8.ToArray(), "four"u8.ToArray()], Acknowledge.Sent, Token: 3));
        Assert.Equal(new WriteAcknowledged(connection, 3, Succeeded: true), answer);
        Assert.Equal("threefour", await peer.ReceiveTextAsync(9));
    }

    [Fact]
    public async Task A_write_is_acknowledged_to_who_sent_it_with_its_token()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        WriteAcknowledged answer = await _server.System.Root.RequestAsync<WriteAcknowledged>(
            connection, new Write("x"u8.ToArray(), Acknowledge.Queued, Token: 7), TestContext.Current.CancellationToken).Soon();
        Assert.Equal(new WriteAcknowledged(connection, 7, Succeeded: true), answer);

        Send(connection, new Write("y"u8.ToArray(), Acknowledge.Queued, Token: "to the handler"));
        Assert.Equal(new WriteAcknowledged(connection, "to the handler", Succeeded: true), await _handler.Next<WriteAcknowledged>());
    }

    [Fact]
    public async Task A_write_is_acknowledged_as_sent_only_when_the_system_has_taken_all_of_it()
    {
        (Peer peer, PID connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(20_000_000);

        Send(connection, new Write(bytes, Acknowledge.Sent, Token: "large"));
        Send(connection, new Write("small"u8.ToArray(), Acknowledge.Queued, Token: "small"));
        await Eventually.True("the small one is acknowledged", () => _handler.All.Contains(new WriteAcknowledged(connection, "small", Succeeded: true)));
        Assert.DoesNotContain(new WriteAcknowledged(connection, "large", Succeeded: true), _handler.All);
        byte[] received = await peer.ReceiveAsync(bytes.Length);

        await Eventually.True("the large one is acknowledged", () => _handler.All.Contains(new WriteAcknowledged(connection, "large", Succeeded: true)));
        Assert.True(bytes.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public async Task A_write_that_the_peer_never_takes_is_acknowledged_as_failed_when_the_connection_ends()
    {
        (Peer peer, PID connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;

        Send(connection, new Write(new byte[20_000_000], Acknowledge.Sent));
        await _handler.Next<WritesSuspended>();
        peer.Reset();

        Assert.False((await _handler.Next<WriteAcknowledged>()).Succeeded);
        Assert.Equal(CloseReason.Reset, (await _handler.Next<ConnectionClosed>()).Reason);
    }

    [Fact]
    public async Task A_write_after_our_side_has_ended_is_acknowledged_as_failed()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        Send(connection, ConfirmedClose.Instance);
        Send(connection, new Write("late"u8.ToArray(), Acknowledge.Queued));

        Assert.False((await _handler.Next<WriteAcknowledged>()).Succeeded);
        Assert.Empty(await peer.ReceiveToEndAsync());
    }

    [Fact]
    public async Task After_a_confirmed_close_bytes_are_received_until_the_peer_ends_too()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        Send(connection, new Write("last"u8.ToArray()));
        Send(connection, ConfirmedClose.Instance);
        Assert.Equal("last"u8.ToArray(), await peer.ReceiveToEndAsync());
        await peer.SendAsync("still here");
        Assert.Equal("still here"u8.ToArray(), await _handler.NextBytes(10));
        peer.CloseWrite();

        Assert.Equal(CloseReason.Local, (await _handler.Next<ConnectionClosed>()).Reason);
    }

    [Fact]
    public async Task An_abort_resets_and_counts_what_was_lost()
    {
        const int Size = 20_000_000;
        (Peer peer, PID connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        await peer.SendAsync("go");
        Assert.Equal("go"u8.ToArray(), await _handler.NextBytes(2));

        Send(connection, new Write(new byte[Size]));
        WritesSuspended suspended = await _handler.Next<WritesSuspended>();
        Send(connection, Abort.Instance);
        ConnectionClosed closed = await _handler.Next<ConnectionClosed>();

        await peer.ExpectResetAsync();
        Assert.Equal((CloseReason.Aborted, null, 2L), (closed.Reason, closed.Exception, closed.BytesReceived));
        Assert.InRange(closed.BytesUnsent, 1, suspended.OutputBytes);
        Assert.Equal(Size, closed.BytesSent + closed.BytesUnsent);
    }

    [Fact]
    public async Task Nothing_is_received_after_a_suspension_was_acknowledged()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        using CancellationTokenSource flooding = new();
        Task flood = FloodAsync(peer, flooding.Token);
        await Eventually.True("bytes flow", () => _handler.BytesReceived > 100_000);

        Send(connection, SuspendReading.Instance);
        await Eventually.True("suspended", () => _handler.All.OfType<ReadingSuspended>().Any());
        int before = _handler.BytesReceived;
        await Eventually.True("the peer is held back by TCP", () => peer.Socket.Poll(0, System.Net.Sockets.SelectMode.SelectWrite) is false);
        Assert.Equal(before, _handler.BytesReceived);
        Assert.IsType<ReadingSuspended>(_handler.All[^1]);

        Send(connection, ResumeReading.Instance);
        await Eventually.True("bytes flow again", () => _handler.BytesReceived > before);
        await flooding.CancelAsync();
        await flood.Soon();
    }

    [Fact]
    public async Task Exactly_the_bytes_that_were_demanded_are_received()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        Send(connection, new Demand(3, DemandUnit.Bytes));
        await Processed(connection);

        await peer.SendAsync("abcdefghij");
        Assert.Equal("abc"u8.ToArray(), await _handler.NextBytes(3));
        Send(connection, new Demand(2, DemandUnit.Bytes));
        Send(connection, new Demand(2, DemandUnit.Bytes));
        Assert.Equal("defg"u8.ToArray(), await _handler.NextBytes(4));
        await Processed(connection);
        Assert.Equal(7, _handler.BytesReceived);

        Send(connection, ResumeReading.Instance);
        Assert.Equal("hij"u8.ToArray(), await _handler.NextBytes(3));
    }

    [Fact]
    public async Task A_demand_of_one_message_gives_one_and_the_end_comes_after_the_rest_was_demanded()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        Send(connection, new Demand(1));
        await Processed(connection);
        await peer.SendAsync("one");
        Assert.Equal("one"u8.ToArray(), await _handler.NextBytes(3));
        await peer.SendAsync("two");
        peer.CloseWrite();
        if (!TestBackend.IsPortable)
        {
            await _handler.Next<PeerHungUp>();
        }

        await Processed(connection);
        Assert.Single(_handler.All.OfType<Received>());
        Assert.Empty(_handler.All.OfType<PeerClosed>());

        Send(connection, new Demand(2));

        Assert.Equal("two"u8.ToArray(), await _handler.NextBytes(3));
        await _handler.Next<PeerClosed>();
    }

    [Fact]
    public async Task A_handler_is_told_when_too_much_waits_and_when_it_may_go_on()
    {
        (Peer peer, PID connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        // More than the system takes for a peer that does not read.
        byte[] bytes = ConnectionReadingTests.Pattern(20_000_000);

        Send(connection, new Write(bytes));
        WritesSuspended suspended = await _handler.Next<WritesSuspended>();
        Assert.Equal(connection, suspended.Connection);
        Assert.InRange(suspended.OutputBytes, 256 * 1024, bytes.Length);

        byte[] received = await peer.ReceiveAsync(bytes.Length);
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Equal(new WritesResumed(connection), await _handler.Next<WritesResumed>());
    }

    [Fact]
    public async Task A_deadline_is_told_and_the_handler_decides()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        Send(connection, new SetDeadline(Core.Deadline.Past));
        Assert.Equal(new DeadlineExceeded(connection, DeadlineKind.Read), await _handler.Next<DeadlineExceeded>());
        await peer.SendAsync("late");
        await Processed(connection);
        Assert.Empty(_handler.All.OfType<Received>());

        Send(connection, new SetDeadline(Core.Deadline.None));
        Assert.Equal("late"u8.ToArray(), await _handler.NextBytes(4));
    }

    [Fact]
    public async Task A_peer_that_takes_nothing_for_the_write_timeout_is_told_of_and_the_handler_decides()
    {
        FakeTimeProvider time = new();
        await using TestServer server = new(options: new Core.PollerOptions { TimeProvider = time });
        _handler.Spawn(server.System);
        ListenerOptions options = new() { Connections = { MaxOutputBytes = 32 * 1024 * 1024, WriteTimeout = TimeSpan.FromSeconds(10) } };
        Listener listener = await server.NetPoll.ListenAsync("handled", AnyPort, _handler.Pid, options).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint, receiveBuffer: 8 * 1024);
        PID connection = (await _handler.Next<Connected>()).Connection;
        byte[] bytes = ConnectionReadingTests.Pattern(20_000_000);
        server.System.Root.Send(connection, new Write(bytes));
        await _handler.Next<WritesSuspended>();
        time.Advance(TimeSpan.FromSeconds(9));
        await server.OnPoller(static () => true);
        Assert.Empty(_handler.All.OfType<DeadlineExceeded>());

        // Room that the system finds on the way may count as progress.
        Task<DeadlineExceeded> told = _handler.Next<DeadlineExceeded>();
        await Eventually.True("the handler is told", () =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return told.IsCompleted;
        });

        Assert.Equal((connection, DeadlineKind.Write), ((await told).Connection, (await told).Kind));
        peer.Widen();
        byte[] received = await peer.ReceiveAsync(bytes.Length);
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Empty(_handler.All.OfType<ConnectionClosed>());
    }

    [Fact]
    public async Task An_idle_time_is_told()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        Send(connection, new SetIdleTimeout(TimeSpan.FromMilliseconds(20)));

        Assert.Equal(new DeadlineExceeded(connection, DeadlineKind.Idle), await _handler.Next<DeadlineExceeded>());
    }

    [Fact]
    public async Task A_handler_that_stops_takes_its_connections_with_it_and_no_others()
    {
        (Peer peer, PID _) = await OpenAsync();
        using Peer _ = peer;
        RecordingHandler other = new RecordingHandler().Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync("other", AnyPort, other.Pid).Soon();
        using Peer survivor = await Peer.ConnectAsync(listener.EndPoint);
        PID alive = (await other.Next<Connected>()).Connection;

        await _server.System.Root.StopAsync(_handler.Pid).Soon();

        await peer.ExpectResetAsync();
        _server.System.Root.Send(alive, new Write("alive"u8.ToArray()));
        Assert.Equal("alive", await survivor.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task A_connection_is_handed_to_another_handler_with_everything_that_follows()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        RecordingHandler next = new RecordingHandler().Spawn(_server.System);

        Send(connection, new SetHandler(next.Pid));
        Assert.Equal(connection, (await next.Next<Connected>()).Connection);
        await peer.SendAsync("for the next");
        Assert.Equal("for the next"u8.ToArray(), await next.NextBytes(12));
        await _server.System.Root.StopAsync(_handler.Pid).Soon();
        await peer.SendAsync("still");

        Assert.Equal("still"u8.ToArray(), await next.NextBytes(5));
        Assert.Empty(_handler.All.OfType<Received>());
    }

    [Fact]
    public async Task Watchers_are_told_after_the_descriptor_is_gone_and_the_pid_too()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;
        Task<(bool Descriptor, bool Process)> told = await _server.Watch(
            connection, terminated => (Descriptors.Has(socket), _server.Find(terminated.Who) is not null));

        Send(connection, Abort.Instance);

        Assert.Equal((false, false), await told.Soon());
    }

    [Fact]
    public async Task A_connection_that_was_stopped_from_outside_says_so()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        Send(connection, new Write("tail"u8.ToArray()));
        await Processed(connection);

        await _server.System.Root.StopAsync(connection).Soon();

        Assert.Equal("tail"u8.ToArray(), await peer.ReceiveToEndAsync());
        Assert.Equal(CloseReason.Shutdown, (await _handler.Next<ConnectionClosed>()).Reason);
    }

    [Fact]
    public async Task What_a_connection_does_not_know_and_what_comes_after_its_end_are_dead_letters()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        Send(connection, "what is this?");
        await Eventually.True("the unknown message is reported", () => _server.DeadLetters.Contains("what is this?"));
        Send(connection, Abort.Instance);
        await _handler.Next<ConnectionClosed>();
        Write late = new("late"u8.ToArray());
        Send(connection, late);

        await Eventually.True("the late one is reported", () => _server.DeadLetters.Contains(late));
    }

    [Fact]
    public async Task A_demand_of_nothing_ends_the_connection_with_an_error_that_names_it()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;

        Send(connection, new Demand(0));

        ConnectionClosed closed = await _handler.Next<ConnectionClosed>();
        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.Contains("count", Assert.IsType<ArgumentOutOfRangeException>(closed.Exception).Message, StringComparison.Ordinal);

        // Reported once, with who, to whom, and over what.
        TestLog.Entry error = Assert.Single(_server.Log.Errors);
        Assert.Same(closed.Exception, error.Exception);
        Assert.Contains(connection.Id, error.Text, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{peer.LocalPort}", error.Text, StringComparison.Ordinal);
        Assert.Contains(nameof(Demand), error.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_stops_tells_the_handler_which_may_finish()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        _handler.OnEvent = static (context, message) =>
        {
            if (message is ServerStopping stopping)
            {
                context.Send(stopping.Connection, new Write("goodbye"u8.ToArray()));
                context.Send(stopping.Connection, Close.Instance);
            }
        };
        peer.CloseWriteWhenItEnds();

        await _server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)).Soon();

        await _handler.Next<ServerStopping>();
        Assert.Equal(CloseReason.Local, (await _handler.Next<ConnectionClosed>()).Reason);
    }

    [Fact]
    public async Task Several_writers_keep_their_own_order()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        const int Writers = 4;
        const int Each = 500;

        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(() =>
        {
            for (int number = 0; number < Each; number++)
            {
                Send(connection, new Write(Encoding.ASCII.GetBytes($"{writer}{number:D4}\n")));
            }
        })));

        string[] lines = (await peer.ReceiveTextAsync(Writers * Each * 6)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        for (int writer = 0; writer < Writers; writer++)
        {
            IEnumerable<string> own = lines.Where(line => line[0] == (char)('0' + writer)).Select(static line => line[1..]);
            Assert.Equal(Enumerable.Range(0, Each).Select(static number => $"{number:D4}"), own);
        }
    }

    [Fact]
    public async Task A_writer_to_a_peer_that_takes_nothing_holds_up_neither_another_writer_nor_its_own_other_connections()
    {
        (Peer stuck, PID connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = stuck;
        Listener listener = await _server.ListenAsync(ConnectionScript.Echo());
        RecordingHandler clerk = new RecordingHandler().Spawn(_server.System);
        PID elsewhere = await _server.NetPoll.ConnectAsync(listener.EndPoint, clerk.Pid).Soon();
        await clerk.Next<Connected>();
        byte[] large = ConnectionReadingTests.Pattern(20_000_000);

        // One waits until the peer has taken all that it sent; the other goes on, and so does the first with another peer.
        Task<WriteAcknowledged> sent = _server.Ask<WriteAcknowledged>(connection, new Write(large, Acknowledge.Sent, Token: "one"));
        for (int number = 0; number < 100; number++)
        {
            WriteAcknowledged queued = await _server.Ask<WriteAcknowledged>(
                connection, new Write(Encoding.ASCII.GetBytes($"{number:D3}\n"), Acknowledge.Queued, Token: number));
            Assert.Equal(new WriteAcknowledged(connection, number, Succeeded: true), queued);
        }

        _server.System.Root.Send(elsewhere, new Write("hello"u8.ToArray()));
        Assert.Equal("hello"u8.ToArray(), await clerk.NextBytes(5));
        Assert.False(sent.IsCompleted);

        stuck.Widen();
        byte[] received = await stuck.ReceiveAsync(large.Length);
        Assert.True(large.AsSpan().SequenceEqual(received));
        Assert.Equal(string.Concat(Enumerable.Range(0, 100).Select(static number => $"{number:D3}\n")), await stuck.ReceiveTextAsync(400));
        Assert.Equal(new WriteAcknowledged(connection, "one", Succeeded: true), await sent);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_handler_may_be_an_actor_that_passes_everything_on(bool isOnPoller)
    {
        RecordingHandler worker = new RecordingHandler().Spawn(_server.System);
        Props props = Props.FromFunc(context =>
        {
            if (context.Message is Connected or Received or PeerClosed or ConnectionClosed)
            {
                context.Forward(worker.Pid);
            }

            return Task.CompletedTask;
        });
        PID front = _server.System.Root.Spawn(isOnPoller ? props.OnPoller(PollerChoice.At(0)) : props);
        Listener listener = await _server.NetPoll.ListenAsync("front", AnyPort, front).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID connection = (await worker.Next<Connected>()).Connection;

        await peer.SendAsync("hello");
        Assert.Equal("hello"u8.ToArray(), await worker.NextBytes(5));
        Send(connection, new Write("world"u8.ToArray()));
        Assert.Equal("world", await peer.ReceiveTextAsync(5));
        peer.CloseWrite();
        await worker.Next<PeerClosed>();
        Send(connection, Close.Instance);

        Assert.Equal((connection, CloseReason.Local), ((await worker.Next<ConnectionClosed>()) is var closed ? (closed.Connection, closed.Reason) : default));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static async Task FloodAsync(Peer peer, CancellationToken cancellation)
    {
        byte[] bytes = new byte[16 * 1024];
        try
        {
            while (true)
            {
                await peer.Socket.SendAsync(bytes, cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            // The test has seen enough.
        }
    }

    private void Send(PID connection, object message) => _server.System.Root.Send(connection, message);

    // What was sent to the connection before has been obeyed.
    private async Task Processed(PID connection) =>
        await _server.System.Root.RequestAsync<WriteAcknowledged>(
            connection, new Write(ReadOnlyMemory<byte>.Empty, Acknowledge.Queued), TestContext.Current.CancellationToken).Soon();

    private async Task<(Peer Peer, PID Connection)> OpenAsync(int receiveBuffer = 0)
    {
        _handler.Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync(
            "handled", AnyPort, _handler.Pid, new ListenerOptions { Connections = { MaxOutputBytes = 32 * 1024 * 1024 } }).Soon();
        Peer peer = await Peer.ConnectAsync(listener.EndPoint, receiveBuffer);
        return (peer, (await _handler.Next<Connected>()).Connection);
    }
}
