using System.Collections.Concurrent;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

public sealed class ConnectionMessageTests : IAsyncDisposable
{
    private readonly TestServer _server = new();

    [Fact]
    public async Task A_message_to_the_PID_reaches_the_handler_on_its_poller_which_may_send_and_respond()
    {
        Poller? thread = null;
        ConnectionScript script = new()
        {
            Message = (connection, message) =>
            {
                thread = Poller.Current;
                connection.Send(System.Text.Encoding.UTF8.GetBytes((string)message));
                connection.Context.Respond("done");
                return Task.CompletedTask;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        string answer = await _server.System.Root.RequestAsync<string>(connection.Pid, "hello", TestContext.Current.CancellationToken).Soon();

        Assert.Equal("done", answer);
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        Assert.Same(connection.Poller, thread);
    }

    [Fact]
    public async Task While_a_handler_awaits_nothing_is_delivered_and_afterwards_everything()
    {
        TaskCompletionSource gate = new();
        ConcurrentQueue<Poller?> threads = new();
        ConnectionScript script = new()
        {
            Message = async (connection, message) =>
            {
                if (message is "slow")
                {
                    threads.Enqueue(Poller.Current);
                    await gate.Task;
                    threads.Enqueue(Poller.Current);
                    connection.Send("after the await"u8);
                }
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        (Peer otherPeer, ScriptedConnection other) = await TestServer.OpenAsync(listener, script);
        using Peer __ = otherPeer;
        _server.System.Root.Send(connection.Pid, "slow");
        await Eventually.True("the slow message is taken", () => connection.Events.Contains("slow"));

        await peer.SendAsync("bytes");
        _server.System.Root.Send(connection.Pid, "next");
        await otherPeer.SendAsync("bytes");
        await Eventually.Equal("bytes of the neighbour", 5, () => other.ReceivedBytes.Length);
        await other.Do(static _ => { });
        Assert.Empty(connection.ReceivedBytes);
        Assert.DoesNotContain("next", connection.Events);

        // Not even read: only the neighbour's have left the socket, and TCP holds the peer back.
        Assert.Equal(5, _server.Homes[0].Traffic.BytesReceived);

        gate.SetResult();
        await Eventually.Equal("bytes", 5, () => connection.ReceivedBytes.Length);
        await Eventually.True("the next message is taken", () => connection.Events.Contains("next"));
        Assert.Equal("after the await", await peer.ReceiveTextAsync(15));
        Assert.Equal([connection.Poller, connection.Poller], threads);
    }

    [Fact]
    public async Task Tasks_that_end_at_once_on_another_thread_leave_no_bytes_lying()
    {
        using SemaphoreSlim received = new(0);
        ConnectionScript script = new()
        {
            Message = static (_, _) => Task.Run(static () => { }),
            Received = (_, bytes) =>
            {
                received.Release(bytes.Length);
                return bytes.Length;
            },
        };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        for (int round = 0; round < StressScale.Rounds(2_000); round++)
        {
            // Nothing else comes that could wake the connection.
            _server.System.Root.Send(connection.Pid, round);
            await peer.SendAsync("x");
            await received.WaitAsync(TestContext.Current.CancellationToken).Soon();
        }
    }

    [Fact]
    public async Task A_handler_that_awaits_and_closes_ends_the_connection()
    {
        ConnectionScript script = new()
        {
            Message = static async (connection, _) =>
            {
                await Task.Yield();
                connection.Send("bye"u8);
                connection.Close();
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        _server.System.Root.Send(connection.Pid, "go");
        byte[] all = await peer.ReceiveToEndAsync();
        peer.Dispose();

        Assert.Equal("bye"u8, all);
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_handler_that_closes_and_then_awaits_does_not_hold_the_descriptor()
    {
        TaskCompletionSource gate = new();
        ConnectionScript script = new()
        {
            Message = (connection, _) =>
            {
                connection.Send("bye"u8);
                connection.Close();
                return gate.Task;
            },
        };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.FromMilliseconds(50) });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;

        _server.System.Root.Send(connection.Pid, "go");
        byte[] all = await peer.ReceiveToEndAsync();
        await Eventually.True("the descriptor is gone", () => !Descriptors.Has(socket));
        Assert.False(connection.HasClosed);
        gate.SetResult();

        Assert.Equal("bye"u8, all);
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task Messages_come_between_frames_of_a_handler_that_awaits_however_many_wait()
    {
        AwaitingLines lines = new();
        Listener listener = await _server.ListenAsync(() => lines);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync(string.Concat(Enumerable.Repeat("a line\n", 2000)));
        await peer.ReceiveAsync(2000);

        Assert.InRange(lines.LinesBeforeTheMessage, 1, 3);
    }

    [Fact]
    public async Task Code_that_nobody_awaits_may_send_suspend_resume_and_close_on_the_poller_too()
    {
        TaskCompletionSource send = new();
        TaskCompletionSource resume = new();
        TaskCompletionSource close = new();
        ConnectionScript script = new()
        {
            Message = (connection, _) =>
            {
                _ = Later();
                return Task.CompletedTask;

                async Task Later()
                {
                    await send.Task;
                    connection.Send("later"u8);
                    connection.SuspendReading();
                    await resume.Task;
                    connection.ResumeReading();
                    await close.Task;
                    connection.Close();
                }
            },
        };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        _server.System.Root.Send(connection.Pid, "go");
        await Eventually.True("the message is taken", () => connection.Events.Contains("go"));

        send.SetResult();
        Assert.Equal("later", await peer.ReceiveTextAsync(5));
        await peer.SendAsync("bytes");
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
        Assert.Empty(connection.ReceivedBytes);

        // Nothing else wakes the connection: the peer has nothing more to say.
        resume.SetResult();
        await Eventually.Equal("bytes", 5, () => connection.ReceivedBytes.Length);
        close.SetResult();
        Assert.Empty(await peer.ReceiveToEndAsync());
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_connection_that_watches_is_told_when_the_other_ends()
    {
        PID other = _server.System.Root.Spawn(Props.FromFunc(static _ => Task.CompletedTask));
        ConnectionScript script = new() { Connected = connection => connection.Context.Watch(other) };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        await _server.System.Root.StopAsync(other).Soon();
        await Eventually.True("Terminated arrives", () => connection.Events.OfType<Terminated>().Any());

        Assert.Equal(other, connection.Events.OfType<Terminated>().Single().Who);
    }

    [Fact]
    public async Task A_connection_may_re_enter_after_a_task()
    {
        TaskCompletionSource<string> task = new();
        ConnectionScript script = new()
        {
            Message = (connection, _) =>
            {
                connection.Context.ReenterAfter(task.Task, done => connection.Send(System.Text.Encoding.UTF8.GetBytes(done.Result)));
                return Task.CompletedTask;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        _server.System.Root.Send(connection.Pid, "go");

        task.SetResult("hello");

        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task A_message_to_a_connection_that_has_closed_is_a_dead_letter_and_never_reaches_the_handler()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        Task<bool> terminated = await _server.Watch(connection.Pid, static _ => true);
        peer.Dispose();
        await terminated.Soon();

        _server.System.Root.Send(connection.Pid, "late");
        await Eventually.Equal("dead letters", 1, () => _server.DeadLetters.Count);

        Assert.Equal(["late"], _server.DeadLetters);
        Assert.DoesNotContain("late", connection.Events);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sending_from_another_thread_throws_and_says_where_it_is_allowed(bool isPayload)
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        using SharedPayload payload = SharedPayload.Copy("x"u8);

        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() =>
        {
            if (isPayload)
            {
                connection.Send(payload);
            }
            else
            {
                connection.Send("x"u8);
            }
        });

        Assert.Contains("poller's thread (poller-0) only", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_other_verb_from_another_thread_throws_as_well()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        Assert.All(
            new Action[]
            {
                connection.Close,
                connection.Abort,
                connection.SuspendReading,
                connection.ResumeReading,
                () => connection.SetReadDeadline(Deadline.Past),
                () => connection.IdleTimeout = TimeSpan.FromSeconds(1),
            },
            static verb => Assert.Throws<InvalidOperationException>(verb));
        await connection.Do(static self => Assert.True(self.IsWritable));
    }

    [Fact]
    public void Nothing_of_a_connection_can_be_used_before_it_is_connected()
    {
        ScriptedConnection connection = new(new ConnectionScript());

        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(connection.Close);

        Assert.Contains("wait for OnConnected", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spawned_like_any_other_actor_it_fails_with_a_hint()
    {
        PID pid = _server.System.Root.Spawn(Props.FromProducer(static () => new ScriptedConnection(new ConnectionScript()))
            .WithGuardianSupervisorStrategy(new OneForOneStrategy(static (_, _) => SupervisorDirective.Stop, 0, null)));

        await (await _server.Watch(pid, static _ => true)).Soon();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    /// <summary>Awaits for each line, answers it with a byte, and sends itself a message with the first.</summary>
    private sealed class AwaitingLines : LineConnectionActor
    {
        private int _lines;

        public int LinesBeforeTheMessage { get; private set; }

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            if (++_lines == 1)
            {
                Context.Send(Context.Self, "message");
            }

            Send("."u8);
            return AwaitAsync();
        }

        protected override Task OnMessage(object message)
        {
            LinesBeforeTheMessage = _lines;
            return Task.CompletedTask;
        }

        private static async Task AwaitAsync() => await Task.Yield();
    }
}
