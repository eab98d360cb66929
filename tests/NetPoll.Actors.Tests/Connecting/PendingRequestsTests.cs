using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connecting;

/// <summary>Request and reply over a connection: each request has exactly one outcome.</summary>
public sealed class PendingRequestsTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;
    private readonly ConnectionScript _peer = new();

    public PendingRequestsTests() => _server = new TestServer(options: new PollerOptions { TimeProvider = _time });

    [Theory]
    [InlineData(ConnectionScheduling.Poller)]
    [InlineData(ConnectionScheduling.ThreadPool)]
    public async Task Replies_in_any_order_go_to_whoever_asked(ConnectionScheduling scheduling)
    {
        (Client client, ScriptedConnection server) = await ConnectAsync(scheduling);
        Task<string> first = _server.Ask<string>(client.Pid, new Ask("a"));
        Task<string> second = _server.Ask<string>(client.Pid, new Ask("b"));
        Task<string> third = client.AskAsync("c");
        await Eventually.Equal("requests that came", 3, () => Requests(server).Length);

        foreach (string request in Requests(server).Reverse())
        {
            string[] words = request.Split(' ');
            await server.Do(self => self.Send(Encoding.UTF8.GetBytes($"{words[0]} re-{words[1]}\n")));
        }

        Assert.Equal(["re-a", "re-b", "re-c"], await Task.WhenAll(first, second, third.Soon()));
        Assert.Equal(0, await client.CountAsync());
    }

    [Theory]
    [InlineData(ConnectionScheduling.Poller)]
    [InlineData(ConnectionScheduling.ThreadPool)]
    public async Task A_request_without_a_reply_ends_in_time_and_a_late_reply_is_nobody_s(ConnectionScheduling scheduling)
    {
        (Client client, ScriptedConnection server) = await ConnectAsync(scheduling);
        Task<string> task = client.AskAsync("a", TimeSpan.FromSeconds(5));
        Task<object> asked = _server.Ask<object>(client.Pid, new Ask("b", TimeSpan.FromSeconds(5)));
        Task<string> patient = client.AskAsync("c", Timeout.InfiniteTimeSpan);
        Assert.Equal(3, await client.CountAsync());

        _time.Advance(TimeSpan.FromSeconds(5) - TimeSpan.FromMilliseconds(1));
        Assert.Equal(3, await client.CountAsync());
        Assert.False(task.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(2));

        DeadlineExceededException exception = await Assert.ThrowsAsync<DeadlineExceededException>(() => task.Soon());
        Assert.Contains("Request 1 to 127.0.0.1", exception.Message, StringComparison.Ordinal);
        Assert.Contains("00:00:05", exception.Message, StringComparison.Ordinal);
        RequestFailed failed = Assert.IsType<RequestFailed>(await asked);
        Assert.Equal(2, failed.Key);
        Assert.IsType<DeadlineExceededException>(failed.Exception);
        Assert.Equal(1, await client.CountAsync());
        await server.Do(static self => self.Send("1 late\n3 in time\n"u8));
        Assert.Equal("in time", await patient.Soon());
        Assert.Equal(["1 late"], client.Unasked);
    }

    [Fact]
    public async Task The_longest_time_is_as_good_as_for_ever()
    {
        (Client client, ScriptedConnection server) = await ConnectAsync();
        Task<string> patient = client.AskAsync("a", TimeSpan.MaxValue);
        Task<object> asked = _server.Ask<object>(client.Pid, new Ask("b", TimeSpan.MaxValue));
        Assert.Equal(2, await client.CountAsync());

        _time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(2, await client.CountAsync());
        await server.Do(static self => self.Send("1 late\n2 as well\n"u8));

        Assert.Equal("late", await patient.Soon());
        Assert.Equal("as well", await asked);
    }

    [Theory]
    [InlineData(false, ConnectionScheduling.Poller)]
    [InlineData(true, ConnectionScheduling.Poller)]
    [InlineData(false, ConnectionScheduling.ThreadPool)]
    [InlineData(true, ConnectionScheduling.ThreadPool)]
    public async Task When_the_connection_ends_all_fail_at_once_and_later_ones_too(bool isReset, ConnectionScheduling scheduling)
    {
        (Client client, ScriptedConnection server) = await ConnectAsync(scheduling);
        Task<string>[] tasks = [client.AskAsync("a"), client.AskAsync("b", Timeout.InfiniteTimeSpan)];
        Task<object> asked = _server.Ask<object>(client.Pid, new Ask("c"));
        await Eventually.Equal("requests that came", 3, () => Requests(server).Length);

        await server.Do(self =>
        {
            if (isReset)
            {
                self.Abort();
            }
            else
            {
                self.Close();
            }
        });

        foreach (Task<string> task in tasks)
        {
            IOException exception = await Assert.ThrowsAsync<IOException>(() => task.Soon());
            Assert.Contains(isReset ? "ended (Reset)" : "ended (Peer)", exception.Message, StringComparison.Ordinal);
        }

        Assert.IsType<IOException>(Assert.IsType<RequestFailed>(await asked).Exception);
        Assert.IsType<IOException>(await client.LateFailure.Soon());
    }

    [Fact]
    public async Task A_handler_may_fail_a_request_itself()
    {
        (Client client, ScriptedConnection server) = await ConnectAsync();
        Task<string> task = client.AskAsync("a");

        await server.Do(static self => self.Send("1 !no such thing\n"u8));

        Assert.Equal("no such thing", (await Assert.ThrowsAsync<FormatException>(() => task.Soon())).Message);
    }

    [Fact]
    public async Task A_key_in_use_a_foreign_thread_and_a_timeout_of_zero_are_refused()
    {
        (Client client, _) = await ConnectAsync();
        _ = client.AskAsync("a");

        InvalidOperationException twice = await Assert.ThrowsAsync<InvalidOperationException>(() => client.RunAsync(static self => self.Pending.Add(1, TimeSpan.FromSeconds(1))));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.RunAsync(static self => self.Pending.Add(9, TimeSpan.Zero)));
        await Assert.ThrowsAsync<InvalidOperationException>(() => client.Pending.Add(10, TimeSpan.FromSeconds(1)));

        Assert.Contains("key 1", twice.Message, StringComparison.Ordinal);
        Assert.Equal(1, await client.CountAsync());
    }

    [Theory]
    [InlineData(ConnectionScheduling.Poller)]
    [InlineData(ConnectionScheduling.ThreadPool)]
    public async Task A_thousand_requests_each_have_one_outcome_whatever_comes_first(ConnectionScheduling scheduling)
    {
        Random random = new(Seed.Next());
        (Client client, ScriptedConnection server) = await ConnectAsync(scheduling);
        Task<string>[] tasks = [.. Enumerable.Range(0, 1000).Select(number => client.AskAsync("x", TimeSpan.FromMilliseconds(random.Next(1, 50))))];
        await Eventually.Equal("requests that came", 1000, () => Requests(server).Length);

        for (int step = 0; step < 50; step++)
        {
            string replies = string.Concat(Enumerable.Range(0, 15).Select(_ => string.Create(CultureInfo.InvariantCulture, $"{random.Next(1, 1001)} ok\n")));
            await server.Do(self => self.Send(Encoding.UTF8.GetBytes(replies)));
            if (step == 0)
            {
                await Eventually.True("a reply was in time", () => tasks.Any(static task => task.IsCompletedSuccessfully));
            }

            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        await Task.WhenAll(tasks.Select(static task => Task.WhenAny(task))).Soon();
        Assert.All(tasks, static task => Assert.True(task.IsCompletedSuccessfully || task.Exception!.InnerException is DeadlineExceededException));
        Assert.Contains(tasks, static task => task.IsCompletedSuccessfully);
        Assert.Contains(tasks, static task => task.IsFaulted);
        Assert.Equal(0, await client.CountAsync());
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static string[] Requests(ScriptedConnection server) =>
        Encoding.UTF8.GetString(server.ReceivedBytes).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private async Task<(Client Client, ScriptedConnection Server)> ConnectAsync(ConnectionScheduling scheduling = ConnectionScheduling.Poller)
    {
        TaskCompletionSource<ScriptedConnection> accepted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _peer.Connected = self => accepted.SetResult(self);
        Listener listener = await _server.ListenAsync(_peer);
        Client client = new();
        client.Pid = await _server.NetPoll.ConnectAsync(listener.EndPoint, () => client, options: new ConnectOptions { Connections = { Scheduling = scheduling } }).Soon();
        client.System = _server.System;
        return (client, await accepted.Task.Soon());
    }

    private sealed record Ask(string Text, TimeSpan? Timeout = null);

    /// <summary>A client of a protocol of lines: a number and a text, answered by the same number and a text.</summary>
    private sealed class Client : LineConnectionActor
    {
        private readonly ConcurrentQueue<string> _unasked = new();
        private readonly TaskCompletionSource<Exception> _lateFailure = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _last;

        public Client() => Pending = new PendingRequests<int, string>(this);

        public PendingRequests<int, string> Pending { get; }

        public PID Pid { get; set; } = null!;

        public ActorSystem System { get; set; } = null!;

        public string[] Unasked => [.. _unasked];

        /// <summary>The outcome of a request that was made when the connection had ended.</summary>
        public Task<Exception> LateFailure => _lateFailure.Task;

        public async Task<string> AskAsync(string text, TimeSpan? timeout = null)
        {
            Task<string> reply = await RunAsync(self => Task.FromResult(self.Pending.Add(self.Send(text), timeout ?? TimeSpan.FromSeconds(30))));
            return await reply;
        }

        public Task<int> CountAsync() => RunAsync(static self => Task.FromResult(self.Pending.Count));

        public Task<T> RunAsync<T>(Func<Client, Task<T>> code)
        {
            TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
            System.Root.Send(Pid, (Action)(() =>
            {
                try
                {
                    done.SetResult(code(this).GetAwaiter().GetResult());
                }
                catch (Exception exception)
                {
                    done.SetException(exception);
                }
            }));
            return done.Task.Soon();
        }

        protected override Task OnMessage(object message)
        {
            switch (message)
            {
                case Ask ask:
                    Pending.Add(Send(ask.Text), ask.Timeout ?? TimeSpan.FromSeconds(30), Context.Sender!);
                    break;
                case Action action:
                    action();
                    break;
            }

            return Task.CompletedTask;
        }

        protected override Task OnLine(ReadOnlySpan<byte> bytes)
        {
            string line = Encoding.UTF8.GetString(bytes);
            string[] words = line.Split(' ', 2);
            int key = int.Parse(words[0], CultureInfo.InvariantCulture);
            bool isKnown = words[1].StartsWith('!')
                ? Pending.TryFail(key, new FormatException(words[1][1..]))
                : Pending.TryComplete(key, words[1]);
            if (!isKnown)
            {
                _unasked.Enqueue(line);
            }

            return Task.CompletedTask;
        }

        protected override void OnClosed(ConnectionClosed closed) =>
            _lateFailure.SetResult(Pending.Add(int.MaxValue, TimeSpan.FromSeconds(1)).Exception!.InnerException!);

        private int Send(string text)
        {
            Send(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{++_last} {text}\n")));
            return _last;
        }
    }
}
