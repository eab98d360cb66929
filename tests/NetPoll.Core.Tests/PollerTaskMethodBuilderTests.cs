using System.Net.Sockets;
using System.Runtime.CompilerServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Methods that <see cref="PollerTaskMethodBuilder"/> builds: as those of the runtime, without the execution context.</summary>
public sealed class PollerTaskMethodBuilderTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static readonly AsyncLocal<string?> Local = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void A_method_that_waits_for_nothing_is_done_when_it_returns()
    {
        bool ran = false;

        Task task = RunAsync(Task.CompletedTask, () => ran = true);

        Assert.True(task.IsCompletedSuccessfully);
        Assert.True(ran);
    }

    [Fact]
    public async Task A_method_that_waits_is_done_when_what_it_waits_for_is()
    {
        TaskCompletionSource source = new();
        bool ran = false;

        Task task = RunAsync(source.Task, () => ran = true);
        Assert.False(task.IsCompleted);
        Assert.False(ran);
        source.SetResult();

        await task.WaitAsync(Limit, Cancellation);
        Assert.True(ran);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_the_method_throws_is_its_task_s(bool waits)
    {
        TaskCompletionSource source = new();
        if (!waits)
        {
            source.SetResult();
        }

        Task task = RunAsync(source.Task, static () => throw new FormatException("by the test"));
        Assert.Equal(!waits, task.IsFaulted);
        source.TrySetResult();

        FormatException failure = await Assert.ThrowsAsync<FormatException>(() => task.WaitAsync(Limit, Cancellation));
        Assert.Equal("by the test", failure.Message);
        Assert.True(task.IsFaulted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_method_that_is_cancelled_has_a_cancelled_task(bool waits)
    {
        using CancellationTokenSource cancelling = new();
        await using ScriptedPoller world = new();
        NetFd fd = world.Open(new ScriptedSocket());
        if (!waits)
        {
            await cancelling.CancelAsync();
        }

        Task task = ReadAsync(fd, cancelling.Token);
        Assert.Equal(!waits, task.IsCompleted);
        await cancelling.CancelAsync();

        OperationCanceledException failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task.WaitAsync(Limit, Cancellation));
        Assert.Equal(cancelling.Token, failure.CancellationToken);
        Assert.True(task.IsCanceled);
    }

    [Fact]
    public async Task A_method_on_a_poller_goes_on_there()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        List<Thread> threads = [];
        Task done = world.Poller.RunAsync(() => WalkAsync(fd, threads));
        await Deliver(world, socket);

        await done.WaitAsync(Limit, Cancellation);

        Thread thread = await world.Poller.RunAsync(static () => Task.FromResult(Thread.CurrentThread));
        Assert.Equal([thread, thread, thread, thread, thread], threads);
    }

    [Fact]
    public async Task A_method_on_the_thread_pool_needs_no_poller()
    {
        List<Thread> threads = [];

        await Task.Run(() => WalkAsync(null, threads), Cancellation).WaitAsync(Limit, Cancellation);

        Assert.Equal(4, threads.Count);
        Assert.All(threads, static thread => Assert.True(thread.IsThreadPoolThread));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_value_that_the_method_sets_is_gone_after_its_await_and_never_the_caller_s(bool isOnPoller)
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        List<string?> seen = [];
        TaskCompletionSource called = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Func<Task> call = async () =>
        {
            Local.Value = "the caller's";
            Task task = SetAsync(fd, seen);
            seen.Add(Local.Value);
            called.SetResult();
            await task;
            seen.Add(Local.Value);
        };
        Task done = isOnPoller ? world.Poller.RunAsync(call) : Task.Run(call, Cancellation);
        await called.Task.WaitAsync(Limit, Cancellation);
        await Deliver(world, socket);

        await done.WaitAsync(Limit, Cancellation);

        Assert.Equal(["the caller's", "the method's", "the caller's", null, "the caller's"], seen);
    }

    [Fact]
    public async Task Calls_of_the_same_method_at_once_are_each_for_itself()
    {
        const int Calls = 5;
        await using ScriptedPoller world = new();
        ScriptedSocket[] sockets = [.. Enumerable.Range(0, Calls).Select(static _ => new ScriptedSocket())];
        NetFd[] fds = [.. sockets.Select(world.Open)];
        int[] sums = new int[Calls];
        Task[] calls = [.. fds.Select((fd, index) => world.Poller.RunAsync(() => SumAsync(fd, sums, index)))];

        // Each time in another order.
        for (byte round = 1; round <= 3; round++)
        {
            for (int step = 0; step < Calls; step++)
            {
                int index = step * (round + 1) % Calls;
                await Eventually.True("the read waits", () => fds[index].Descriptor.HasReader);
                sockets[index].ThenReads((byte)(round * (index + 1)));
                world.Backend.Inject(sockets[index], PollEventFlags.Read);
            }
        }

        await Task.WhenAll(calls).WaitAsync(Limit, Cancellation);
        Assert.Equal([6, 12, 18, 24, 30], sums);
    }

    [Fact]
    public async Task A_method_may_call_itself()
    {
        await using ScriptedPoller world = new();
        List<int> depths = [];

        await world.Poller.RunAsync(() => DescendAsync(10, depths)).WaitAsync(Limit, Cancellation);

        Assert.Equal(Enumerable.Range(0, 11), depths);
    }

    [Fact]
    public async Task NP021_Awaited_echoes_allocate_nothing_on_the_poller()
    {
        const int WarmUp = 5_000;
        await using Loopback pair = await Loopback.ConnectAsync();
        int rounds = StressScale.Rounds(20_000);
        long allocated = -1;
        Task echo = pair.Poller.RunAsync(() => EchoAsync(pair.Connection, WarmUp, rounds, bytes => allocated = bytes));

        byte[] message = new byte[16];
        for (int round = 0; round < WarmUp + rounds; round++)
        {
            pair.Peer.Send(message);
            for (int received = 0; received < message.Length;)
            {
                received += pair.Peer.Receive(message, received, message.Length - received, SocketFlags.None);
            }
        }

        await echo.WaitAsync(Limit, Cancellation);
        Assert.Equal(0, allocated);

        // They really waited: nearly every message came with an event of its own.
        Assert.True(pair.Poller.Snapshot().EventsReturned > rounds / 2);
    }

    [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
    private static async Task RunAsync(Task task, Action then)
    {
        await task;
        then();
    }

    [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
    private static async Task ReadAsync(NetFd fd, CancellationToken cancellation) => await fd.ReadAsync(new byte[1], cancellation);

    [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
    private static async Task WalkAsync(NetFd? fd, List<Thread> threads)
    {
        threads.Add(Thread.CurrentThread);
        await Task.Yield();
        threads.Add(Thread.CurrentThread);
        await Task.Delay(1);
        threads.Add(Thread.CurrentThread);
        await Task.Run(static () => { });
        threads.Add(Thread.CurrentThread);
        if (fd is not null)
        {
            await fd.ReadAsync(new byte[1]);
            threads.Add(Thread.CurrentThread);
        }
    }

    [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
    private static async Task SetAsync(NetFd fd, List<string?> seen)
    {
        seen.Add(Local.Value);
        Local.Value = "the method's";
        seen.Add(Local.Value);
        await fd.ReadAsync(new byte[1]);
        seen.Add(Local.Value);
    }

    [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
    private static async Task SumAsync(NetFd fd, int[] sums, int index)
    {
        byte[] buffer = new byte[1];
        int sum = 0;
        for (int round = 0; round < 3; round++)
        {
            await fd.ReadAsync(buffer);
            sum += buffer[0];
        }

        sums[index] = sum;
    }

    [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
    private static async Task DescendAsync(int depth, List<int> depths)
    {
        await Task.Yield();
        if (depth > 0)
        {
            await DescendAsync(depth - 1, depths);
        }

        depths.Add(depth);
    }

    [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
    private static async Task EchoAsync(NetConnection connection, int warmUp, int rounds, Action<long> tell)
    {
        byte[] buffer = new byte[64];
        AllocationCounter counter = default;
        for (int round = 0; round < warmUp + rounds; round++)
        {
            if (round == warmUp)
            {
                counter = AllocationCounter.Start();
            }

            int count = await connection.ReadAsync(buffer);
            await connection.WriteAsync(buffer.AsMemory(0, count));
        }

        tell(counter.Bytes);
    }

    private static async Task Deliver(ScriptedPoller world, ScriptedSocket socket)
    {
        await Eventually.True("the read waits", () => world.Poller.Snapshot().ReadersParked == 1);
        socket.ThenReads(1);
        world.Backend.Inject(socket, PollEventFlags.Read);
    }
}
