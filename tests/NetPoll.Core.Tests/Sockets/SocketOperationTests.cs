// How the awaitable is used and misused by hand is the subject.
#pragma warning disable CA2012, xUnit1031

using System.Runtime.CompilerServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>Where the code after an awaited operation runs, and what the awaitable refuses.</summary>
public sealed class SocketOperationTests : IAsyncDisposable
{
    private readonly ScriptedPoller _world = new();
    private readonly ScriptedSocket _socket = new();
    private readonly NetFd _fd;

    public SocketOperationTests() => _fd = _world.Open(_socket);

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_awaited_on_the_poller_goes_on_there(bool continueOnCapturedContext)
    {
        Task done = _world.Poller.RunAsync(async () =>
        {
            Thread thread = Thread.CurrentThread;
            await _fd.ReadAsync(new byte[1]).ConfigureAwait(continueOnCapturedContext);
            Assert.Same(thread, Thread.CurrentThread);
        });
        await _world.Asleep();
        Deliver();

        await done;
    }

    [Fact]
    public async Task What_was_awaited_elsewhere_goes_on_on_the_thread_pool()
    {
        Task done = Task.Run(
            async () =>
            {
                await _fd.ReadAsync(new byte[1]);
                Assert.True(Thread.CurrentThread.IsThreadPoolThread);
                Assert.Null(Poller.Current);
            },
            TestContext.Current.CancellationToken);
        await Eventually.True("the read waits", () => _world.Poller.Snapshot().ReadersParked == 1);
        Deliver();

        await done;
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 1)]
    public async Task What_was_awaited_under_a_context_goes_on_there_if_it_wants_to(bool continueOnCapturedContext, int posts)
    {
        CountingContext context = new();
        Task done = Task.Run(
            async () =>
            {
                SynchronizationContext.SetSynchronizationContext(context);
                await _fd.ReadAsync(new byte[1]).ConfigureAwait(continueOnCapturedContext);
                Assert.Null(Poller.Current);
            },
            TestContext.Current.CancellationToken);
        await Eventually.True("the read waits", () => _world.Poller.Snapshot().ReadersParked == 1);
        Deliver();

        await done;
        Assert.Equal(posts, context.Posts);
    }

    [Fact]
    public async Task What_was_awaited_under_a_scheduler_goes_on_there()
    {
        TaskScheduler scheduler = new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
        Task done = Task.Factory.StartNew(
            async () =>
            {
                await _fd.ReadAsync(new byte[1]);
                Assert.Same(scheduler, TaskScheduler.Current);
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.None,
            scheduler).Unwrap();
        await Eventually.True("the read waits", () => _world.Poller.Snapshot().ReadersParked == 1);
        Deliver();

        await done;
    }

    [Fact]
    public async Task A_registered_callback_sees_the_values_of_its_registration()
    {
        AsyncLocal<int> local = new() { Value = 42 };
        TaskCompletionSource<int> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ValueTaskAwaiter<int> awaiter = _fd.ReadAsync(new byte[1]).GetAwaiter();
        awaiter.OnCompleted(() =>
        {
            awaiter.GetResult();
            seen.SetResult(local.Value);
        });
        local.Value = 0;
        Deliver();

        Assert.Equal(42, await seen.Task);
    }

    [Fact]
    public async Task A_result_that_came_before_anybody_awaited_is_there_at_once()
    {
        ValueTask<int> read = _fd.ReadAsync(new byte[1]);
        Assert.False(read.IsCompleted);
        Deliver();
        await Eventually.True("the read is done", () => _socket.ReadCalls == 2 && _world.Backend.IsAsleep);

        Assert.True(read.IsCompletedSuccessfully);
        Assert.Equal(1, await read);
    }

    [Fact]
    public async Task A_result_that_came_between_the_question_and_the_registration_is_told_once()
    {
        ValueTaskAwaiter<int> awaiter = _fd.ReadAsync(new byte[1]).GetAwaiter();
        Assert.False(awaiter.IsCompleted);
        Deliver();
        await Eventually.True("the read is done", () => _socket.ReadCalls == 2 && _world.Backend.IsAsleep);
        TaskCompletionSource<int> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int registering = Environment.CurrentManagedThreadId;
        bool isInside = true;
        bool ranInside = false;

        awaiter.UnsafeOnCompleted(() =>
        {
            ranInside = isInside && Environment.CurrentManagedThreadId == registering;
            seen.SetResult(awaiter.GetResult());
        });
        isInside = false;

        Assert.Equal(1, await seen.Task);
        Assert.False(ranInside);
    }

    [Fact]
    public async Task Asking_for_the_result_too_early_or_twice_is_refused()
    {
        ValueTask<int> read = _fd.ReadAsync(new byte[1]);
        Assert.Throws<InvalidOperationException>(() => read.GetAwaiter().GetResult());
        Deliver();
        await Eventually.True("the read is done", () => read.IsCompleted);
        Assert.Equal(1, read.GetAwaiter().GetResult());

        Assert.Throws<InvalidOperationException>(() => read.GetAwaiter().GetResult());
        Assert.Throws<InvalidOperationException>(() => read.IsCompleted);
    }

    [Fact]
    public async Task Awaiting_twice_is_refused_and_leaves_the_first_alone()
    {
        ValueTask<int> read = _fd.ReadAsync(new byte[1]);
        TaskCompletionSource<int> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ValueTaskAwaiter<int> first = read.GetAwaiter();
        first.UnsafeOnCompleted(() => seen.SetResult(first.GetResult()));

        Assert.Throws<InvalidOperationException>(() => read.GetAwaiter().UnsafeOnCompleted(static () => { }));

        Deliver();
        Assert.Equal(1, await seen.Task);
    }

    [Fact]
    public async Task A_new_operation_may_begin_before_the_last_result_was_taken()
    {
        ValueTask<int> first = _fd.ReadAsync(new byte[1]);
        Deliver();
        await Eventually.True("the first read is done", () => first.IsCompleted);

        ValueTask<int> second = _fd.ReadAsync(new byte[1]);
        Assert.False(second.IsCompleted);
        Assert.Equal(1, await first);
        Deliver();
        Assert.Equal(1, await second);
    }

    [Fact]
    public async Task NP021_Waiting_operations_on_the_poller_allocate_nothing()
    {
        byte[] buffer = new byte[8];
        bool wouldBlock = true;
        _socket.DefaultRead = _ =>
        {
            wouldBlock = !wouldBlock;
            return wouldBlock ? IoResult.Failure(ScriptedSocket.WouldBlock) : IoResult.Bytes(8);
        };

        long bytes = await _world.Poller.RunAsync(async () =>
        {
            AllocationCounter counter = default;
            for (int round = 0; round < 2_000 + StressScale.Rounds(20_000); round++)
            {
                if (round == 2_000)
                {
                    counter = AllocationCounter.Start();
                }

                wouldBlock = false;
                ValueTask<int> read = _fd.ReadAsync(buffer);
                _world.Backend.Inject(_socket, PollEventFlags.Read);
                await read;
            }

            return counter.Bytes;
        });

        Assert.Equal(0, bytes);
    }

    private void Deliver()
    {
        _socket.ThenReads(1);
        _world.Backend.Inject(_socket, PollEventFlags.Read | PollEventFlags.Write);
    }

    private sealed class CountingContext : SynchronizationContext
    {
        private int _posts;

        internal int Posts => Volatile.Read(ref _posts);

        public override void Post(SendOrPostCallback d, object? state)
        {
            Interlocked.Increment(ref _posts);
            base.Post(d, state);
        }
    }
}
