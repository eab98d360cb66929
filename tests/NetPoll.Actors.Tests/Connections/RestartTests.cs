using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>A connection whose actor failed gets another one, and loses nothing but what that one failed over.</summary>
public sealed class RestartTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task Frames_behind_the_one_that_failed_are_the_next_actor_s_and_none_comes_twice()
    {
        Life life = new();
        using Peer peer = await OpenAsync(life);
        for (int number = 0; number < 10; number++)
        {
            await peer.SendAsync($"a{number}\nb{number}\nfail\nc{number}\nd{number}\ne");
            await peer.SendAsync("nd\n");
            Assert.Equal($"a{number}\nb{number}\nc{number}\nd{number}\nend\n", await peer.ReceiveTextAsync(16));
        }

        Assert.Equal(11, life.Actors.Count);
        Assert.Equal(["connected", .. Enumerable.Repeat("restarted by fail", 10)], life.Events);
        Assert.Equal(1, await LiveAsync());
    }

    [Fact]
    public async Task It_is_the_same_where_handlers_run_on_the_thread_pool()
    {
        Life life = new();
        ConnectionOptions options = Restartable();
        options.Scheduling = ConnectionScheduling.ThreadPool;
        Listener listener = await _server.ListenAsync(() => new Liner(life), options);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID pid = await life.Pid.Soon();
        for (int number = 0; number < 10; number++)
        {
            _server.System.Root.Send(pid, new MoveConnection(_server.NetPoll.Pollers[number % 2]));
            await peer.SendAsync($"a{number}\nb{number}\nfail\nc{number}\nd{number}\ne");
            await peer.SendAsync("nd\n");
            Assert.Equal($"a{number}\nb{number}\nc{number}\nd{number}\nend\n", await peer.ReceiveTextAsync(16));
        }

        Assert.Equal(11, life.Actors.Count);
        Assert.Equal(["connected", .. Enumerable.Repeat("restarted by fail", 10)], life.Events);
    }

    [Fact]
    public async Task A_frame_that_came_in_parts_is_put_together_by_the_next_actor()
    {
        Life life = new();
        using Peer peer = await OpenAsync(life);
        await peer.SendAsync("half a li");
        PID pid = await life.Pid.Soon();
        await Eventually.True("the first part kept", () => _server.Find(pid)!.BytesReceived == 9);

        _server.System.Root.Send(pid, "fail");
        await Eventually.Equal("actors", 2, () => life.Actors.Count);
        await peer.SendAsync("ne\n");

        Assert.Equal("half a line\n", await peer.ReceiveTextAsync(12));
    }

    [Fact]
    public async Task After_an_await_the_frames_behind_are_the_next_actor_s_too()
    {
        Life life = new();
        using Peer peer = await OpenAsync(life);

        await peer.SendAsync("a\nfail later\nb\nc\n");

        Assert.Equal("a\nb\nc\n", await peer.ReceiveTextAsync(6));
        Assert.Equal(["connected", "restarted by later"], life.Events);
    }

    [Fact]
    public async Task Of_raw_bytes_all_that_the_failed_call_was_given_are_skipped_and_no_more()
    {
        List<string> received = [];
        int calls = 0;
        ConnectionScript script = new()
        {
            Received = (self, bytes) =>
            {
                lock (received)
                {
                    received.Add(Encoding.ASCII.GetString(bytes));
                }

                return ++calls == 1 ? 0 : bytes.EndsWith("!"u8) ? throw new InvalidOperationException("on purpose") : bytes.Length;
            },
        };
        Listener listener = await _server.ListenAsync(script, Restartable());
        (Peer peer, ScriptedConnection first) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;
        await peer.SendAsync("kept");
        await Eventually.Equal("bytes", 4, () => _server.Find(first.Pid)!.BytesReceived);
        await peer.SendAsync("lost!");
        await Eventually.True("the failure", () => _server.Log.Errors.Count == 1);
        await peer.SendAsync("next");

        await Eventually.Equal("what was offered", "kept|keptlost!|next", () =>
        {
            lock (received)
            {
                return string.Join('|', received);
            }
        });
        Assert.Equal(110, Assert.Single(_server.Log.Errors).Id);
        Assert.False(first.HasClosed);
    }

    [Fact]
    public async Task Messages_behind_the_one_that_failed_go_to_the_next_actor()
    {
        Life life = new();
        using Peer peer = await OpenAsync(life);
        PID pid = await life.Pid.Soon();

        foreach (string message in (string[])["one", "fail", "two", "three"])
        {
            _server.System.Root.Send(pid, message);
        }

        Assert.Equal("one\ntwo\nthree\n", await peer.ReceiveTextAsync(14));
        Assert.Equal(2, life.Actors.Count);
    }

    [Fact]
    public async Task Unsent_output_is_sent_before_what_the_next_actor_sends()
    {
        Life life = new();
        ConnectionOptions options = Restartable();
        options.OutputHighWatermark = 1000;
        Listener listener = await _server.ListenAsync(() => new Liner(life), options);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint, receiveBuffer: 4096);
        PID pid = await life.Pid.Soon();
        _server.System.Root.Send(pid, 3_000_000);
        await Eventually.True("output that waits", () => _server.Find(pid)!.QueuedBytes > 0);
        _server.System.Root.Send(pid, "fail");
        _server.System.Root.Send(pid, "behind");
        await Eventually.True(
            "that the next actor is told", () => life.Events.SkipWhile(static what => what != "restarted by fail").Contains("writes suspended"));
        peer.Widen();

        byte[] bytes = await peer.ReceiveAsync(3_000_000);
        Assert.True(bytes.AsSpan().IndexOfAnyExcept((byte)'x') < 0);
        Assert.Equal("behind\n", await peer.ReceiveTextAsync(7));
    }

    [Fact]
    public async Task One_that_fails_too_often_is_closed_with_the_last_error()
    {
        Life life = new();
        Listener listener = await _server.ListenAsync(() => new Liner(life), Restartable(max: 2));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync("fail\na\nfail\nb\nfail\nc\n");

        Assert.Equal("a\nb\n", await ReceiveUntilEndAsync(peer));
        Assert.Equal(3, life.Actors.Count);
        await Eventually.True("the end", () => life.Events.Contains("closed: Error fail"));
        Assert.Single(life.Events, static what => what.StartsWith("closed", StringComparison.Ordinal));
        await Eventually.Equal("connections", 0, LiveAsync);
    }

    [Fact]
    public async Task One_whose_next_actor_cannot_be_made_is_closed()
    {
        Life life = new() { ConstructorsThatThrow = int.MaxValue };
        Listener listener = await _server.ListenAsync(() => new Liner(life), Restartable());
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync("a\nfail\n");

        Assert.Equal("a\n", await ReceiveUntilEndAsync(peer));
        await Eventually.Equal("connections", 0, LiveAsync);
    }

    [Fact]
    public async Task The_end_of_the_peer_is_told_to_the_next_actor_if_the_first_failed_over_it()
    {
        Life life = new() { FailsOverTheEnd = true };
        using Peer peer = await OpenAsync(life);
        await peer.SendAsync("a\n");
        Assert.Equal("a\n", await peer.ReceiveTextAsync(2));

        peer.CloseWrite();

        Assert.Empty(await ReceiveUntilEndAsync(peer));
        await Eventually.True("the end", () => life.Events.Contains("closed: Peer "));
        Assert.Equal(2, life.Actors.Count);
    }

    [Fact]
    public async Task A_reset_between_the_failure_and_the_restart_is_told_once()
    {
        for (int round = 0; round < StressScale.Rounds(50); round++)
        {
            Life life = new();
            Peer peer = await OpenAsync(life);
            PID pid = await life.Pid.Soon();
            _server.System.Root.Send(pid, "fail");
            peer.Reset();
            await Eventually.True("the end", () => life.Events.Any(static what => what.StartsWith("closed: Reset", StringComparison.Ordinal)));
            Assert.Single(life.Events, static what => what.StartsWith("closed", StringComparison.Ordinal));
        }

        await Eventually.Equal("connections", 0, LiveAsync);
    }

    [Fact]
    public async Task A_restart_and_a_move_cross_and_nothing_is_lost()
    {
        Life life = new();
        Listener listener = await _server.ListenAsync(() => new Liner(life), Restartable(max: 1_000_000));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID pid = await life.Pid.Soon();
        int rounds = StressScale.Rounds(300);
        for (int round = 0; round < rounds; round++)
        {
            _server.System.Root.Send(pid, new MoveConnection(_server.NetPoll.Pollers[round % 2]));
            await peer.SendAsync($"fail\n{round}\n");
            if (round % 2 == 0)
            {
                _server.System.Root.Send(pid, "fail");
            }

            string line = round.ToString(CultureInfo.InvariantCulture) + "\n";
            Assert.Equal(line, await peer.ReceiveTextAsync(line.Length));
        }

        await Eventually.True("restarts", () => life.Actors.Count >= rounds + 1);
    }

    [Fact]
    public async Task Without_a_policy_the_connection_is_closed()
    {
        Life life = new();
        Listener listener = await _server.ListenAsync(() => new Liner(life));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync("a\nfail\nb\n");

        Assert.Equal("a\n", await ReceiveUntilEndAsync(peer));
        await Eventually.Equal("what happened", "connected|closed: Error fail", () => string.Join('|', life.Events));
        Assert.Equal(100, Assert.Single(_server.Log.Errors).Id);
    }

    [Fact]
    public async Task A_connection_that_a_plain_actor_handles_lives_on_when_that_one_is_restarted()
    {
        Life life = new();
        PID handler = _server.System.Root.Spawn(Props.FromProducer(() => new PlainHandler(life)));
        Listener listener = await _server.NetPoll.ListenAsync("plain", new IPEndPoint(IPAddress.Loopback, 0), handler).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("a");
        Assert.Equal("a", await peer.ReceiveTextAsync(1));

        _server.System.Root.Send(handler, "fail");
        await Eventually.Equal("actors", 2, () => life.Actors.Count);
        await peer.SendAsync("b");

        Assert.Equal("b", await peer.ReceiveTextAsync(1));
    }

    [Theory]
    [InlineData(0, 60)]
    [InlineData(1, 0)]
    public async Task A_policy_out_of_its_range_is_refused(int max, int seconds)
    {
        ConnectionOptions options = new() { Restart = new RestartPolicy { MaxRestarts = max, Within = TimeSpan.FromSeconds(seconds) } };
        ArgumentException exception = await Assert.ThrowsAsync<ArgumentException>(() => _server.ListenAsync(new ConnectionScript(), options));
        Assert.Contains(nameof(RestartPolicy), exception.Message, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static ConnectionOptions Restartable(int max = 100) =>
        new() { Restart = new RestartPolicy { MaxRestarts = max, Within = Timeout.InfiniteTimeSpan }, LingerTimeout = TimeSpan.Zero };

    // A reset is an end, too.
    private static async Task<string> ReceiveUntilEndAsync(Peer peer)
    {
        StringBuilder text = new();
        byte[] buffer = new byte[4096];
        try
        {
            int count;
            while ((count = await peer.Socket.ReceiveAsync(buffer.AsMemory(), TestContext.Current.CancellationToken).Soon()) > 0)
            {
                text.Append(Encoding.ASCII.GetString(buffer, 0, count));
            }
        }
        catch (System.Net.Sockets.SocketException)
        {
        }

        return text.ToString();
    }

    private async Task<Peer> OpenAsync(Life life)
    {
        Listener listener = await _server.ListenAsync(() => new Liner(life), Restartable());
        return await Peer.ConnectAsync(listener.EndPoint);
    }

    private Task<long> LiveAsync() => Task.FromResult(_server.NetPoll.Connections.Live);

    /// <summary>What the actors of one connection have in common.</summary>
    private sealed class Life
    {
        private readonly TaskCompletionSource<PID> _pid = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ConcurrentQueue<object> Actors { get; } = new();

        public ConcurrentQueue<string> Events { get; } = new();

        public Task<PID> Pid => _pid.Task;

        public int ConstructorsThatThrow { get; init; }

        public bool FailsOverTheEnd { get; init; }

        public void Begins(PID pid) => _pid.TrySetResult(pid);
    }

    /// <summary>Says lines again, and fails when it is told to.</summary>
    private sealed class Liner : LineConnectionActor
    {
        private readonly Life _life;

        public Liner(Life life)
        {
            _life = life;
            if (!life.Actors.IsEmpty && life.Actors.Count <= life.ConstructorsThatThrow)
            {
                throw new InvalidOperationException("no other one");
            }

            life.Actors.Enqueue(this);
        }

        protected override void OnConnected()
        {
            _life.Events.Enqueue("connected");
            _life.Begins(Context.Self);
        }

        protected override void OnRestarted(Exception failure) => _life.Events.Enqueue($"restarted by {failure.Message}");

        protected override async Task OnMessage(object message)
        {
            switch (message)
            {
                case int size:
                    Send(Encoding.ASCII.GetBytes(new string('x', size)));
                    break;
                case "fail":
                    await Task.Yield();
                    throw new InvalidOperationException("fail");
                default:
                    SendFrame(Encoding.ASCII.GetBytes((string)message));
                    break;
            }
        }

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            if (line.SequenceEqual("fail"u8))
            {
                throw new InvalidOperationException("fail");
            }

            if (line.SequenceEqual("fail later"u8))
            {
                return LaterAsync();
            }

            SendFrame(line);
            return Task.CompletedTask;

            static async Task LaterAsync()
            {
                await Task.Yield();
                throw new InvalidOperationException("later");
            }
        }

        protected override void OnPeerClosed()
        {
            if (_life is { FailsOverTheEnd: true, Actors.Count: 1 })
            {
                throw new InvalidOperationException("the end");
            }

            base.OnPeerClosed();
        }

        protected override void OnWritesSuspended() => _life.Events.Enqueue("writes suspended");

        protected override void OnClosed(ConnectionClosed closed) => _life.Events.Enqueue($"closed: {closed.Reason} {(closed.Reason == CloseReason.Error ? closed.Exception!.Message : string.Empty)}");
    }

    /// <summary>Says bytes again, and fails when it is told to.</summary>
    private sealed class PlainHandler : IActor
    {
        public PlainHandler(Life life) => life.Actors.Enqueue(this);

        public Task ReceiveAsync(IContext context)
        {
            switch (context.Message)
            {
                case Received received:
                    context.Send(received.Connection, new Write(received.Bytes));
                    break;
                case "fail":
                    throw new InvalidOperationException("fail");
            }

            return Task.CompletedTask;
        }
    }
}
