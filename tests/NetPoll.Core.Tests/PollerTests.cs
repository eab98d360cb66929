using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>The poller's loop on a scripted system.</summary>
public sealed class PollerTests
{
    private const PollEventFlags ReadEdge = PollEventFlags.Read | PollEventFlags.Write;

    [Fact]
    public async Task NP026_An_event_for_an_earlier_tenant_is_dropped_and_counted()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket oldSocket = new();
        NetFd old = world.Open(oldSocket);
        PollToken stale = world.Backend.TokenOf(oldSocket);
        await old.CloseAsync();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        Assert.Equal(stale.Index, world.Backend.TokenOf(socket).Index);
        Task<int> read = fd.ReadAsync(new byte[1]).AsTask();

        world.Backend.Inject(new PollEvent(stale, ReadEdge | PollEventFlags.Error | PollEventFlags.ErrorOnly));
        await Eventually.True("the stale event is counted", () => world.Poller.Snapshot().StaleEvents == 1);
        await world.Asleep();

        Assert.False(read.IsCompleted);
        Assert.Equal(1, socket.ReadCalls);
        Assert.False(fd.Descriptor.Info.HasEventError);
    }

    [Fact]
    public async Task NP028_A_late_event_of_a_closed_descriptor_does_not_resume_its_successor()
    {
        await using ScriptedPoller world = new();
        for (int round = 0; round < 100; round++)
        {
            ScriptedSocket oldSocket = new();
            NetFd old = world.Open(oldSocket);
            PollToken stale = world.Backend.TokenOf(oldSocket);
            await old.CloseAsync();
            ScriptedSocket socket = new();
            NetFd fd = world.Open(socket);
            Task<int> read = fd.ReadAsync(new byte[1]).AsTask();

            world.Backend.Inject(new PollEvent(stale, ReadEdge));
            await world.Asleep();
            Assert.False(read.IsCompleted);

            socket.ThenReads(1);
            world.Backend.Inject(socket, ReadEdge);
            Assert.Equal(1, await read);
            await fd.CloseAsync();
        }

        Assert.Equal(100, world.Poller.Snapshot().StaleEvents);
    }

    [Fact]
    public async Task NP042_A_fake_clock_expires_a_deadline_at_its_time_and_not_before()
    {
        FakeTimeProvider time = new();
        await using ScriptedPoller world = new(options => options.TimeProvider = time);
        NetFd fd = world.Open(new ScriptedSocket());
        fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromMilliseconds(50)));
        Task<int> read = fd.ReadAsync(new byte[1]).AsTask();
        await world.Asleep();

        time.Advance(TimeSpan.FromMilliseconds(49));
        await world.Asleep();
        Assert.False(read.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));

        await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
    }

    [Fact]
    public async Task NP044_Now_is_past_and_none_after_past_waits()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);

        fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.Zero));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await fd.ReadAsync(new byte[1]));
        Assert.Equal(0, socket.ReadCalls);

        fd.SetDeadline(PollMode.Read, Deadline.None);
        Task<int> read = fd.ReadAsync(new byte[1]).AsTask();
        await world.Asleep();
        Assert.False(read.IsCompleted);
    }

    [Fact]
    public async Task NP052_Closing_takes_the_deadlines_off_the_figures()
    {
        await using ScriptedPoller world = new();
        NetFd fd = world.Open(new ScriptedSocket());
        fd.SetDeadline(PollMode.Both, Deadline.After(TimeSpan.FromHours(1)));
        Assert.Equal(2, world.Poller.Snapshot().DeadlinesArmed);

        await fd.CloseAsync();

        Assert.Equal(0, world.Poller.Snapshot().DeadlinesArmed);
        Assert.Equal(0, await world.Poller.RunAsync(() => Task.FromResult(world.Poller.Wheel.Count)));
        Assert.Equal(PollResult.Closing, fd.SetDeadline(PollMode.Read, Deadline.Past));
    }

    [Fact]
    public async Task NP117_The_poller_sleeps_until_its_next_deadline_and_otherwise_for_ever()
    {
        ConcurrentQueue<int> timeouts = new();
        await using ScriptedPoller world = new();
        world.Backend.OnWait = timeouts.Enqueue;
        world.Poller.Post(static () => { });
        await world.Asleep();
        Assert.Equal(-1, timeouts.Last());

        NetFd fd = world.Open(new ScriptedSocket());
        fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromSeconds(30)));
        await Eventually.True("the poller has a timeout", () => timeouts.Last() > 0);
        Assert.InRange(timeouts.Last(), 1, 30_000);
    }

    [Fact]
    public async Task NP115_A_post_between_the_poller_s_last_looks_and_its_sleep_runs()
    {
        HookedClock clock = new();
        await using ScriptedPoller world = new(options => options.TimeProvider = clock);
        await world.Asleep();
        for (int look = 1; look <= 12; look++)
        {
            // The poller looks at its clock between its look into the inbox and its sleep: another thread posts just there.
            int untilThen = look;
            bool ran = false;
            clock.OnLook = () =>
            {
                if (world.Poller.IsCurrent && --untilThen == 0)
                {
                    Thread poster = new(() => world.Poller.Post(() => Volatile.Write(ref ran, true)));
                    poster.Start();
                    poster.Join();
                }
            };
            while (Volatile.Read(ref untilThen) > 0)
            {
                world.Backend.Interrupt();
                await world.Asleep();
            }

            await Eventually.True($"what was posted at look {look} ran", () => Volatile.Read(ref ran));
            clock.OnLook = null;
        }
    }

    [Theory]
    [InlineData(-1, -1)]
    [InlineData(long.MinValue, -1)]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(999_999, 1)]
    [InlineData(1_000_000, 1)]
    [InlineData(1_500_000, 2)]
    [InlineData(950_400_000_000_000, 950_400_000)]
    [InlineData(1_728_000_000_000_000, 1_000_000_000)]
    [InlineData(long.MaxValue, 1_000_000_000)]
    public void NP117_Delays_are_rounded_up_to_milliseconds_and_capped(long nanoseconds, int milliseconds)
    {
        Assert.Equal(milliseconds, Poller.ToTimeoutMilliseconds(nanoseconds));
    }

    [Fact]
    public async Task NP118_Signals_neither_stretch_nor_shorten_a_wait_with_a_deadline()
    {
        await using ScriptedPoller world = new();
        NetFd fd = world.Open(new ScriptedSocket());
        long start = TimeProvider.System.GetTimestamp();
        fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromMilliseconds(100)));
        Task<int> read = fd.ReadAsync(new byte[1]).AsTask();

        while (!read.IsCompleted)
        {
            world.Backend.Interrupt();
            await Task.Delay(2, TestContext.Current.CancellationToken);
        }

        TimeSpan waited = TimeProvider.System.GetElapsedTime(start);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
        Assert.True(waited >= TimeSpan.FromMilliseconds(100), "It ended before its deadline.");
    }

    [Fact]
    public async Task NP118_Without_a_deadline_a_signal_changes_nothing()
    {
        await using ScriptedPoller world = new();
        NetFd fd = world.Open(new ScriptedSocket());
        Task<int> read = fd.ReadAsync(new byte[1]).AsTask();

        for (int signal = 0; signal < 10; signal++)
        {
            await world.Asleep();
            world.Backend.Interrupt();
        }

        await world.Asleep();
        Assert.False(read.IsCompleted);
    }

    [Fact]
    public async Task NP119_Old_tokens_of_a_hundred_thousand_descriptors_are_safe_and_stale()
    {
        const int Count = 100_000;
        await using ScriptedPoller world = new(static options => options.EventsPerWait = 4_096);
        PollToken[] tokens = new PollToken[Count];
        for (int round = 0; round < 2; round++)
        {
            PollDescriptor[] descriptors = new PollDescriptor[Count];
            for (int index = 0; index < Count; index++)
            {
                Assert.True(world.Poller.Open(new ScriptedSocket(), out PollDescriptor? descriptor).IsSuccess);
                descriptors[index] = descriptor!;
                Assert.InRange(descriptor!.Index, 0, Count + 255);
                tokens[index] = descriptor.Token;
            }

            Assert.Equal(Count, world.Poller.Snapshot().Monitored);
            foreach (PollDescriptor descriptor in descriptors)
            {
                world.Poller.Evict(descriptor);
                world.Poller.Release(descriptor);
            }

            Assert.Equal(0, world.Poller.Snapshot().Monitored);
            Assert.Equal(0, world.Backend.Watched);
        }

        world.Backend.Inject([.. tokens.Select(static token => new PollEvent(token, ReadEdge))]);

        await Eventually.True("all events are counted", () => world.Poller.Snapshot().StaleEvents == Count);
        Assert.False(world.Poller.Stopped.IsCompleted);
    }

    [Fact]
    public async Task NP120_One_descriptor_too_many_is_a_resource_error_until_another_is_closed()
    {
        await using ScriptedPoller world = new(static options => options.MaxDescriptors = 2);
        NetFd first = world.Open(new ScriptedSocket());
        world.Open(new ScriptedSocket());

        IoResult refused = NetFd.Open(world.Poller, new ScriptedSocket(), out NetFd? none);

        Assert.Null(none);
        Assert.Equal(PollErrorClass.Resource, PollErrors.Classify(refused.NativeError));
        Assert.Equal(2, world.Poller.Snapshot().Monitored);
        await first.CloseAsync();
        world.Open(new ScriptedSocket());
    }

    [Theory]
    [InlineData(Errno.EPERM)]
    [InlineData(Errno.EEXIST)]
    [InlineData(Errno.ENOSPC)]
    [InlineData(Errno.ENOMEM)]
    public async Task NP120_A_refused_registration_is_the_opener_s_error_and_leaves_nothing_behind(int error)
    {
        await using ScriptedPoller world = new();
        world.Backend.FailOpen(error);
        ScriptedSocket socket = new();

        IoResult result = NetFd.Open(world.Poller, socket, out NetFd? none);

        Assert.Null(none);
        Assert.Equal(error, result.NativeError);
        Assert.Equal(0, world.Poller.Snapshot().Monitored);
        Assert.Equal(0, world.Poller.ParkedCount);
        Assert.Equal(0, socket.CloseCalls);
        Assert.NotNull(world.Open(socket));
    }

    [Fact]
    public async Task NP121_Three_hundred_ready_sockets_are_served_in_three_waits()
    {
        await using ScriptedPoller world = new(static options => options.EventsPerWait = 128);
        ScriptedSocket[] sockets = [.. Enumerable.Range(0, 300).Select(static _ => new ScriptedSocket())];
        Task<int>[] reads = [.. sockets.Select(socket => world.Open(socket).ReadAsync(new byte[1]).AsTask())];
        await world.Asleep();
        Array.ForEach(sockets, static socket => socket.ThenReads(1));
        int before = world.Backend.Waits;

        world.Backend.Inject([.. sockets.Select(socket => new PollEvent(world.Backend.TokenOf(socket), ReadEdge))]);
        await Task.WhenAll(reads);
        await world.Asleep();

        // The wait that slept until the events, two more for the rest, and the one that sleeps now.
        Assert.Equal(before + 3, world.Backend.Waits);
        Assert.Equal(300, world.Poller.Snapshot().EventsReturned);
    }

    [Fact]
    public async Task NP125_A_handler_that_closes_a_neighbour_is_not_overtaken_by_the_neighbour_s_event()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket first = new();
        ScriptedSocket second = new();
        ScriptedSocket third = new();
        NetFd firstFd = world.Open(first);
        NetFd secondFd = world.Open(second);
        Task<int>? thirdRead = null;
        Task handler = world.Poller.RunAsync(async () =>
        {
            await firstFd.ReadAsync(new byte[1]);
            Task closed = secondFd.CloseAsync();
            Assert.True(closed.IsCompleted);
            thirdRead = world.Open(third).ReadAsync(new byte[1]).AsTask();
        });
        await world.Asleep();
        PollToken secondToken = world.Backend.TokenOf(second);
        first.ThenReads(1);

        world.Backend.Inject(
            new PollEvent(world.Backend.TokenOf(first), ReadEdge),
            new PollEvent(secondToken, ReadEdge));
        await handler;
        world.Backend.Inject(new PollEvent(secondToken, ReadEdge));
        await Eventually.True("the late event is counted", () => world.Poller.Snapshot().StaleEvents == 1);
        await world.Asleep();

        Assert.Equal(secondToken.Index, world.Backend.TokenOf(third).Index);
        Assert.False(thirdRead!.IsCompleted);
        Assert.Equal(1, third.ReadCalls);
    }

    [Fact]
    public async Task NP126_Stopping_ends_every_wait_with_Closing_and_the_threads()
    {
        ScriptedPlatform platform = new();
        PollerGroup group = new(new PollerOptions { PollerCount = 3, Platform = platform });
        List<Task<int>> reads = [];
        List<Task> writes = [];
        foreach (Poller poller in group.Pollers)
        {
            for (int index = 0; index < 10; index++)
            {
                NetFd.Open(poller, new ScriptedSocket { DefaultWrite = static _ => IoResult.Failure(ScriptedSocket.WouldBlock) }, out NetFd? fd);
                reads.Add(fd!.ReadAsync(new byte[1]).AsTask());
                writes.Add(fd.WriteAsync(new byte[1]).AsTask());
            }
        }

        await group.DisposeAsync();

        foreach (Task wait in reads.Concat(writes))
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(() => wait);
        }

        Assert.All(platform.Backends, static backend => Assert.True(backend.IsDisposed));
    }

    [Fact]
    public async Task NP126_What_is_closed_after_the_stop_gives_its_socket_back()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        await world.Group.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await fd.ReadAsync(new byte[1]));
        await fd.CloseAsync().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Equal(1, socket.CloseCalls);
    }

    [Fact]
    public async Task NP126_Opens_reads_and_closes_that_race_the_stop_all_end()
    {
        int rounds = StressScale.Rounds(300);
        for (int round = 0; round < rounds; round++)
        {
            ScriptedPoller world = new();
            Poller poller = world.Poller;
            ConcurrentBag<Task> ends = [];
            ConcurrentBag<ScriptedSocket> opened = [];
            using Barrier barrier = new(3);
            Task[] users = [.. Enumerable.Range(0, 2).Select(user => Task.Run(() =>
            {
                barrier.SignalAndWait(CancellationToken.None);
                for (int time = 0; time < 20; time++)
                {
                    ScriptedSocket socket = new();
                    if (!NetFd.Open(poller, socket, out NetFd? fd).IsSuccess)
                    {
                        break;
                    }

                    opened.Add(socket);
                    ends.Add(Assert.ThrowsAsync<ObjectDisposedException>(async () => await fd!.ReadAsync(new byte[1])));
                    if ((time & 1) == user)
                    {
                        ends.Add(fd!.CloseAsync());
                    }
                }
            }))];

            barrier.SignalAndWait(CancellationToken.None);
            await world.Group.DisposeAsync();
            await Task.WhenAll(users);
            await Task.WhenAll(ends).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task NP126_A_loop_that_only_yields_does_not_hold_up_the_stop()
    {
        await using ScriptedPoller world = new();
        bool isOver = false;
        Task loop = world.Poller.RunAsync(async () =>
        {
            while (!Volatile.Read(ref isOver))
            {
                await Task.Yield();
            }
        });

        await world.Group.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.False(loop.IsCompleted);
        Volatile.Write(ref isOver, true);
        await loop;
    }

    [Fact]
    public async Task NP128_A_snapshot_tells_the_exact_figures()
    {
        await using ScriptedPoller world = new();
        NetFd[] fds = [.. Enumerable.Range(0, 4).Select(_ => world.Open(new ScriptedSocket
        {
            DefaultWrite = static _ => IoResult.Failure(ScriptedSocket.WouldBlock),
        }))];
        List<Task> waits = [];
        for (int index = 0; index < 3; index++)
        {
            waits.Add(fds[index].ReadAsync(new byte[1]).AsTask());
        }

        for (int index = 2; index < 4; index++)
        {
            waits.Add(fds[index].WriteAsync(new byte[1]).AsTask());
        }

        fds[0].SetDeadline(PollMode.Both, Deadline.After(TimeSpan.FromHours(1)));
        fds[1].SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromHours(2)));
        fds[2].SetDeadline(PollMode.Write, Deadline.After(TimeSpan.FromHours(3)));

        // A mailbox parks without an operation, and is none itself.
        Assert.True(world.Poller.Open(new ScriptedSocket(), out PollDescriptor? mailbox).IsSuccess);
        mailbox!.Arm(PollMode.Read, new SilentWaiter());

        // One is closed while a read of its is in the system, and one is on its way into it.
        using SemaphoreSlim entered = new(0);
        using SemaphoreSlim leave = new(0);
        NetFd closing = world.Open(new ScriptedSocket().ThenReads(_ =>
        {
            entered.Release();
            leave.Wait(TestContext.Current.CancellationToken);
            return IoResult.Bytes(1);
        }));
        Task<int> inSystem = Task.Run(async () => await closing.ReadAsync(new byte[1]), TestContext.Current.CancellationToken);
        await entered.WaitAsync(TestContext.Current.CancellationToken);
        Task closed = closing.CloseAsync();
        await world.Asleep();
        PollerSnapshot? seen = null;
        world.Backend.OnOpen = () => seen = world.Poller.Snapshot();
        NetFd opening = world.Open(new ScriptedSocket());
        world.Backend.OnOpen = null;

        PollerSnapshot snapshot = Assert.IsType<PollerSnapshot>(seen);
        Assert.Equal((world.Group.Name, "poller-0"), (snapshot.Group, snapshot.Poller));
        Assert.Equal(7, snapshot.Monitored);
        Assert.Equal(1, snapshot.Opening);
        Assert.Equal(1, snapshot.Closing);
        Assert.Equal(1, snapshot.InOperation);
        Assert.Equal(4, snapshot.ReadersParked);
        Assert.Equal(2, snapshot.WritersParked);
        Assert.Equal(6, world.Poller.ParkedCount);
        Assert.Equal(4, snapshot.DeadlinesArmed);
        Assert.Equal(0, snapshot.DeadlinesFired);
        Assert.Equal(0, snapshot.Runnable);
        Assert.Equal(0, snapshot.StaleEvents);
        Assert.Equal(0, snapshot.SpuriousWakeups);
        Assert.Equal(0, snapshot.EventsReturned);
        Assert.InRange(snapshot.Waits, 1, world.Backend.Waits);
        Assert.Equal(world.Backend.Wakeups, snapshot.WakeupsSent);
        Assert.All(waits, static wait => Assert.False(wait.IsCompleted));

        leave.Release();
        Assert.Equal(1, await inSystem);
        await closed;
        snapshot = world.Poller.Snapshot();
        Assert.Equal((6, 0, 0, 0), (snapshot.Monitored, snapshot.Opening, snapshot.Closing, snapshot.InOperation));
        await opening.CloseAsync();
        Assert.Equal(5, world.Poller.Snapshot().Monitored);
    }

    [Fact]
    public async Task Posting_runs_on_the_poller_s_thread_and_never_inside_the_call()
    {
        await using ScriptedPoller world = new();

        await world.Poller.RunAsync(() =>
        {
            Assert.True(world.Poller.IsCurrent);
            Assert.Same(world.Poller, Poller.Current);
            bool isInside = true;
            bool ran = false;
            world.Poller.Post(() =>
            {
                Assert.False(isInside);
                ran = true;
            });
            isInside = false;
            Assert.False(ran);
        });

        Assert.Null(Poller.Current);
        Assert.False(world.Poller.IsCurrent);
    }

    [Fact]
    public async Task The_code_after_an_await_comes_back_to_the_poller()
    {
        await using ScriptedPoller world = new();

        await world.Poller.RunAsync(async () =>
        {
            Thread thread = Thread.CurrentThread;
            await Task.Yield();
            Assert.Same(thread, Thread.CurrentThread);
            await Task.Run(() => Assert.NotSame(thread, Thread.CurrentThread));
            Assert.Same(thread, Thread.CurrentThread);
            await Task.Delay(1, TestContext.Current.CancellationToken);
            Assert.Same(thread, Thread.CurrentThread);
            Assert.Same(world.Poller, Poller.Current);
        });
    }

    [Fact]
    public async Task Sending_waits_for_the_callback_and_gives_its_exception_back()
    {
        await using ScriptedPoller world = new();
        SynchronizationContext context = await world.Poller.RunAsync(static () => Task.FromResult(SynchronizationContext.Current!));
        Poller? seen = null;

        context.Send(_ => seen = Poller.Current, null);
        Assert.Same(world.Poller, seen);
        Assert.Throws<FormatException>(() => context.Send(static _ => throw new FormatException(), null));

        await world.Poller.RunAsync(() => context.Send(static _ => Assert.NotNull(Poller.Current), null));
    }

    [Fact]
    public async Task Work_that_throws_is_logged_and_the_poller_goes_on()
    {
        await using ScriptedPoller world = new();

        world.Poller.Post(static () => throw new FormatException("by the test"));
        await world.Poller.RunAsync(static () => { });

        CapturedLog.Entry entry = Assert.Single(world.Log.Entries, static entry => entry.Level == LogLevel.Error);
        Assert.IsType<FormatException>(entry.Exception);
    }

    [Fact]
    public async Task Work_that_throws_into_a_log_that_throws_does_not_end_the_poller()
    {
        CapturedLog log = new() { IsBroken = true };
        await using ScriptedPoller world = new(options => options.Logger = log);

        world.Poller.Post(static () => throw new FormatException("by the test"));
        await world.Poller.RunAsync(static () => { }).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.IsType<FormatException>(Assert.Single(log.Entries, static entry => entry.Level == LogLevel.Error).Exception);
    }

    [Fact]
    public async Task A_poller_that_fails_tells_everybody_also_when_the_log_throws()
    {
        CapturedLog log = new() { IsBroken = true };
        await using ScriptedPoller world = new(options => options.Logger = log);
        Task<int> read = world.Open(new ScriptedSocket()).ReadAsync(new byte[1]).AsTask();

        world.Backend.FailWait(new System.ComponentModel.Win32Exception(Errno.EBADF));

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        await world.Poller.Stopped.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Single(log.Entries, static entry => entry.Level == LogLevel.Critical);
    }

    [Fact]
    public async Task A_poller_whose_wait_fails_tells_everybody_and_says_so()
    {
        await using ScriptedPoller world = new();
        Task<int> read = world.Open(new ScriptedSocket()).ReadAsync(new byte[1]).AsTask();

        world.Backend.FailWait(new System.ComponentModel.Win32Exception(Errno.EBADF));

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
        await world.Poller.Stopped;
        Assert.Single(world.Log.Entries, static entry => entry.Level == LogLevel.Critical);
        Assert.False(NetFd.Open(world.Poller, new ScriptedSocket(), out _).IsSuccess);
    }

    [Fact]
    public async Task A_broken_invariant_stops_the_poller_and_still_ends_everybody_else_s_wait()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket broken = new();
        NetFd brokenFd = world.Open(broken);
        Assert.True(brokenFd.Descriptor.TryPark(PollMode.Read, new BrokenWaiter(), out _));
        ScriptedSocket healthy = new();
        Task<int> read = world.Open(healthy).ReadAsync(new byte[1]).AsTask();
        await world.Asleep();
        healthy.ThenReads(7);

        world.Backend.Inject(
            new PollEvent(world.Backend.TokenOf(broken), ReadEdge),
            new PollEvent(world.Backend.TokenOf(healthy), ReadEdge));

        Assert.Equal(1, await read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        await world.Poller.Stopped;
        Assert.Single(world.Log.Entries, static entry => entry.Level == LogLevel.Critical);
        Assert.DoesNotContain(world.Log.Entries, static entry => entry.Exception is NullReferenceException);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_poller_that_has_ended_is_held_by_nothing_and_never_reported_as_held(bool fails)
    {
        WatchedClock clock = new();
        await using ScriptedPoller world = new(options =>
        {
            options.TimeProvider = clock;
            options.StallThreshold = TimeSpan.FromMilliseconds(20);
        });
        if (fails)
        {
            ScriptedSocket broken = new();
            Assert.True(world.Open(broken).Descriptor.TryPark(PollMode.Read, new BrokenWaiter(), out _));
            world.Backend.Inject(broken, ReadEdge);
        }
        else
        {
            world.Poller.Stop();
        }

        await world.Poller.Stopped;
        clock.Advance(TimeSpan.FromSeconds(1));
        int looks = clock.Looks;
        await Eventually.True("the watch has looked at it since", () => clock.Looks >= looks + 2);

        Assert.Equal(TimeSpan.Zero, world.Poller.HeldFor);
        Assert.Null(world.Poller.CurrentWork);
        Assert.DoesNotContain(world.Log.Entries, static entry => entry.Id == 7);
    }

    [Fact]
    public async Task After_the_stop_posted_work_runs_on_the_thread_pool()
    {
        await using ScriptedPoller world = new();
        Poller poller = world.Poller;
        await world.Group.DisposeAsync();
        TaskCompletionSource<bool> ran = new(TaskCreationOptions.RunContinuationsAsynchronously);

        poller.Post(() => ran.SetResult(Thread.CurrentThread.IsThreadPoolThread));

        Assert.True(await ran.Task);
    }

    [Fact]
    public async Task A_busy_run_queue_does_not_keep_the_poller_from_its_sockets()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        Task<int> read = world.Open(socket).ReadAsync(new byte[1]).AsTask();
        bool isOver = false;
        void Again()
        {
            if (!Volatile.Read(ref isOver))
            {
                world.Poller.Post(Again);
            }
        }

        world.Poller.Post(Again);
        socket.ThenReads(1);
        world.Backend.Inject(socket, ReadEdge);

        Assert.Equal(1, await read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Volatile.Write(ref isOver, true);
    }

    private sealed class HookedClock : TimeProvider
    {
        internal Action? OnLook { get; set; }

        public override long GetTimestamp()
        {
            OnLook?.Invoke();
            return base.GetTimestamp();
        }
    }

    private sealed class BrokenWaiter : IPollWaiter
    {
        public void Resume(PollSignals signals) => throw new PollerInvariantException("by the test");

        public void Schedule(PollSignals signals)
        {
        }
    }
}
