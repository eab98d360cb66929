using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>What becomes of async-local values on a poller's thread.</summary>
public sealed class PollerExecutionContextTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_runs_on_a_poller_sees_nothing_of_who_started_the_pollers(bool flows)
    {
        AsyncLocal<string?> local = new() { Value = "the starter's" };
        await using ScriptedPoller world = new(options => options.FlowExecutionContext = flows);
        local.Value = null;

        Assert.Null(await ValueSeenBy(world.Poller, local));
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(true, true)]
    [InlineData(false, true)]
    public async Task What_is_posted_sees_nothing_of_what_was_posted_before(bool flows, bool hasStopped)
    {
        AsyncLocal<string?> local = new();
        await using ScriptedPoller world = new(options => options.FlowExecutionContext = flows);
        if (hasStopped)
        {
            await world.Group.DisposeAsync();
        }

        world.Poller.Post(() => local.Value = "the first's");
        world.Poller.Post(() =>
        {
            local.Value = "the second's";
            throw new FormatException("by the test");
        });

        Assert.Null(await ValueSeenBy(world.Poller, local));
    }

    [Fact]
    public async Task What_is_posted_sees_nothing_of_who_posts_it()
    {
        AsyncLocal<string?> local = new() { Value = "the poster's" };
        await using ScriptedPoller world = new();

        Assert.Null(await ValueSeenBy(world.Poller, local));
    }

    [Fact]
    public async Task What_is_posted_sees_nothing_of_code_that_was_resumed_with_the_flow_off()
    {
        await using ScriptedPoller world = new(static options => options.FlowExecutionContext = false);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        AsyncLocal<string?> local = new();
        Task read = world.Poller.RunAsync(async () =>
        {
            await fd.ReadAsync(new byte[1]);
            local.Value = "the reader's";
        });
        await Deliver(world, socket);
        await read.WaitAsync(Limit, Cancellation);

        Assert.Null(await ValueSeenBy(world.Poller, local));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Code_that_is_resumed_sees_nothing_of_what_was_posted(bool flows)
    {
        await using ScriptedPoller world = new(options => options.FlowExecutionContext = flows);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        AsyncLocal<string?> local = new();
        Task<string?> seen = world.Poller.RunAsync(async () =>
        {
            await fd.ReadAsync(new byte[1]);
            return local.Value;
        });
        await world.Asleep();

        await world.Poller.RunAsync(() => { local.Value = "the callback's"; });
        await Deliver(world, socket);

        Assert.Null(await seen.WaitAsync(Limit, Cancellation));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_method_of_the_poller_s_builder_sees_nothing_of_what_was_posted(bool flows)
    {
        await using ScriptedPoller world = new(options => options.FlowExecutionContext = flows);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        AsyncLocal<string?> local = new();
        TaskCompletionSource<string?> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Poller.Post(() => _ = ReadAsync());
        await world.Asleep();

        await world.Poller.RunAsync(() => { local.Value = "the callback's"; });
        await Deliver(world, socket);

        Assert.Null(await seen.Task.WaitAsync(Limit, Cancellation));

        [AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
        async Task ReadAsync()
        {
            await fd.ReadAsync(new byte[1]);
            seen.SetResult(local.Value);
        }
    }

    [Fact]
    public async Task Beginning_anew_with_the_flow_off_allocates_nothing()
    {
        await using ScriptedPoller world = new(static options => options.FlowExecutionContext = false);

        long allocated = await world.Poller.RunAsync(() =>
        {
            world.Poller.ResetExecutionContext();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int round = 0; round < 1_000; round++)
            {
                world.Poller.ResetExecutionContext();
            }

            return Task.FromResult(GC.GetAllocatedBytesForCurrentThread() - before);
        });

        Assert.Equal(0, allocated);
    }

    [Fact]
    public async Task The_report_of_a_stall_sees_nothing_of_who_started_the_pollers()
    {
        AsyncLocal<string?> local = new() { Value = "the starter's" };
        ContextLog log = new(local);
        await using ScriptedPoller world = new(options =>
        {
            options.Logger = log;
            options.StallThreshold = TimeSpan.FromMilliseconds(20);
        });
        local.Value = null;
        using ManualResetEventSlim release = new();

        world.Poller.Post(() => release.Wait(Limit, CancellationToken.None));
        string? seen = await log.StallSaw.WaitAsync(Limit, Cancellation);
        release.Set();

        Assert.Null(seen);
    }

    [Fact]
    public async Task The_timer_of_a_foreign_clock_keeps_nothing_of_who_started_the_pollers()
    {
        NotingClock clock = new();

        await using ScriptedPoller world = new(options => options.TimeProvider = clock);

        Assert.True(clock.IsTimerWithoutContext);
        Assert.False(ExecutionContext.IsFlowSuppressed());
    }

    [Theory]
    [InlineData(true, "mine")]
    [InlineData(false, null)]
    public async Task Code_that_awaits_on_a_poller_gets_its_values_back_unless_the_flow_is_off(bool flows, string? expected)
    {
        await using ScriptedPoller world = new(options => options.FlowExecutionContext = flows);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        AsyncLocal<string?> local = new();
        TaskCompletionSource<string?> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Poller.Post(() => _ = ReadAsync());
        await Deliver(world, socket);

        Assert.Equal(expected, await seen.Task.WaitAsync(Limit, Cancellation));

        async Task ReadAsync()
        {
            local.Value = "mine";
            await fd.ReadAsync(new byte[1]);
            seen.SetResult(local.Value);
        }
    }

    [Fact]
    public async Task Code_elsewhere_gets_its_values_back_from_a_poller_whose_flow_is_off()
    {
        await using ScriptedPoller world = new(static options => options.FlowExecutionContext = false);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        AsyncLocal<string?> local = new() { Value = "mine" };
        ValueTask<int> read = fd.ReadAsync(new byte[1]);
        Task delivered = Deliver(world, socket);

        await read;

        Assert.Equal("mine", local.Value);
        await delivered;
    }

    private static async Task Deliver(ScriptedPoller world, ScriptedSocket socket)
    {
        await Eventually.True("the read waits", () => world.Poller.Snapshot().ReadersParked == 1);
        socket.ThenReads(1);
        world.Backend.Inject(socket, PollEventFlags.Read);
    }

    private static async Task<string?> ValueSeenBy(Poller poller, AsyncLocal<string?> local)
    {
        TaskCompletionSource<string?> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        poller.Post(() => seen.SetResult(local.Value));
        return await seen.Task.WaitAsync(Limit, Cancellation);
    }

    /// <summary>Tells what whoever reports a stall has in an async-local.</summary>
    private sealed class ContextLog(AsyncLocal<string?> local) : ILogger
    {
        private readonly TaskCompletionSource<string?> _stallSaw = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal Task<string?> StallSaw => _stallSaw.Task;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == 7)
            {
                _stallSaw.TrySetResult(local.Value);
            }
        }
    }

    private sealed class NotingClock : TimeProvider
    {
        internal bool IsTimerWithoutContext { get; private set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            IsTimerWithoutContext = ExecutionContext.Capture() is null;
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }
}
