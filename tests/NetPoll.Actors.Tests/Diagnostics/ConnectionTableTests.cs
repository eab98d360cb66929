using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Diagnostics;

/// <summary>The live table: what it tells of each connection, how it is asked, and closing by a condition.</summary>
public sealed class ConnectionTableTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;
    private readonly List<Peer> _peers = [];

    public ConnectionTableTests() => _server = new TestServer(pollers: 2, new PollerOptions { TimeProvider = _time });

    [Fact]
    public async Task Every_open_connection_is_there_with_what_it_has_moved()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        (Peer busy, ScriptedConnection first) = await OpenAsync(listener, script);
        (Peer _, ScriptedConnection second) = await OpenAsync(listener, script);
        foreach (string text in new[] { "one", "three" })
        {
            await busy.SendAsync(text);
            Assert.Equal(text, await busy.ReceiveTextAsync(text.Length));
        }

        ConnectionTable table = await AskAsync(new GetConnections());

        Assert.Equal((2, 2), (table.Matched, table.Total));
        Assert.Null(table.Failure);
        ConnectionInfo info = Assert.Single(table.Connections, row => row.Pid.Equals(first.Pid));
        Assert.Equal(listener.Pid.Id, info.Listener);
        Assert.Equal(first.Poller.Index, Array.FindIndex([.. _server.NetPoll.Pollers], info.Poller.Equals));
        Assert.Equal(busy.Socket.LocalEndPoint, info.RemoteEndPoint);
        Assert.Equal((8, 8, 2, 2), (info.BytesReceived, info.BytesSent, info.MessagesReceived, info.MessagesSent));
        Assert.Equal((0, TimeSpan.Zero, false, 0), (info.OutputBytes, info.OldestUnsent, info.IsClosing, info.QueuedMessages));
        ConnectionInfo quiet = Assert.Single(table.Connections, row => row.Pid.Equals(second.Pid));
        Assert.Equal((0, 0, 0, 0), (quiet.BytesReceived, quiet.BytesSent, quiet.MessagesReceived, quiet.MessagesSent));
    }

    [Fact]
    public async Task Frames_count_as_messages_however_they_came()
    {
        Listener listener = await _server.ListenAsync(static () => new LineEcho());
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync("one\ntwo\nthree\n");
        Assert.Equal("one,two,three,", await peer.ReceiveTextAsync(14));

        ConnectionInfo row = Assert.Single((await AskAsync(new GetConnections())).Connections);
        Assert.Equal((14, 14, 3, 3), (row.BytesReceived, row.BytesSent, row.MessagesReceived, row.MessagesSent));
    }

    [Fact]
    public async Task A_connection_that_a_plain_actor_handles_is_there_too()
    {
        PID handler = _server.System.Root.Spawn(Props.FromFunc(static context =>
        {
            if (context.Message is Received received)
            {
                context.Send(received.Connection, new Write(received.Bytes));
            }

            return Task.CompletedTask;
        }));
        Listener listener = await _server.NetPoll.ListenAsync("handled", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), handler).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("hello");
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));

        ConnectionInfo row = Assert.Single((await AskAsync(new GetConnections())).Connections);
        ConnectionsClosing closing = await CloseAsync(new CloseConnections(other => other.Pid.Equals(row.Pid)));

        Assert.Equal(TestServer.IdOf(listener, 1), row.Pid.Id);
        Assert.Equal((5, 5, 1, 1), (row.BytesReceived, row.BytesSent, row.MessagesReceived, row.MessagesSent));
        Assert.Equal(1, closing.Count);
        Assert.Empty(await peer.ReceiveToEndAsync());
    }

    [Fact]
    public async Task A_closed_connection_is_not_there()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        (Peer _, ScriptedConnection connection) = await OpenAsync(listener, script);

        await connection.Do(static self => self.Abort());
        await connection.WhenClosed;

        Assert.Empty((await AskAsync(new GetConnections())).Connections);
    }

    [Fact]
    public async Task The_time_of_the_last_bytes_is_told_whatever_the_idle_timeout_does()
    {
        ConnectionScript script = new() { Deadline = static (_, _) => { } };
        Listener listener = await _server.ListenAsync(script);
        DateTimeOffset born = _time.GetUtcNow();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(listener, script);
        _time.Advance(3 * Second);
        ConnectionInfo before = await RowAsync(connection);

        await peer.SendAsync("x");
        await Eventually.Equal("bytes", 1, () => connection.ReceivedBytes.Length);
        DateTimeOffset received = _time.GetUtcNow();
        _time.Advance(2 * Second);
        await connection.Do(static self => self.IdleTimeout = 3 * Second);
        _time.Advance(4 * Second);
        await Eventually.True("the idle timeout has passed", () => connection.Events.Contains(DeadlineKind.Idle));
        ConnectionInfo after = await RowAsync(connection);

        Assert.Equal((born, 3 * Second), (before.LastReceived, before.IdleFor));
        Assert.Equal((received, 6 * Second), (after.LastReceived, after.IdleFor));
    }

    [Fact]
    public async Task Unsent_bytes_are_told_with_the_age_of_the_oldest()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024 });
        (Peer peer, ScriptedConnection connection) = await OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        byte[] bytes = new byte[8 * 1024 * 1024];

        await connection.Do(self => self.Send(bytes));
        _time.Advance(5 * Second);
        await connection.Do(static self => self.Send("more"u8));
        _time.Advance(2 * Second);
        ConnectionInfo waiting = await RowAsync(connection);
        await peer.ReceiveAsync(bytes.Length + 4);
        ConnectionInfo sent = await RowAsync(connection);

        Assert.Equal(7 * Second, waiting.OldestUnsent);
        Assert.Equal(bytes.Length + 4, waiting.OutputBytes + waiting.BytesSent);
        Assert.True(waiting.OutputBytes > 0);
        Assert.Equal((0, TimeSpan.Zero, bytes.Length + 4, 2), (sent.OutputBytes, sent.OldestUnsent, sent.BytesSent, sent.MessagesSent));
    }

    [Fact]
    public async Task Rows_are_chosen_sorted_and_limited()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        for (int number = 1; number <= 6; number++)
        {
            (Peer peer, ScriptedConnection connection) = await OpenAsync(listener, script);
            await peer.SendAsync(new byte[number]);
            int expected = number;
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
        }

        GetConnections most = new() { Where = static row => row.BytesReceived != 5, OrderBy = ConnectionOrder.BytesReceived, Limit = 3 };
        ConnectionTable table = await AskAsync(most);
        ConnectionTable counts = await AskAsync(most with { Limit = 0 });
        ConnectionTable any = await AskAsync(new GetConnections { Limit = 2 });

        Assert.Equal([6, 4, 3], table.Connections.Select(static row => row.BytesReceived));
        Assert.Equal((5, 6), (table.Matched, table.Total));
        Assert.Empty(counts.Connections);
        Assert.Equal((5, 6), (counts.Matched, counts.Total));
        Assert.Equal(2, any.Connections.Count);
    }

    /// <summary>Every order but none.</summary>
    public static TheoryData<ConnectionOrder> Orders => [.. Enum.GetValues<ConnectionOrder>().Where(static order => order != ConnectionOrder.None)];

    [Theory]
    [MemberData(nameof(Orders))]
    public async Task By_every_order_those_that_have_most_come_first(ConnectionOrder order)
    {
        const int Unsent = 8 * 1024 * 1024;
        int[] amounts = [2, 4, 1, 3];
        TaskCompletionSource gate = new();
        ConnectionScript script = new() { Message = (_, message) => message is "wait" ? gate.Task : Task.CompletedTask };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024, WriteTimeout = Timeout.InfiniteTimeSpan });
        List<(Peer Peer, ScriptedConnection Connection)> all = [];
        foreach (int amount in amounts)
        {
            (Peer peer, ScriptedConnection connection) = await OpenAsync(listener, script, receiveBuffer: 8 * 1024);
            all.Add((peer, connection));

            // Who has most messages has fewest bytes, and the other way round.
            int[] sizes = order is ConnectionOrder.BytesReceived or ConnectionOrder.BytesSent
                ? [.. Enumerable.Repeat(amount * 60 / (5 - amount), 5 - amount)]
                : [.. Enumerable.Repeat(144 / (amount * amount), amount)];
            switch (order)
            {
                case ConnectionOrder.OutputBytes:
                    await connection.Do(self => self.Send(new byte[Unsent * (1 + amount)]));
                    break;
                case ConnectionOrder.BytesReceived:
                case ConnectionOrder.MessagesReceived:
                    foreach (int size in sizes)
                    {
                        await ReceiveAsync(peer, connection, size);
                    }

                    break;
                case ConnectionOrder.BytesSent:
                case ConnectionOrder.MessagesSent:
                    await connection.Do(self => Array.ForEach(sizes, size => self.Send(new byte[size])));
                    break;
                case ConnectionOrder.QueuedMessages:
                    _server.System.Root.Send(connection.Pid, "wait");
                    await Eventually.True("the handler awaits", () => connection.Events.Contains("wait"));
                    for (int message = 1; message <= amount; message++)
                    {
                        _server.System.Root.Send(connection.Pid, "queued");
                    }

                    break;
            }
        }

        // The one that has waited longest is the first here.
        foreach (int index in Enumerable.Range(0, amounts.Length).OrderByDescending(index => amounts[index]))
        {
            switch (order)
            {
                case ConnectionOrder.OldestUnsent:
                    await all[index].Connection.Do(static self => self.Send(new byte[Unsent]));
                    break;
                case ConnectionOrder.IdleFor:
                    await ReceiveAsync(all[index].Peer, all[index].Connection, 1);
                    break;
            }

            _time.Advance(Second);
        }

        ConnectionTable table = await AskAsync(new GetConnections { OrderBy = order, Limit = 3 });
        gate.SetResult();

        Assert.Equal([all[1].Connection.Pid, all[3].Connection.Pid, all[0].Connection.Pid], table.Connections.Select(static row => row.Pid));
        Assert.Equal((4, 4), (table.Matched, table.Total));

        async Task ReceiveAsync(Peer peer, ScriptedConnection connection, int count)
        {
            int expected = connection.ReceivedBytes.Length + count;
            await peer.SendAsync(new byte[count]);
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
        }
    }

    [Fact]
    public async Task A_poller_answers_for_its_own_connections()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        List<ScriptedConnection> all = [];
        while (all.Select(static connection => connection.Poller.Index).Distinct().Count() < 2)
        {
            all.Add((await OpenAsync(listener, script)).Connection);
        }

        for (int poller = 0; poller < 2; poller++)
        {
            ConnectionTable table = await _server.System.Root.RequestAsync<ConnectionTable>(
                _server.NetPoll.Pollers[poller], new GetConnections(), TestContext.Current.CancellationToken).Soon();

            int index = poller;
            Assert.Equal(all.Count(connection => connection.Poller.Index == index), table.Total);
            Assert.All(table.Connections, row => Assert.Equal(_server.NetPoll.Pollers[index], row.Poller));
        }
    }

    [Fact]
    public async Task A_table_of_very_many_is_whole()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        for (int number = 0; number < 400; number++)
        {
            await OpenAsync(listener, script);
        }

        ConnectionTable table = await AskAsync(new GetConnections());

        Assert.Equal(400, table.Connections.Select(static row => row.Pid.Id).Distinct().Count());
    }

    [Fact]
    public async Task A_condition_that_throws_is_answered_and_harms_nobody()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await OpenAsync(listener, script);

        ConnectionTable table = await AskAsync(new GetConnections { Where = static _ => throw new InvalidOperationException("bad question") });
        ConnectionsClosing closing = await CloseAsync(new CloseConnections(static _ => throw new InvalidOperationException("bad order")));
        await peer.SendAsync("still here");

        Assert.Equal("bad question", table.Failure!.Message);
        Assert.Equal((0, "bad order"), (closing.Count, closing.Failure!.Message));
        Assert.Equal("still here", await peer.ReceiveTextAsync(10));
        Assert.Single((await AskAsync(new GetConnections())).Connections, row => row.Pid.Equals(connection.Pid));
    }

    [Fact]
    public async Task Those_that_meet_a_condition_are_closed_after_what_waits_is_sent_and_no_others()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        (Peer idle, ScriptedConnection first) = await OpenAsync(listener, script);
        await first.Do(static self => self.SuspendReading());
        _time.Advance(60 * Second);
        (Peer fresh, ScriptedConnection _) = await OpenAsync(listener, script);
        await first.Do(static self => self.Send("goodbye"u8));

        ConnectionsClosing closing = await CloseAsync(new CloseConnections(static row => row.IdleFor >= 30 * Second));

        Assert.Equal(new ConnectionsClosing(1), closing);
        Assert.Equal("goodbye"u8.ToArray(), await idle.ReceiveToEndAsync());
        idle.CloseWrite();
        Assert.Equal(CloseReason.Shutdown, (await first.WhenClosed).Reason);
        await fresh.SendAsync("x");
        Assert.Equal("x", await fresh.ReceiveTextAsync(1));
    }

    [Fact]
    public async Task They_can_be_reset_with_a_reason_even_while_they_close()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024 });
        (Peer peer, ScriptedConnection connection) = await OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        byte[] bytes = new byte[8 * 1024 * 1024];
        await connection.Do(self =>
        {
            self.Send(bytes);
            self.Close();
        });
        Assert.True((await RowAsync(connection)).IsClosing);

        ConnectionsClosing polite = await CloseAsync(new CloseConnections(static _ => true));
        ConnectionsClosing reset = await CloseAsync(new CloseConnections(static _ => true) { Abort = true, Reason = CloseReason.SlowConsumer });

        Assert.Equal((0, 1), (polite.Count, reset.Count));
        await peer.ExpectResetAsync();
        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(CloseReason.SlowConsumer, closed.Reason);
        Assert.True(closed.BytesUnsent > 0);
    }

    public async ValueTask DisposeAsync()
    {
        _peers.ForEach(static peer => peer.Dispose());
        await _server.DisposeAsync();
    }

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(Listener listener, ConnectionScript script, int receiveBuffer = 0)
    {
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script, receiveBuffer);
        _peers.Add(peer);
        return (peer, connection);
    }

    private async Task<ConnectionInfo> RowAsync(ScriptedConnection connection) =>
        Assert.Single((await AskAsync(new GetConnections { Where = row => row.Pid.Equals(connection.Pid) })).Connections);

    private Task<ConnectionTable> AskAsync(GetConnections query) =>
        _server.System.Root.RequestAsync<ConnectionTable>(_server.NetPoll.ConnectionTable, query, TestContext.Current.CancellationToken).Soon();

    private Task<ConnectionsClosing> CloseAsync(CloseConnections order) =>
        _server.System.Root.RequestAsync<ConnectionsClosing>(_server.NetPoll.ConnectionTable, order, TestContext.Current.CancellationToken).Soon();

    private sealed class LineEcho : LineConnectionActor
    {
        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            Send([.. line, (byte)',']);
            return Task.CompletedTask;
        }
    }
}
