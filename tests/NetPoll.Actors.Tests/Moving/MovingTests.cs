using System.Buffers.Binary;
using System.Net;
using NetPoll.Actors.Tests.Connections;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Moving;

/// <summary>A connection changes its poller, and nobody else notices.</summary>
public sealed class MovingTests : IAsyncDisposable
{
    // More than the system takes: it widens its buffer, up to 4 MB on Linux, while a peer does not read.
    private const int Large = 16_000_000;

    private static readonly ConnectionOptions Roomy = new() { MaxOutputBytes = 2 * Large };

    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task Ten_thousand_moves_under_load_lose_double_and_reorder_nothing()
    {
        const int connections = 8;
        int moves = StressScale.Rounds(10_000);
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        using CancellationTokenSource enough = new();
        List<Task<long>> talks = [];
        List<ScriptedConnection> all = [];
        for (int index = 0; index < connections; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            all.Add(connection);
            talks.Add(TalkAsync(peer, enough.Token));
        }

        int done = 0;
        await Task.WhenAll(all.Select(async connection =>
        {
            int target = connection.Poller.Index;
            while (Interlocked.Increment(ref done) <= moves)
            {
                target = 1 - target;
                ConnectionMoved moved = await MoveAsync(connection.Pid, target);
                Assert.Equal(new ConnectionMoved(connection.Pid, _server.Homes[target].Pid, MoveOutcome.Moved), moved);
            }
        })).WaitAsync(TimeSpan.FromMinutes(5), TestContext.Current.CancellationToken);
        await enough.CancelAsync();
        long[] bytes = await Task.WhenAll(talks).Soon();

        Assert.All(bytes, static count => Assert.NotEqual(0, count));
        Assert.Equal(moves, _server.Homes.Sum(static home => home.Traffic.Moves));
        TestContext.Current.TestOutputHelper?.WriteLine($"{bytes.Sum()} bytes during {moves} moves");
        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task It_keeps_its_PID_its_actor_and_its_state_and_is_told()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(ConnectionScript.Echo());
        using Peer _ = peer;
        int there = 1 - connection.Poller.Index;
        await peer.SendAsync("before");
        Assert.Equal("before", await peer.ReceiveTextAsync(6));

        Assert.Equal(MoveOutcome.Moved, (await MoveAsync(connection.Pid, there)).Outcome);
        await peer.SendAsync("after");
        Assert.Equal("after", await peer.ReceiveTextAsync(5));

        Assert.Equal(there, await connection.Ask(static _ => Poller.Current!.Index));
        Assert.Equal(["connected", "moved"], connection.Events);
        Assert.Equal((0, 1), (_server.Homes[1 - there].Connections.Count, _server.Homes[there].Connections.Count));
        ConnectionTable table = await _server.Ask<ConnectionTable>(_server.NetPoll.ConnectionTable, new GetConnections());
        ConnectionInfo row = Assert.Single(table.Connections);
        Assert.Equal((_server.Homes[there].Pid, 11, 11), (row.Poller, row.BytesReceived, row.BytesSent));
        Assert.Equal(0, _server.Homes[1 - there].Poller.Snapshot().Closing);
    }

    [Fact]
    public async Task It_may_move_itself_and_what_the_callback_sends_comes_first()
    {
        ConnectionScript script = new()
        {
            Received = (connection, bytes) =>
            {
                connection.Send("a"u8);
                Assert.True(connection.MoveTo(_server.Homes[1 - connection.Poller.Index].Pid));
                connection.Send("b"u8);
                return bytes.Length;
            },
            Moved = static connection => connection.Send("c"u8),
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script);
        using Peer _ = peer;
        int here = connection.Poller.Index;

        await peer.SendAsync("x");
        Assert.Equal("abc", await peer.ReceiveTextAsync(3));
        Assert.Equal(1 - here, connection.Poller.Index);
        await peer.SendAsync("y");
        Assert.Equal("abc", await peer.ReceiveTextAsync(3));
        Assert.Equal(here, connection.Poller.Index);
    }

    [Fact]
    public async Task Input_that_the_handler_left_is_joined_with_what_comes_at_the_other_poller()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                if (bytes.Length < 6)
                {
                    return 0;
                }

                connection.Keep(bytes);
                return bytes.Length;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script);
        using Peer _ = peer;
        await peer.SendAsync("hel");
        await Eventually.True("the first part kept", () => _server.Find(connection.Pid)!.BytesReceived == 3);

        await MoveAsync(connection.Pid, 1 - connection.Poller.Index);
        Assert.Empty(connection.ReceivedBytes);
        await peer.SendAsync("lo\n");

        await Eventually.Equal("bytes", 6, () => connection.ReceivedBytes.Length);
        Assert.Equal("hello\n"u8.ToArray(), connection.ReceivedBytes);
    }

    [Fact]
    public async Task Output_that_waits_for_the_peer_goes_on_in_order_and_is_counted_where_it_waits()
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Roomy, receiveBuffer: 4096);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(Large + 100_000);
        await connection.Do(self =>
        {
            self.SuspendReading();
            self.Send(bytes.AsSpan(0, Large));
        });
        await Eventually.True("output that waits", () => _server.Find(connection.Pid)!.QueuedBytes is > 0 and < Large);
        await peer.SendAsync("while suspended");

        for (int move = 0; move < 5; move++)
        {
            await MoveAsync(connection.Pid, 1 - connection.Poller.Index);
            await connection.Do(self => self.Send(bytes.AsSpan(Large + (move * 20_000), 20_000)));
        }

        int here = connection.Poller.Index;
        Assert.Equal(0, await _server.OnPoller(() => _server.Homes[1 - here].Traffic.QueuedBytes, 1 - here));
        Assert.Equal(
            await connection.Ask(static self => self.OutputBytes), await _server.OnPoller(() => _server.Homes[here].Traffic.QueuedBytes, here));
        Assert.Empty(connection.ReceivedBytes);
        peer.Widen();
        Assert.Equal(bytes, await peer.ReceiveAsync(bytes.Length));
        await connection.Do(static self => self.ResumeReading());
        await Eventually.Equal("bytes", 15, () => connection.ReceivedBytes.Length);
        await Eventually.Equal("bytes that wait", 0, () => _server.NetPoll.OutputBudget.Taken);
    }

    [Fact]
    public async Task Output_moves_with_its_connection_while_the_peer_reads()
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, Roomy, receiveBuffer: 4096);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(Large);
        await connection.Do(self => self.Send(bytes));

        const int piece = 20_000;
        const int pieces = 100;
        for (int start = 0; start < pieces * piece; start += piece)
        {
            Task<byte[]> reading = peer.ReceiveAsync(piece);
            Assert.Equal(MoveOutcome.Moved, (await MoveAsync(connection.Pid, 1 - connection.Poller.Index)).Outcome);
            Assert.Equal(bytes[start..(start + piece)], await reading);
        }

        Assert.NotEqual(0, await connection.Ask(static self => self.OutputBytes));
        peer.Widen();
        Assert.Equal(bytes[(pieces * piece)..], await peer.ReceiveAsync(Large - (pieces * piece)));
    }

    [Fact]
    public async Task Messages_from_others_arrive_in_the_order_in_which_they_were_sent()
    {
        List<int> handled = [];
        ConnectionScript script = new()
        {
            Message = (self, message) =>
            {
                handled.Add((int)message);
                return Task.CompletedTask;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script);
        using Peer _ = peer;
        int target = connection.Poller.Index;
        int last = StressScale.Rounds(20_000);
        for (int number = 1; number <= last; number++)
        {
            _server.System.Root.Send(connection.Pid, number);
            if (number % 50 == 0)
            {
                target = 1 - target;
                _server.System.Root.Send(connection.Pid, new MoveConnection(_server.Homes[target].Pid));
            }
        }

        await connection.Do(static _ => { });
        Assert.Equal(Enumerable.Range(1, last), handled);
    }

    [Fact]
    public async Task A_handler_that_awaits_is_waited_for()
    {
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        int here = connection.Poller.Index;
        Task handling = connection.Do(async self =>
        {
            Assert.True(self.MoveTo(_server.Homes[1 - here].Pid));
            await gate.Task;
            Assert.Equal(here, Poller.Current!.Index);
            self.Send("done"u8);
        });
        await _server.OnPoller(() => 0, here);
        Assert.Equal(1, _server.Homes[here].Connections.Count);

        gate.SetResult();
        await handling;
        Assert.Equal("done", await peer.ReceiveTextAsync(4));
        await Eventually.Equal("poller", 1 - here, () => connection.Poller.Index);
    }

    [Fact]
    public async Task A_stream_that_is_being_sent_is_waited_for()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        int here = connection.Poller.Index;
        using SlowStream stream = new();
        Task sending = Task.CompletedTask;
        await connection.Do(self =>
        {
            sending = self.SendStreamAsync(stream);
            self.Send("behind"u8);
        });
        Task<ConnectionMoved> moving = MoveAsync(connection.Pid, 1 - here);
        await connection.Do(static _ => { });
        Assert.False(moving.IsCompleted);
        Assert.Equal(here, connection.Poller.Index);

        stream.Finish();
        Assert.Equal("streambehind", await peer.ReceiveTextAsync(12));
        await sending.Soon();
        Assert.Equal(MoveOutcome.Moved, (await moving).Outcome);
    }

    [Fact]
    public async Task What_was_begun_and_not_awaited_goes_on_at_the_other_poller()
    {
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        int here = connection.Poller.Index;
        Task<int> later = Task.FromResult(0);
        await connection.Do(self =>
        {
            later = LaterAsync();

            async Task<int> LaterAsync()
            {
                await gate.Task;
                self.Send("later"u8);
                return Poller.Current!.Index;
            }
        });

        await MoveAsync(connection.Pid, 1 - here);
        gate.SetResult();

        Assert.Equal(1 - here, await later.Soon());
        Assert.Equal("later", await peer.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task A_connection_stays_where_it_was_told_to_go_and_cannot()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(ConnectionScript.Echo());
        using Peer _ = peer;
        int here = connection.Poller.Index;
        PID there = _server.Homes[1 - here].Pid;

        Assert.Equal(MoveOutcome.AlreadyThere, (await MoveAsync(connection.Pid, here)).Outcome);
        Assert.Equal(MoveOutcome.NoSuchPoller, (await _server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(_server.NetPoll.ConnectionTable))).Outcome);
        Assert.True(await connection.Ask(self => self.MoveTo(_server.Homes[here].Pid)));
        Assert.False(await connection.Ask(self => self.MoveTo(self.Pid)));
        await _server.Ask<PollerDrained>(there, new DrainPoller(TimeSpan.Zero));
        Assert.Equal(MoveOutcome.PollerDraining, (await MoveAsync(connection.Pid, 1 - here)).Outcome);
        Assert.False(await connection.Ask(self => self.MoveTo(there)));

        await peer.SendAsync("still here");
        Assert.Equal("still here", await peer.ReceiveTextAsync(10));
        Assert.Equal(["connected"], connection.Events);
    }

    [Fact]
    public async Task The_last_of_several_moves_wins_and_the_others_are_told()
    {
        await using TestServer server = new(pollers: 3);
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await server.ListenAsync(script), script);
        using Peer _ = peer;
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int here = connection.Poller.Index;
        Task handling = connection.Do(_ => gate.Task);
        Task<ConnectionMoved> first = server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(server.Homes[(here + 1) % 3].Pid));
        Task<ConnectionMoved> second = server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(server.Homes[(here + 2) % 3].Pid));

        gate.SetResult();
        await handling;

        Assert.Equal(MoveOutcome.Superseded, (await first).Outcome);
        Assert.Equal(MoveOutcome.Moved, (await second).Outcome);
        Assert.Equal((here + 2) % 3, await connection.Ask(static _ => Poller.Current!.Index));
    }

    [Fact]
    public async Task One_whose_handlers_run_on_the_thread_pool_moves_between_their_calls()
    {
        ConnectionScript script = new()
        {
            Received = static (self, bytes) =>
            {
                Assert.True(Thread.CurrentThread.IsThreadPoolThread);
                self.Send(bytes);
                return bytes.Length;
            },
        };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { Scheduling = ConnectionScheduling.ThreadPool });
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID pid = PID.FromAddress(_server.System.Address, TestServer.IdOf(listener, 1));
        await peer.SendAsync("first");
        Assert.Equal("first", await peer.ReceiveTextAsync(5));
        int target = _server.Find(pid)!.Home.Poller.Index;
        for (int move = 0; move < StressScale.Rounds(300); move++)
        {
            target = 1 - target;
            Task<string> echo = peer.ReceiveTextAsync(9);
            await peer.SendAsync("some ");
            Assert.Equal(MoveOutcome.Moved, (await _server.Ask<ConnectionMoved>(pid, new MoveConnection(_server.NetPoll.Pollers[target]))).Outcome);
            await peer.SendAsync("text");
            Assert.Equal("some text", await echo);
        }

        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task Where_there_is_no_room_it_stays_and_goes_on()
    {
        await using TestServer server = new(pollers: 2, new PollerOptions { MaxDescriptors = 8 });
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        int there = 1 - connection.Poller.Index;
        List<NetListener> others = [];
        while (server.Homes[there].Poller.Monitored < 8)
        {
            others.Add(await server.OnPoller(() => NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), server.NetPoll.Group), there));
        }

        Assert.Equal(MoveOutcome.NoRoom, (await server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(server.Homes[there].Pid))).Outcome);
        await peer.SendAsync("still here");
        Assert.Equal("still here", await peer.ReceiveTextAsync(10));
        foreach (NetListener other in others)
        {
            await other.DisposeAsync();
        }
    }

    [Fact]
    public async Task One_that_is_closing_stays_and_closes()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        int here = connection.Poller.Index;
        await connection.Do(static self => self.Close());

        Assert.Equal(MoveOutcome.Closing, (await MoveAsync(connection.Pid, 1 - here)).Outcome);
        Assert.Empty(await peer.ReceiveToEndAsync());
        peer.CloseWrite();
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_close_that_crosses_a_move_closes_once_and_everything_before_it_arrives()
    {
        ConnectionScript script = new() { Message = static (self, _) => Run(self.Close) };
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
        for (int round = 0; round < StressScale.Rounds(200); round++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            using Peer _ = peer;
            await connection.Do(self => self.Send("all of it"u8));
            _server.System.Root.Send(connection.Pid, new MoveConnection(_server.Homes[1 - connection.Poller.Index].Pid));
            _server.System.Root.Send(connection.Pid, "close");

            Assert.Equal("all of it"u8.ToArray(), await peer.ReceiveToEndAsync());
            Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
            Assert.Equal(1, connection.Closings);
        }

        await Eventually.Equal("descriptors", 0L, () => _server.NetPoll.Connections.Live);
        Assert.Empty(_server.Log.Errors);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_end_of_the_peer_is_noticed_at_the_other_poller(bool isSuspended)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        await connection.Do(self =>
        {
            if (isSuspended)
            {
                self.SuspendReading();
            }
        });
        for (int move = 0; move < 3; move++)
        {
            await MoveAsync(connection.Pid, 1 - connection.Poller.Index);
        }

        peer.Reset();

        Assert.Equal(CloseReason.Reset, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task A_reset_that_crosses_a_move_is_noticed()
    {
        ConnectionScript script = new() { Connected = static self => self.SuspendReading() };
        Listener listener = await _server.ListenAsync(script);
        for (int round = 0; round < StressScale.Rounds(200); round++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            _server.System.Root.Send(connection.Pid, new MoveConnection(_server.Homes[1 - connection.Poller.Index].Pid));
            peer.Reset();
            Assert.Equal(CloseReason.Reset, (await connection.WhenClosed).Reason);
        }
    }

    [Fact]
    public async Task A_stop_from_outside_that_crosses_a_move_stops_it()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        for (int round = 0; round < StressScale.Rounds(200); round++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            using Peer _ = peer;
            _server.System.Root.Send(connection.Pid, new MoveConnection(_server.Homes[1 - connection.Poller.Index].Pid));
            await _server.System.Root.StopAsync(connection.Pid).Soon();
            Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
            Assert.Equal(1, connection.Closings);
        }
    }

    [Fact]
    public async Task A_handler_that_throws_at_the_other_poller_ends_its_connection_and_no_other()
    {
        ConnectionScript script = new() { Message = static (_, _) => throw new InvalidOperationException("on purpose") };
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        (Peer otherPeer, ScriptedConnection other) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        using Peer __ = otherPeer;
        await MoveAsync(connection.Pid, 1 - connection.Poller.Index);

        _server.System.Root.Send(connection.Pid, "fail");

        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal((CloseReason.Error, "on purpose"), (closed.Reason, closed.Exception?.Message));
        await other.Do(static _ => { });
        Assert.False(other.HasClosed);
    }

    [Fact]
    public async Task A_shutdown_during_moves_tells_every_connection_once_and_ends_in_time()
    {
        for (int round = 0; round < StressScale.Rounds(10); round++)
        {
            await using TestServer server = new(pollers: 2);
            ConnectionScript script = new();
            Listener listener = await server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
            List<ScriptedConnection> all = [];
            List<Peer> peers = [];
            for (int index = 0; index < 20; index++)
            {
                (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
                peers.Add(peer);
                all.Add(connection);
            }

            Task moving = Task.WhenAll(all.Select(connection => MoveToAndFroAsync(server, connection)));
            await Eventually.True("moves", () => server.Homes.Sum(static home => home.Traffic.Moves) > 100);

            await server.NetPoll.ShutdownAsync(TimeSpan.FromSeconds(30)).Soon();
            await moving.Soon();

            foreach (ScriptedConnection connection in all)
            {
                Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
                Assert.Single(connection.Events, "shutdown");
                Assert.Equal(1, connection.Closings);
            }

            Assert.DoesNotContain(server.Log.Entries, static entry => entry.Id == 107);
            peers.ForEach(static peer => peer.Dispose());
        }
    }

    [Fact]
    public async Task A_poller_that_drains_during_moves_is_empty_at_the_end_and_those_that_left_live_on()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script, new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
        List<ScriptedConnection> all = [];
        List<Peer> peers = [];
        for (int index = 0; index < 20; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            all.Add(connection);
        }

        Task moving = Task.WhenAll(all.Select(connection => MoveToAndFroAsync(_server, connection)));
        await Eventually.True("moves", () => _server.Homes.Sum(static home => home.Traffic.Moves) > 100);
        PollerDrained drained = await _server.Ask<PollerDrained>(_server.Homes[0].Pid, new DrainPoller(TimeSpan.FromSeconds(30)));
        await moving.Soon();

        Assert.Equal(0, drained.Reset);
        Assert.Equal(0, await _server.OnPoller(() => _server.Homes[0].Connections.Count));
        foreach (ScriptedConnection connection in all)
        {
            if (!connection.HasClosed && _server.Find(connection.Pid) is { Phase: Actors.Connections.ConnectionPhase.Open })
            {
                Assert.Equal(1, await connection.Ask(static _ => Poller.Current!.Index));
            }
        }

        peers.ForEach(static peer => peer.Dispose());
    }

    [Fact]
    public async Task The_live_table_finds_every_connection_whatever_moves_meanwhile()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script);
        List<ScriptedConnection> all = [];
        List<Peer> peers = [];
        for (int index = 0; index < 30; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            all.Add(connection);
        }

        using CancellationTokenSource over = new();
        Task moving = Task.WhenAll(all.Take(10).Select(async connection =>
        {
            for (int target = 0; !over.IsCancellationRequested; target = 1 - target)
            {
                await MoveAsync(connection.Pid, target);
            }
        }));
        for (int look = 0; look < StressScale.Rounds(100); look++)
        {
            ConnectionTable table = await _server.Ask<ConnectionTable>(_server.NetPoll.ConnectionTable, new GetConnections());
            Assert.Subset(table.Connections.Select(static row => row.Pid.Id).ToHashSet(), all.Skip(10).Select(static one => one.Pid.Id).ToHashSet());
        }

        await over.CancelAsync();
        await moving.Soon();
        peers.ForEach(static peer => peer.Dispose());
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static Task Run(Action action)
    {
        action();
        return Task.CompletedTask;
    }

    // Until it is closed, or told that it stays.
    private static async Task MoveToAndFroAsync(TestServer server, ScriptedConnection connection)
    {
        try
        {
            int target = connection.Poller.Index;
            MoveOutcome outcome;
            do
            {
                target = 1 - target;
                outcome = (await server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(server.NetPoll.Pollers[target]))).Outcome;
            }
            while (outcome is MoveOutcome.Moved);
        }
        catch (DeadLetterException)
        {
            // It has closed.
        }
    }

    // Sends numbers and checks that they come back in order, some always on their way.
    private static async Task<long> TalkAsync(Peer peer, CancellationToken enough)
    {
        using (peer)
        {
            uint sent = 0;
            uint received = 0;
            byte[] buffer = new byte[4096];
            while (!enough.IsCancellationRequested || received < sent)
            {
                int batch = enough.IsCancellationRequested ? 0 : 1 + (int)(sent % 97);
                for (int index = 0; index < batch; index++)
                {
                    BinaryPrimitives.WriteUInt32BigEndian(buffer.AsSpan(index * 4), sent++);
                }

                await peer.SendAsync(buffer.AsMemory(0, batch * 4));

                // All but a few, so that the connection always has something to do.
                uint until = enough.IsCancellationRequested ? sent : sent - Math.Min(sent, 50);
                while (received < until)
                {
                    Assert.Equal(received, BinaryPrimitives.ReadUInt32BigEndian(await peer.ReceiveAsync(4)));
                    received++;
                }
            }

            return received * 4L;
        }
    }

    private async Task<ConnectionMoved> MoveAsync(PID connection, int poller)
    {
        ConnectionMoved moved = await _server.Ask<ConnectionMoved>(connection, new MoveConnection(_server.NetPoll.Pollers[poller]));

        // Behind its first turn there, in which it is told.
        await _server.OnPoller(static () => 0, poller);
        return moved;
    }

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(
        ConnectionScript script, ConnectionOptions? options = null, int receiveBuffer = 0) =>
        await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer);

    /// <summary>Gives a word, and its end when it is told to.</summary>
    private sealed class SlowStream : MemoryStream
    {
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _isBegun;

        internal void Finish() => _end.SetResult();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_isBegun)
            {
                await _end.Task.WaitAsync(cancellationToken);
                return 0;
            }

            _isBegun = true;
            "stream"u8.CopyTo(buffer.Span);
            return 6;
        }
    }
}
