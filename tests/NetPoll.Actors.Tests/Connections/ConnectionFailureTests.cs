using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>A handler that throws, wherever it throws: its own connection ends, once, and nobody else notices.</summary>
public sealed class ConnectionFailureTests : IAsyncDisposable
{
    private readonly TestServer _server = new();

    [Fact]
    public async Task It_ends_its_own_connection_and_nothing_else_also_when_the_log_throws()
    {
        _server.Log.IsBroken = true;
        ConnectionScript script = new() { Received = static (_, _) => throw new InvalidOperationException("on purpose") };
        ConnectionScript echo = ConnectionScript.Echo();
        (Peer neighbour, ScriptedConnection _) = await TestServer.OpenAsync(await _server.ListenAsync(echo), echo);
        using Peer _ = neighbour;
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer __ = peer;

        await peer.SendAsync("x");

        Assert.Equal(CloseReason.Error, (await connection.WhenClosed).Reason);
        TestLog.Entry error = Assert.Single(_server.Log.Errors);
        Assert.Equal(100, error.Id);
        await neighbour.SendAsync("y");
        Assert.Equal("y", await neighbour.ReceiveTextAsync(1));
    }

    [Theory]
    [InlineData("received")]
    [InlineData("message")]
    [InlineData("await")]
    [InlineData("faulted")]
    [InlineData("continuation")]
    [InlineData("peer closed")]
    [InlineData("deadline")]
    [InlineData("terminated")]
    public async Task NP138_It_ends_its_own_connection_and_nothing_else(string where)
    {
        InvalidOperationException failure = new("on purpose");
        PID watched = _server.System.Root.Spawn(Props.FromFunc(static _ => Task.CompletedTask));
        ConnectionScript script = new()
        {
            Received = (_, _) => throw failure,
            Message = (self, message) => message switch
            {
                "message" => throw failure,
                "await" => FailLater(),
                "faulted" => Task.FromException(failure),
                "continuation" => Reenter(self),
                "deadline" => Past(self),
                Terminated => throw failure,
                _ => Task.CompletedTask,
            },
            PeerClosed = _ => throw failure,
            Deadline = (_, _) => throw failure,
        };
        ConnectionScript echo = ConnectionScript.Echo();
        (Peer neighbour, ScriptedConnection _) = await TestServer.OpenAsync(await _server.ListenAsync(echo), echo);
        using Peer _ = neighbour;
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer __ = peer;
        await connection.Do(self => self.Context.Watch(watched));
        Task<bool> terminated = await _server.Watch(connection.Pid, static _ => true);

        switch (where)
        {
            case "received":
                await peer.SendAsync("x");
                break;
            case "peer closed":
                peer.CloseWrite();
                break;
            case "terminated":
                _server.System.Root.Stop(watched);
                break;
            default:
                _server.System.Root.Send(connection.Pid, where);
                break;
        }

        ConnectionClosed closed = await connection.WhenClosed;
        await terminated.Soon();

        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.Same(failure, closed.Exception);
        Assert.Equal(1, connection.Closings);
        TestLog.Entry error = Assert.Single(_server.Log.Errors);
        Assert.Equal(100, error.Id);
        Assert.Same(failure, error.Exception);
        Assert.Contains(connection.Pid.Id, error.Text, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{peer.LocalPort}", error.Text, StringComparison.Ordinal);
        Assert.Null(_server.Find(connection.Pid));

        // The neighbour lives, and the listener goes on.
        await neighbour.SendAsync("hello");
        Assert.Equal("hello", await neighbour.ReceiveTextAsync(5));
        (Peer next, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);
        next.Dispose();

        async Task FailLater()
        {
            await Task.Yield();
            throw failure;
        }

        Task Reenter(ScriptedConnection self)
        {
            self.Context.ReenterAfter(Task.CompletedTask, _ => throw failure);
            return Task.CompletedTask;
        }

        static Task Past(ScriptedConnection self)
        {
            self.SetReadDeadline(Deadline.Past);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task The_log_names_the_message_that_was_handled()
    {
        ConnectionScript script = new() { Message = static (_, _) => throw new InvalidOperationException("on purpose") };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;

        _server.System.Root.Send(connection.Pid, new Version(1, 2));
        await connection.WhenClosed;

        Assert.Contains("Version", Assert.Single(_server.Log.Errors).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_sent_before_the_failure_still_leaves()
    {
        ConnectionScript script = new()
        {
            Received = static (self, bytes) =>
            {
                self.Send("error: no"u8);
                throw new InvalidOperationException("on purpose");
            },
        };
        (Peer peer, ScriptedConnection _) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;

        await peer.SendAsync("x");
        byte[] all = await peer.ReceiveToEndAsync();

        Assert.Equal("error: no"u8, all);
    }

    [Fact]
    public async Task Messages_behind_a_failure_become_dead_letters_and_bytes_do_not_arrive()
    {
        ConnectionScript script = new() { Message = static (_, message) => message is "bad" ? throw new InvalidOperationException("on purpose") : Task.CompletedTask };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;

        await _server.OnPoller(() =>
        {
            _server.System.Root.Send(connection.Pid, "bad");
            _server.System.Root.Send(connection.Pid, "a");
            _server.System.Root.Send(connection.Pid, "b");
            return true;
        });
        await connection.WhenClosed;
        await Eventually.Equal("dead letters", 2, () => _server.DeadLetters.Count);

        Assert.Equal(["a", "b"], _server.DeadLetters);
        Assert.DoesNotContain("a", connection.Events);
    }

    [Fact]
    public async Task Thrown_in_OnConnected_it_ends_the_connection_with_the_error()
    {
        ConnectionScript script = new() { Connected = static _ => throw new InvalidOperationException("on purpose") };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.Equal("on purpose", closed.Exception!.Message);
        Assert.Single(_server.Log.Errors);
        Assert.Empty(await peer.ReceiveToEndAsync());
        await Eventually.Equal("open connections", 0L, () => _server.Statistics(listener).Result.Active);
    }

    [Fact]
    public async Task Thrown_in_the_constructor_it_is_logged_once_and_accepting_goes_on()
    {
        int made = 0;
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(() => made++ == 0 ? throw new InvalidOperationException("on purpose") : new ScriptedConnection(script));
        await Assert.ThrowsAsync<System.Net.Sockets.SocketException>(async () =>
        {
            // The reset may be faster than the end of the connect.
            using Peer first = await Peer.ConnectAsync(listener.EndPoint);
            await first.ExpectResetAsync();
            throw new System.Net.Sockets.SocketException((int)System.Net.Sockets.SocketError.ConnectionReset);
        });

        using Peer second = await Peer.ConnectAsync(listener.EndPoint);
        await second.SendAsync("hello");
        Assert.Equal("hello", await second.ReceiveTextAsync(5));

        TestLog.Entry error = Assert.Single(_server.Log.Errors);
        Assert.Equal(105, error.Id);
        Assert.Equal("on purpose", error.Exception!.Message);
        ListenerStatistics statistics = await _server.Statistics(listener);
        Assert.Equal((1, 1, 1), (statistics.Accepted, statistics.Active, statistics.Refused[RefusalReason.FactoryFailed]));
        Assert.Equal(1, _server.Homes[0].Connections.Count);
    }

    [Fact]
    public async Task Thrown_in_OnClosed_it_is_logged_and_watchers_are_told_all_the_same()
    {
        ConnectionScript script = new() { Closed = static _ => throw new InvalidOperationException("on purpose") };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        Task<bool> terminated = await _server.Watch(connection.Pid, static _ => true);

        peer.Dispose();
        await terminated.Soon();

        TestLog.Entry error = Assert.Single(_server.Log.Errors);
        Assert.Equal(101, error.Id);
        Assert.Equal(1, connection.Closings);
    }

    [Fact]
    public async Task A_failure_in_the_last_turn_does_not_tell_the_end_twice()
    {
        ConnectionScript script = new()
        {
            Received = static (self, _) =>
            {
                self.Abort();
                throw new InvalidOperationException("on purpose");
            },
        };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        Task<bool> terminated = await _server.Watch(connection.Pid, static _ => true);

        await peer.SendAsync("x");
        await terminated.Soon();

        Assert.Equal(1, connection.Closings);
        Assert.Single(_server.Log.Errors);
    }

    [Fact]
    public async Task Hundreds_of_failures_leave_the_poller_healthy()
    {
        ConnectionScript failing = new() { Received = static (_, bytes) => bytes[0] % 2 == 0 ? throw new InvalidOperationException("on purpose") : bytes.Length };
        Listener listener = await _server.ListenAsync(failing);
        ConnectionScript echo = ConnectionScript.Echo();
        (Peer neighbour, ScriptedConnection _) = await TestServer.OpenAsync(await _server.ListenAsync(echo), echo);
        using Peer _ = neighbour;
        int before = _server.Homes[0].Poller.Snapshot().Monitored;

        for (int round = 0; round < 10; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 20).Select(async number =>
            {
                using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
                await peer.SendAsync(new[] { (byte)number });
            }));
            await neighbour.SendAsync("hello");
            Assert.Equal("hello", await neighbour.ReceiveTextAsync(5));
        }

        await Eventually.Equal("watched descriptors", before, () => _server.Homes[0].Poller.Snapshot().Monitored);
        Assert.Equal(100, _server.Log.Errors.Count);
        Assert.All(_server.Log.Errors, static error => Assert.Equal(100, error.Id));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
