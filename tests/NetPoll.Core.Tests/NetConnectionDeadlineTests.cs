using System.Net.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Deadlines through real sockets, after Go's timeout_test.go. Never early is strict; late has a generous limit.</summary>
public sealed class NetConnectionDeadlineTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NP054_A_deadline_set_elsewhere_that_is_earlier_than_the_poller_s_sleep_is_met()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMinutes(10)));
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();
        long start = TimeProvider.System.GetTimestamp();

        pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(30)));

        await AssertTimesOut(read, start, TimeSpan.FromMilliseconds(30));
    }

    [Fact]
    public async Task A_deadline_that_the_poller_s_own_code_sets_is_met_however_long_its_turn_lasts()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        TaskCompletionSource<(long Start, Task<int> Read)> began = new(TaskCreationOptions.RunContinuationsAsynchronously);
        pair.Connection.Poller.Post(() =>
        {
            pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(40)));
            Assert.Equal(TimeSpan.FromMilliseconds(40), pair.Connection.TimeLeft(PollMode.Read));
            long start = TimeProvider.System.GetTimestamp();
            Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
            while (TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromMilliseconds(60))
            {
            }

            Assert.False(read.IsCompleted);
            began.SetResult((start, read));
        });

        (long start, Task<int> read) = await began.Task.WaitAsync(Limit, Cancellation);

        await AssertTimesOut(read, start, TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public async Task NP055_A_read_that_begins_after_a_past_deadline_was_set_always_fails()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        await pair.SendAsync(new byte[1024]);
        byte[] buffer = new byte[1];
        int rounds = StressScale.Rounds(20_000);
        using SemaphoreSlim isSet = new(0);
        using SemaphoreSlim isRead = new(0);
        Task setter = Task.Run(
            async () =>
            {
                for (int round = 0; round < rounds; round++)
                {
                    pair.Connection.SetReadDeadline(Deadline.None);
                    pair.Connection.SetReadDeadline(Deadline.Past);
                    isSet.Release();
                    await isRead.WaitAsync(Cancellation);
                }
            },
            Cancellation);

        for (int round = 0; round < rounds; round++)
        {
            await isSet.WaitAsync(Cancellation);
            PollResult result = pair.Connection.Fd.TryRead(buffer).Poll;
            isRead.Release();
            Assert.Equal(PollResult.DeadlineExceeded, result);
        }

        await setter;
        pair.Connection.SetReadDeadline(Deadline.None);
        Assert.Equal(1, await pair.Connection.ReadAsync(buffer));
    }

    [Fact]
    public async Task NP059_Jumps_of_the_wall_clock_do_not_move_a_deadline()
    {
        JumpingClock clock = new();
        await using Loopback pair = await Loopback.ConnectAsync(options => options.TimeProvider = clock);
        foreach (TimeSpan jump in new[] { TimeSpan.FromHours(1), TimeSpan.FromHours(-1) })
        {
            long start = TimeProvider.System.GetTimestamp();
            pair.Connection.SetReadDeadline(Deadline.At(clock.GetUtcNow() + TimeSpan.FromMilliseconds(60)));
            Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
            await pair.ReaderParked();

            clock.Offset += jump;

            // A wall clock has its own start of a tick: what it calls 60 ms may be a hair less on the monotonic one.
            await AssertTimesOut(read, start, TimeSpan.FromMilliseconds(59));
        }
    }

    [Fact]
    public async Task NP065_A_read_past_its_deadline_fails_each_time_although_data_is_there()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        await pair.SendAsync(new byte[17]);
        pair.Connection.SetReadDeadline(Deadline.At(TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(5)));

        for (int time = 0; time < 2; time++)
        {
            DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(
                async () => await pair.Connection.ReadAsync(new byte[1]));
            Assert.True(failure.IsTransient);
            Assert.Equal(0, failure.BytesTransferred);
        }

        pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(50)));
        int succeeded = 0;
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (true)
            {
                Assert.Equal(1, await pair.Connection.ReadAsync(new byte[1]));
                succeeded++;
                await Task.Delay(50 / 3, Cancellation);
            }
        });
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await pair.Connection.ReadAsync(new byte[1]));

        // What timed out has consumed nothing.
        await pair.SendAsync(new byte[1]);
        pair.Connection.SetReadDeadline(Deadline.None);
        while (succeeded < 18)
        {
            succeeded += await pair.Connection.ReadAsync(new byte[32]).AsTask().WaitAsync(Limit, Cancellation);
        }

        Assert.Equal(18, succeeded);
    }

    [Fact]
    public async Task NP066_A_read_deadline_that_was_taken_back_does_not_end_a_read()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetDeadline(Deadline.Past);
        pair.Connection.SetWriteDeadline(Deadline.Past);
        pair.Connection.SetReadDeadline(Deadline.None);
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();

        await Task.Delay(100, Cancellation);
        Assert.False(read.IsCompleted);
        await pair.Connection.CloseAsync();

        Exception failure = await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(Limit, Cancellation));
        Assert.IsNotAssignableFrom<TimeoutException>(failure);
    }

    [Fact]
    public async Task NP068_A_write_past_its_deadline_fails_each_time_although_there_is_room()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetWriteDeadline(Deadline.At(TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(5)));

        for (int time = 0; time < 2; time++)
        {
            DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(
                async () => await pair.Connection.WriteAsync(new byte[1]));
            Assert.Equal(0, failure.BytesTransferred);
        }

        pair.Connection.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(10)));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (true)
            {
                await pair.Connection.WriteAsync(new byte[1]);
                await Task.Delay(3, Cancellation);
            }
        });
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await pair.Connection.WriteAsync(new byte[1]));
    }

    [Fact]
    public async Task NP069_A_write_deadline_that_was_taken_back_does_not_end_a_write()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetDeadline(Deadline.Past);
        pair.Connection.SetReadDeadline(Deadline.Past);
        pair.Connection.SetWriteDeadline(Deadline.None);
        Task write = Task.Run(
            async () =>
            {
                byte[] chunk = new byte[1000];
                while (true)
                {
                    await pair.Connection.WriteAsync(chunk);
                }
            },
            Cancellation);
        await pair.WriterParked();

        await Task.Delay(100, Cancellation);
        Assert.False(write.IsCompleted);
        await pair.Connection.CloseAsync();

        Exception failure = await Assert.ThrowsAsync<ObjectDisposedException>(() => write.WaitAsync(Limit, Cancellation));
        Assert.IsNotAssignableFrom<TimeoutException>(failure);
    }

    [Fact]
    public async Task NP071_Reads_and_writes_that_get_nowhere_end_at_their_deadline_and_not_before()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        for (int round = 0; round < StressScale.Rounds(3); round++)
        {
            long start = TimeProvider.System.GetTimestamp();
            pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(100)));
            await AssertTimesOut(pair.Connection.ReadAsync(new byte[1]).AsTask(), start, TimeSpan.FromMilliseconds(100));

            start = TimeProvider.System.GetTimestamp();
            pair.Connection.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(100)));
            await AssertTimesOut(pair.Connection.WriteAsync(new byte[64 * 1024 * 1024]).AsTask(), start, TimeSpan.FromMilliseconds(100));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task NP072_Neither_a_silent_peer_nor_one_that_writes_without_end_outlasts_a_deadline(int pollers)
    {
        // A flood takes a core for as long as its deadlines last together, so on a busy machine less of it proves as much.
        int times = StressScale.Rounds(1);
        long longest = times > 1 ? 1_000_000_000 : 100_000_000;
        await using NetListenerFixture fixture = new(pollers);
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        List<Loopback> pairs = [];
        List<Task> feeds = [];
        List<Task> reads = [];
        foreach (bool isBusy in new[] { false, true })
        {
            foreach (bool onPoller in new[] { false, true })
            {
                for (int time = 0; time < times; time++)
                {
                    Loopback pair = await Loopback.ConnectAsync(fixture.Listener);
                    pairs.Add(pair);
                    if (isBusy)
                    {
                        feeds.Add(Task.Run(() => FeedAsync(pair, over.Token), Cancellation));
                    }

                    reads.Add(onPoller ? pair.Poller.RunAsync(() => ReadAsync(pair)) : Task.Run(() => ReadAsync(pair), Cancellation));
                }
            }
        }

        await Task.WhenAll(reads).WaitAsync(2 * Limit, Cancellation);
        await over.CancelAsync();
        await Task.WhenAll(feeds).WaitAsync(Limit, Cancellation);
        foreach (Loopback pair in pairs)
        {
            await pair.DisposeAsync();
        }

        static async Task FeedAsync(Loopback pair, CancellationToken over)
        {
            byte[] chunk = new byte[16 * 1024];
            try
            {
                while (true)
                {
                    await pair.Peer.SendAsync(chunk, SocketFlags.None, over);
                }
            }
            catch (OperationCanceledException)
            {
                // The readers have finished.
            }
        }

        async Task ReadAsync(Loopback pair)
        {
            byte[] buffer = new byte[1024];
            long[] nanoseconds =
            [
                1, 2, 5, 50, 100, 200, 500, 750, 1_000, 5_000, 25_000, 250_000, 500_000,
                1_000_000, 5_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000,
            ];
            foreach (long length in nanoseconds.Where(length => length <= longest))
            {
                // A TimeSpan counts in steps of 100 ns.
                TimeSpan timeout = TimeSpan.FromTicks((length + 99) / 100);
                long start = TimeProvider.System.GetTimestamp();
                pair.Connection.SetReadDeadline(Deadline.After(timeout));
                await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
                {
                    while (true)
                    {
                        Assert.NotEqual(0, await pair.Connection.ReadAsync(buffer));
                    }
                });
                Assert.True(TimeProvider.System.GetElapsedTime(start) >= timeout, $"A deadline of {length} ns ended before its time.");
            }
        }
    }

    [Fact]
    public async Task NP073_Deadlines_that_are_always_far_away_never_come()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        int rounds = StressScale.Rounds(1_000);
        Task echo = pair.Poller.RunAsync(async () =>
        {
            byte[] buffer = new byte[1];
            for (int round = 0; round < rounds; round++)
            {
                pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromHours(1)));
                Assert.Equal(1, await pair.Connection.ReadAsync(buffer));
                pair.Connection.SetWriteDeadline(Deadline.After(TimeSpan.FromHours(1)));
                await pair.Connection.WriteAsync(buffer);
            }
        });
        byte[] own = new byte[1];

        for (int round = 0; round < rounds; round++)
        {
            await pair.SendAsync(new byte[] { (byte)round });
            Assert.Equal(1, await pair.Peer.ReceiveAsync(own, SocketFlags.None, Cancellation));
            Assert.Equal((byte)round, own[0]);
        }

        await echo;
    }

    [Fact]
    public async Task NP074_Deadlines_that_are_nearly_now_race_reads_and_writes_and_all_of_them_end()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        bool isOver = false;
        Task setter = Task.Run(
            () =>
            {
                for (int round = 0; round < StressScale.Rounds(1_000); round++)
                {
                    pair.Connection.SetDeadline(Deadline.After(TimeSpan.FromMicroseconds(2)));
                }

                Volatile.Write(ref isOver, true);
            },
            Cancellation);
        Task reader = Task.Run(() => Repeat(async () => await pair.Connection.ReadAsync(new byte[1])), Cancellation);
        Task writer = Task.Run(() => Repeat(async () => await pair.Connection.WriteAsync(new byte[1])), Cancellation);
        Task drain = pair.ReceiveAllAsync();

        await Task.WhenAll(setter, reader, writer).WaitAsync(Limit, Cancellation);
        await pair.Connection.CloseAsync();
        await drain;

        async Task Repeat(Func<Task> operation)
        {
            while (!Volatile.Read(ref isOver))
            {
                Exception? failure = await Record.ExceptionAsync(operation);
                Assert.True(failure is null or DeadlineExceededException, failure?.ToString());
            }
        }
    }

    [Fact]
    public async Task NP075_Deadlines_of_many_threads_that_get_ever_earlier_leave_the_wheel_in_order()
    {
        await using NetListenerFixture fixture = new();
        List<Loopback> pairs = [];
        for (int index = 0; index < 10; index++)
        {
            pairs.Add(await Loopback.ConnectAsync(fixture.Listener));
        }

        Thread[] threads = new Thread[8];
        for (int thread = 0; thread < threads.Length; thread++)
        {
            threads[thread] = new Thread(() =>
            {
                for (int round = 0; round < StressScale.Rounds(100); round++)
                {
                    foreach (Loopback pair in pairs)
                    {
                        pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromHours(2) - TimeSpan.FromMilliseconds(round)));
                        pair.Connection.SetWriteDeadline(Deadline.After(TimeSpan.FromHours(1) - TimeSpan.FromMilliseconds(round)));
                    }
                }
            });
            threads[thread].Start();
        }

        Array.ForEach(threads, static thread => thread.Join());

        Poller poller = fixture.Group.Pollers[0];
        Assert.Equal(20, poller.Snapshot().DeadlinesArmed);
        await Eventually.Equal("each descriptor has one node", 10, () => poller.RunAsync(() => Task.FromResult(poller.Wheel.Count)).GetAwaiter().GetResult());
        foreach (Loopback pair in pairs)
        {
            await pair.DisposeAsync();
        }

        Assert.Equal(0, poller.Snapshot().DeadlinesArmed);
        Assert.Equal(0, await poller.RunAsync(() => Task.FromResult(poller.Wheel.Count)));
        Assert.Equal(0, poller.Snapshot().DeadlinesFired);
    }

    [Fact]
    public async Task NP076_A_deadline_set_to_the_past_ends_a_read_that_waits()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();

        pair.Connection.SetReadDeadline(Deadline.Past);

        await Assert.ThrowsAsync<DeadlineExceededException>(() => read.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task NP077_A_deadline_that_is_extended_while_a_read_waits_does_not_end_it()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        TimeSpan first = TimeSpan.FromMilliseconds(100);
        Task<int> read;
        while (true)
        {
            long start = TimeProvider.System.GetTimestamp();
            pair.Connection.SetReadDeadline(Deadline.After(first));
            read = pair.Connection.ReadAsync(new byte[1]).AsTask();
            pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMinutes(10)));
            if (TimeProvider.System.GetElapsedTime(start) < first)
            {
                break;
            }

            // This thread was held up for longer than the deadline, which may have come: once more.
            pair.Connection.SetReadDeadline(Deadline.Past);
            await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
        }

        await Task.Delay(2 * first, Cancellation);
        Assert.False(read.IsCompleted);
        await pair.SendAsync(new byte[1]);

        Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task NP078_A_deadline_that_is_shortened_while_a_read_waits_ends_it_at_the_new_time()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMinutes(10)));
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();
        long start = TimeProvider.System.GetTimestamp();

        await pair.Poller.RunAsync(() => pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(50))));

        await AssertTimesOut(read, start, TimeSpan.FromMilliseconds(50));
    }

    [Fact]
    public async Task NP081_The_peer_of_a_write_that_timed_out_gets_exactly_what_was_counted()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task write = pair.Connection.WriteAsync(new byte[64 * 1024 * 1024]).AsTask();
        await pair.WriterParked();

        pair.Connection.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(50)));

        DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(() => write.WaitAsync(Limit, Cancellation));
        Assert.InRange(failure.BytesTransferred, 1, (64 * 1024 * 1024) - 1);
        Task closed = pair.Connection.CloseAsync();

        Assert.Equal(failure.BytesTransferred, (await pair.ReceiveAllAsync()).Length);
        await closed;
    }

    [Fact]
    public async Task NP082_A_read_deadline_that_has_passed_leaves_everything_else_alone()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetReadDeadline(Deadline.Past);

        await pair.Connection.WriteAsync(new byte[] { 1, 2, 3 });
        pair.Connection.SetNoDelay(false);
        Assert.NotNull(pair.Connection.LocalEndPoint);
        Assert.NotNull(pair.Connection.RemoteEndPoint);
        pair.Connection.CloseWrite();

        Assert.Equal(3, (await pair.ReceiveAllAsync()).Length);
    }

    private static async Task AssertTimesOut(Task operation, long start, TimeSpan notBefore)
    {
        await Assert.ThrowsAsync<DeadlineExceededException>(() => operation.WaitAsync(Limit, Cancellation));
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= notBefore, "It ended before its deadline.");
    }

    private sealed class JumpingClock : TimeProvider
    {
        internal TimeSpan Offset { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Offset;
    }
}
