using System.Text;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>A connection does not wait for its handler that blocks: whoever ends it does so at once, and the handler is told when it is done.</summary>
public sealed class ThreadPoolClosingTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;

    public ThreadPoolClosingTests() => _server = new TestServer(options: new PollerOptions { TimeProvider = _time });

    [Fact]
    public async Task A_lifetime_ends_the_connection()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript { Deadline = static (_, _) => { } }, new ConnectionOptions { Deadlines = new DeadlineProfile { Lifetime = 10 * Second } });
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;
        using Blocked handler = await Blocked.EnterAsync(connection);

        await AdvanceAsync(10.001 * Second);
        Assert.Empty(await peer.ReceiveToEndAsync());
        await AdvanceAsync(2.001 * Second);
        await Eventually.True("the descriptor is gone", () => !Descriptors.Has(socket));

        await ExpectEndAsync(connection, handler, CloseReason.DeadlineExceeded);
    }

    [Fact]
    public async Task A_peer_that_takes_nothing_ends_the_connection()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript { Deadline = static (_, _) => { } }, new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024 }, receiveBuffer: 16 * 1024);
        using Peer _ = peer;
        using Blocked handler = await Blocked.EnterAsync(connection, static self =>
        {
            self.Send(new byte[8 * 1024 * 1024]);
            Assert.True(self.OutputBytes > 0);
        });
        await _server.OnPoller(static () => true);

        await AdvanceAsync(31 * Second);
        await peer.ExpectResetAsync();

        ConnectionClosed closed = await ExpectEndAsync(connection, handler, CloseReason.DeadlineExceeded);
        Assert.Equal(8 * 1024 * 1024, closed.BytesSent + closed.BytesUnsent);
        Assert.DoesNotContain(DeadlineKind.Write, connection.Events);
    }

    [Fact]
    public async Task A_shutdown_resets_the_connection_when_its_time_is_over()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        using Blocked handler = await Blocked.EnterAsync(connection);

        await _server.NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();
        await peer.ExpectResetAsync();

        await ExpectEndAsync(connection, handler, CloseReason.Shutdown);
        Assert.DoesNotContain("shutdown", connection.Events);
    }

    [Fact]
    public async Task Its_own_close_is_polite_and_its_abort_is_not()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;
        using Blocked handler = await Blocked.EnterAsync(connection, static self =>
        {
            self.Send("bye"u8);
            self.Close();
            Assert.False(self.IsWritable);
            self.Send("nobody hears this"u8);
        });
        Assert.Equal("bye", Encoding.UTF8.GetString(await peer.ReceiveToEndAsync()));
        await AdvanceAsync(2.001 * Second);
        await Eventually.True("the descriptor is gone", () => !Descriptors.Has(socket));
        await ExpectEndAsync(connection, handler, CloseReason.Local);

        (Peer second, ScriptedConnection aborting) = await OpenAsync(new ConnectionScript());
        using Peer __ = second;
        using Blocked abort = await Blocked.EnterAsync(aborting, static self => self.Abort());
        await second.ExpectResetAsync();
        await ExpectEndAsync(aborting, abort, CloseReason.Aborted);
    }

    [Fact]
    public async Task Of_two_deadlines_that_pass_at_once_the_second_is_not_told_when_the_first_has_closed()
    {
        DeadlineProfile profile = new() { FirstByte = 5 * Second, Idle = 5 * Second, Lifetime = 5 * Second };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), new ConnectionOptions { Deadlines = profile });
        using Peer _ = peer;

        // A handler that is busy is not asked.
        await Eventually.Equal("the handler is busy", false, () => _server.OnPoller(() => _server.Find(connection.Pid)!.MustStopTaking));

        await AdvanceAsync(5.001 * Second);
        Assert.Empty(await peer.ReceiveToEndAsync());
        peer.CloseWrite();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.DeadlineExceeded, closed.Reason);
        Assert.Equal(3, connection.Events.Count);
        Assert.IsType<DeadlineKind>(connection.Events[1]);
        Assert.Equal(closed, connection.Events[2]);
    }

    [Fact]
    public async Task A_deadline_that_its_handler_moves_is_told_again_later_and_what_it_does_not_mind_does_not_end_it()
    {
        ConnectionScript script = new() { Deadline = static (self, kind) => self.Send(kind == DeadlineKind.Idle ? "i"u8 : "r"u8) };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, new ConnectionOptions { Deadlines = new DeadlineProfile { Idle = 5 * Second } });
        using Peer _ = peer;

        for (int round = 0; round < 3; round++)
        {
            await AdvanceAsync(5.001 * Second);
            Assert.Equal("i", await peer.ReceiveTextAsync(1));
        }

        await peer.SendAsync("x");
        await Eventually.Equal("bytes", 1, () => connection.ReceivedBytes.Length);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    // Not told before the handler is done; then once, last, with the reason.
    private static async Task<ConnectionClosed> ExpectEndAsync(ScriptedConnection connection, Blocked handler, CloseReason reason)
    {
        Assert.False(connection.HasClosed);
        Assert.False(handler.Done.IsCompleted);
        handler.Release();
        await handler.Done.Soon();
        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(reason, closed.Reason);
        Assert.Equal(closed, connection.Events[^1]);
        Assert.Equal(1, connection.Closings);
        return closed;
    }

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionScript script, ConnectionOptions? options = null, int receiveBuffer = 0)
    {
        options ??= new ConnectionOptions();
        options.Scheduling = ConnectionScheduling.ThreadPool;
        return await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer);
    }

    // The poller has seen the new time, and everything that it made runnable has run.
    private async Task AdvanceAsync(TimeSpan time)
    {
        _time.Advance(time);
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
    }

    /// <summary>A connection's handler that blocks until it is released.</summary>
    private sealed class Blocked : IDisposable
    {
        private readonly ManualResetEventSlim _gate = new();

        public Task Done { get; private set; } = null!;

        public static async Task<Blocked> EnterAsync(ScriptedConnection connection, Action<ScriptedConnection>? before = null)
        {
            Blocked blocked = new();
            TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
            blocked.Done = connection.Do(self =>
            {
                before?.Invoke(self);
                entered.SetResult();
                Assert.True(blocked._gate.Wait(TimeSpan.FromSeconds(60)), "The test has not released the handler.");
            });
            await Task.WhenAny(entered.Task, blocked.Done).Soon();
            Assert.False(blocked.Done.IsFaulted, $"{blocked.Done.Exception}");
            return blocked;
        }

        public void Release() => _gate.Set();

        // Not disposed: the handler may still be in it.
        public void Dispose() => _gate.Set();
    }
}
