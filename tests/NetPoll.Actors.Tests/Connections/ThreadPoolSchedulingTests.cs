using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Handlers that block, on the thread pool: in order, one at a time, and in nobody's way.</summary>
public sealed class ThreadPoolSchedulingTests : IAsyncDisposable
{
    private readonly TestServer _server = new();

    [Fact]
    public async Task While_one_handler_blocks_the_other_connections_of_its_poller_go_on_and_its_own_reads_nothing()
    {
        using ManualResetEventSlim gate = new();
        using SemaphoreSlim entered = new(0);
        ConnectionScript blocking = new()
        {
            Received = (self, bytes) =>
            {
                self.Keep(bytes);
                entered.Release();
                Assert.True(gate.Wait(TimeSpan.FromSeconds(60)));
                self.Send(bytes);
                return bytes.Length;
            },
        };
        ConnectionScript echo = ConnectionScript.Echo();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(blocking);
        (Peer other, ScriptedConnection _) = await TestServer.OpenAsync(await _server.ListenAsync(echo), echo);
        using Peer _ = peer;
        using Peer __ = other;
        await peer.SendAsync("first");
        Assert.True(await entered.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
        await peer.SendAsync("second");

        for (int round = 0; round < 20; round++)
        {
            await other.SendAsync("hello");
            Assert.Equal("hello", await other.ReceiveTextAsync(5));
        }

        Assert.Equal("first"u8, connection.ReceivedBytes);
        Assert.Equal(0, peer.Socket.Available);

        // Not even read: only the first piece and the neighbour's have left their sockets.
        Assert.Equal(5 + (20 * 5), _server.Homes[0].Traffic.BytesReceived);
        gate.Set();
        Assert.Equal("firstsecond", await peer.ReceiveTextAsync(11));
    }

    [Fact]
    public async Task Everything_runs_off_the_poller_one_at_a_time_and_in_order()
    {
        int inside = 0;
        int overlaps = 0;
        int onPoller = 0;
        List<int> messages = [];
        ConnectionScript script = new()
        {
            Connected = self => Enter(() => { }),
            Received = (self, bytes) =>
            {
                byte[] copy = bytes.ToArray();
                Enter(() => self.Keep(copy));
                return copy.Length;
            },
            Message = (self, message) =>
            {
                Enter(() => messages.Add((int)message));
                return Task.CompletedTask;
            },
            PeerClosed = self => Enter(self.Close),
            Closed = self => Enter(() => { }),
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(200_000);

        Task sending = peer.SendAsync(bytes);
        for (int number = 0; number < 500; number++)
        {
            _server.System.Root.Send(connection.Pid, number);
        }

        await sending;
        await Eventually.Equal("bytes", bytes.Length, () => connection.ReceivedBytes.Length);
        await Eventually.Equal("messages", 500, () => messages.Count);
        peer.CloseWrite();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Null(closed.Exception);
        Assert.Equal(CloseReason.Local, closed.Reason);
        Assert.True(bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
        Assert.Equal(Enumerable.Range(0, 500), messages);
        Assert.Equal((0, 0), (Volatile.Read(ref overlaps), Volatile.Read(ref onPoller)));
        Assert.Equal(closed, connection.Events[^1]);

        void Enter(Action action)
        {
            overlaps += Interlocked.Exchange(ref inside, 1);
            onPoller += Core.Poller.Current is null ? 0 : 1;
            Thread.SpinWait(100);
            action();
            Interlocked.Exchange(ref inside, 0);
        }
    }

    [Fact]
    public async Task Its_verbs_work_from_the_handler_and_keep_their_order()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;

        await connection.Do(async self =>
        {
            self.Send("a"u8);
            using SharedPayload payload = SharedPayload.Copy("b"u8);
            self.Send(payload);
            using MemoryStream stream = new(Encoding.ASCII.GetBytes("c"));
            Task sent = self.SendStreamAsync(stream);
            self.Send("d"u8);
            await sent.ConfigureAwait(false);
            await self.FlushAsync().ConfigureAwait(false);
            self.IdleTimeout = TimeSpan.FromHours(1);
            self.Deadlines = new DeadlineProfile { Lifetime = TimeSpan.FromHours(1) };
            Assert.Null(self.IdleTimeout);
            Assert.Throws<ArgumentOutOfRangeException>(() => self.Demand(0));
            self.Demand(3, DemandUnit.Bytes);
        });
        Assert.Equal("abcd", await peer.ReceiveTextAsync(4));
        await peer.SendAsync("123456");
        await Eventually.Equal("bytes", 3, () => connection.ReceivedBytes.Length);
        await connection.Do(static self =>
        {
            Assert.Equal("123"u8, self.ReceivedBytes);
            self.ResumeReading();
        });
        await Eventually.Equal("bytes", 6, () => connection.ReceivedBytes.Length);
        await connection.Do(static self =>
        {
            self.Close();
            Assert.False(self.IsWritable);
        });
        Assert.Empty(await peer.ReceiveToEndAsync());
        peer.CloseWrite();

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task What_a_handler_leaves_is_offered_again_with_what_comes_next_and_bounded()
    {
        ConnectionScript script = new()
        {
            Received = static (connection, bytes) =>
            {
                connection.Note(Encoding.UTF8.GetString(bytes));
                return bytes.Length >= 5 ? 3 : 0;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, new ConnectionOptions { MaxInputBytes = 10 });
        using Peer _ = peer;
        int expected = 1;
        foreach (string piece in new[] { "a", "b", "cd", "e", "f" })
        {
            await peer.SendAsync(piece);
            await Eventually.Equal($"events after {piece}", ++expected, () => connection.Events.Count);
        }

        Assert.Equal(["connected", "a", "ab", "abcd", "abcde", "def"], connection.Events);
        await peer.SendAsync(new string('x', 20));
        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(CloseReason.Error, closed.Reason);
        Assert.Contains("MaxInputBytes is 10", closed.Exception!.Message, StringComparison.Ordinal);
        Assert.Equal(1, connection.Closings);
    }

    [Fact]
    public async Task Frames_wait_for_one_another_and_for_a_suspension_and_none_is_lost()
    {
        SlowLines lines = new();
        Listener listener = await _server.ListenAsync(() => lines, Pooled());
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync(string.Concat(Enumerable.Range(0, 300).Select(static number => $"{number}\n")));

        string[] answers = (await peer.ReceiveTextAsync((10 * 2) + (90 * 3) + (200 * 4))).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal(Enumerable.Range(0, 300).Select(static number => $"{number}"), answers);
        Assert.False(lines.HasOverlapped);
        await Eventually.Equal("suspensions", 30, () => lines.Suspensions);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_handler_that_throws_ends_its_connection_once_and_is_logged_once(bool afterAwait)
    {
        ConnectionScript script = new() { Message = async (_, _) => { if (afterAwait) { await Task.Yield(); } throw new InvalidOperationException("on purpose"); } };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script);
        using Peer _ = peer;
        Task<bool> terminated = await _server.Watch(connection.Pid, _ => connection.HasClosed);

        _server.System.Root.Send(connection.Pid, "anything");
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal((CloseReason.Error, "on purpose"), (closed.Reason, closed.Exception!.Message));
        Assert.True(await terminated.Soon(), "The watcher was told before the handler.");
        Assert.Equal(1, connection.Closings);
        Assert.Single(_server.Log.Errors);
        Assert.Empty(await peer.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Sends_of_a_handler_stay_in_order_with_its_group_and_are_bounded()
    {
        const int Count = 2000;
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), new ConnectionOptions { MaxOutputBytes = int.MaxValue });
        using Peer _ = peer;
        ConnectionGroup group = new(_server.System, "all");

        Task handler = connection.Do(self =>
        {
            Assert.True(group.Join(self.Context.Self));
            for (int number = 0; number < Count; number++)
            {
                using SharedPayload payload = NumberedFrames.MakePayload(number, 4 * 1024);
                switch (number % 3)
                {
                    case 0:
                        self.Send(payload.Memory.Span);
                        break;
                    case 1:
                        self.Send(payload);
                        break;
                    default:
                        group.Publish(payload);
                        break;
                }
            }
        });

        for (int number = 0; number < Count; number++)
        {
            Assert.Equal(number, await NumberedFrames.ReceiveAsync(peer));
        }

        await handler;
    }

    [Fact]
    public async Task Messages_come_between_frames_however_many_wait()
    {
        BusyLines lines = new();
        Listener listener = await _server.ListenAsync(() => lines, Pooled());
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync(string.Concat(Enumerable.Repeat("a line\n", 2000)));
        await peer.ReceiveAsync(2000);

        Assert.InRange(lines.LinesBeforeTheMessage, 1, 3);
    }

    [Fact]
    public async Task Reentrance_and_the_end_of_the_watched_are_handled_on_the_pool_too()
    {
        TaskCompletionSource<bool> reentered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<bool> terminated = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ConnectionScript script = new()
        {
            Message = (self, message) =>
            {
                if (message is Terminated)
                {
                    terminated.SetResult(Core.Poller.Current is null);
                }

                return Task.CompletedTask;
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script);
        using Peer _ = peer;
        PID other = _server.System.Root.Spawn(Props.FromFunc(static _ => Task.CompletedTask));

        await connection.Do(self =>
        {
            self.Context.Watch(other);
            self.Context.ReenterAfter(Task.Delay(1, TestContext.Current.CancellationToken), () =>
            {
                self.Send("reentered"u8);
                reentered.SetResult(Core.Poller.Current is null);
            });
        });
        Assert.Equal("reentered", await peer.ReceiveTextAsync(9));
        _server.System.Root.Stop(other);

        Assert.True(await reentered.Task.Soon(), "The continuation ran on the poller.");
        Assert.True(await terminated.Task.Soon(), "The end of the watched was told on the poller.");
    }

    [Fact]
    public async Task Stopped_from_outside_its_connection_does_not_wait_for_a_handler_that_blocks_and_watchers_do()
    {
        using ManualResetEventSlim gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;
        Task<bool> terminated = await _server.Watch(connection.Pid, _ => connection.HasClosed);
        Task handler = connection.Do(self =>
        {
            self.Send("bye"u8);
            Assert.True(gate.Wait(TimeSpan.FromSeconds(60)));
        });
        Assert.Equal("bye", await peer.ReceiveTextAsync(3));

        _server.System.Root.Stop(connection.Pid);
        Assert.Empty(await peer.ReceiveToEndAsync());
        Assert.False(terminated.IsCompleted);
        gate.Set();
        await handler;

        Assert.Equal(CloseReason.Shutdown, (await connection.WhenClosed).Reason);
        Assert.True(await terminated.Soon(), "The watcher was told before the handler.");
        Assert.Equal(1, connection.Closings);
    }

    [Fact]
    public async Task Many_connections_at_once_answer_everything()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, Pooled());
        await Task.WhenAll(Enumerable.Range(0, 16).Select(async number =>
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            Random random = new(number);
            for (int round = 0; round < 20; round++)
            {
                byte[] bytes = new byte[random.Next(1, 20_000)];
                random.NextBytes(bytes);
                Task sending = peer.SendAsync(bytes);
                byte[] echoed = await peer.ReceiveAsync(bytes.Length);
                Assert.True(bytes.AsSpan().SequenceEqual(echoed));
                await sending;
            }
        }));
        Assert.Empty(_server.Log.Errors);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static ConnectionOptions Pooled(ConnectionOptions? options = null)
    {
        options ??= new ConnectionOptions();
        options.Scheduling = ConnectionScheduling.ThreadPool;
        return options;
    }

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionScript script, ConnectionOptions? options = null) =>
        await TestServer.OpenAsync(await _server.ListenAsync(script, Pooled(options)), script);

    /// <summary>Answers each line with a byte, and sends itself a message with the first.</summary>
    private sealed class BusyLines : LineConnectionActor
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
            return Task.CompletedTask;
        }

        protected override Task OnMessage(object message)
        {
            LinesBeforeTheMessage = _lines;
            return Task.CompletedTask;
        }
    }

    private sealed class SlowLines : LineConnectionActor
    {
        private int _inside;

        public bool HasOverlapped { get; private set; }

        public int Suspensions { get; private set; }

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            int number = int.Parse(line, System.Globalization.CultureInfo.InvariantCulture);
            return number % 3 == 0 ? AnswerLaterAsync(number) : Answer(number);
        }

        private async Task AnswerLaterAsync(int number)
        {
            HasOverlapped |= Interlocked.Exchange(ref _inside, 1) != 0;
            await Task.Yield();
            Interlocked.Exchange(ref _inside, 0);
            await Answer(number);
        }

        private Task Answer(int number)
        {
            HasOverlapped |= Interlocked.Exchange(ref _inside, 1) != 0;
            SendFrame(Encoding.UTF8.GetBytes($"{number}"));
            if (number % 10 == 9)
            {
                // Somebody else resumes, later.
                Suspensions++;
                SuspendReading();
                _ = Task.Run(ResumeReading);
            }

            Interlocked.Exchange(ref _inside, 0);
            return Task.CompletedTask;
        }
    }
}
