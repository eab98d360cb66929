using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>A poller on the real system, where the whole process is looked at.</summary>
[Collection(Alone.Name)]
public sealed class PollerThreadTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NP021_A_hundred_thousand_awaited_echoes_allocate_nothing_on_the_poller()
    {
        const int WarmUp = 5_000;
        await using Loopback pair = await Loopback.ConnectAsync();
        int rounds = StressScale.Rounds(100_000);
        Task<long> echo = pair.Poller.RunAsync(async () =>
        {
            byte[] buffer = new byte[64];
            AllocationCounter counter = default;
            for (int round = 0; round < WarmUp + rounds; round++)
            {
                if (round == WarmUp)
                {
                    counter = AllocationCounter.Start();
                }

                int count = await pair.Connection.ReadAsync(buffer);
                await pair.Connection.WriteAsync(buffer.AsMemory(0, count));
            }

            return counter.Bytes;
        });

        byte[] message = new byte[16];
        for (int round = 0; round < WarmUp + rounds; round++)
        {
            pair.Peer.Send(message);
            for (int received = 0; received < message.Length;)
            {
                received += pair.Peer.Receive(message, received, message.Length - received, SocketFlags.None);
            }
        }

        Assert.Equal(0, await echo.WaitAsync(Limit, Cancellation));

        // They really waited: nearly every message came with an event of its own.
        Assert.True(pair.Poller.Snapshot().EventsReturned > rounds / 2);
    }

    [Fact]
    public async Task NP057_Moving_deadlines_allocates_nothing_on_the_poller_and_elsewhere()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        void Move()
        {
            for (int round = 0; round < 100_000; round++)
            {
                pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromSeconds(100 - (round % 50))));
                pair.Connection.SetDeadline(Deadline.After(TimeSpan.FromSeconds(10 + (round % 7))));
                pair.Connection.SetDeadline(Deadline.None);
            }
        }

        Assert.Equal(0, AllocationCounter.BytesOf(Move, warmUps: 1));
        Assert.Equal(0, await pair.Poller.RunAsync(() => Task.FromResult(AllocationCounter.BytesOf(Move, warmUps: 1))));
    }

    [Fact]
    public async Task NP113_The_numbers_of_the_pollers_are_known_and_no_others()
    {
        TestBackend.SkipOnPortable("The portable backend has no descriptors of its own.");
        using TcpPair other = new();
        int before = ProcessDescriptors.Anonymous.Length;
        PollerGroup group = new(new PollerOptions { PollerCount = 3 });
        Assert.False(group.IsPollDescriptor(other.Descriptor));
        group.Start();

        int[] numbers = ProcessDescriptors.Anonymous;
        Assert.Equal(before + 6, numbers.Length);
        Assert.Equal(6, numbers.Count(group.IsPollDescriptor));
        Assert.False(group.IsPollDescriptor(other.Descriptor));

        await group.DisposeAsync();
        Assert.Equal(before, ProcessDescriptors.Anonymous.Length);
        Assert.DoesNotContain(true, numbers.Select(group.IsPollDescriptor));
    }

    [Fact]
    public async Task NP114_Posts_of_many_threads_run_once_and_in_order_with_few_wake_ups()
    {
        const int Producers = 8;
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        Poller poller = group.Pollers[0];
        int each = StressScale.Rounds(30_000);
        int[] next = new int[Producers];
        int wrong = 0;
        int done = 0;
        Thread[] threads = [.. Enumerable.Range(0, Producers).Select(producer => new Thread(() =>
        {
            for (int number = 0; number < each; number++)
            {
                int own = number;
                poller.Post(() =>
                {
                    wrong += next[producer]++ == own ? 0 : 1;
                    done++;
                });
            }
        }))];
        Array.ForEach(threads, static thread => thread.Start());
        Array.ForEach(threads, static thread => thread.Join());

        await Eventually.True("everything ran", () => Volatile.Read(ref done) == Producers * each);

        Assert.Equal(0, wrong);
        PollerSnapshot snapshot = poller.Snapshot();
        Assert.Equal(Producers * each, snapshot.WakeupsSent + snapshot.WakeupsCoalesced);
        Assert.InRange(snapshot.WakeupsSent, 1, Producers * each / 4);
    }

    [Fact]
    public async Task NP115_A_post_at_any_instant_of_the_poller_s_falling_asleep_runs()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        Poller poller = group.Pollers[0];
        int rounds = StressScale.Rounds(150_000);
        int ran = 0;
        void Count() => Volatile.Write(ref ran, ran + 1);

        for (int round = 0; round < rounds; round++)
        {
            poller.Post(Count);
            long start = TimeProvider.System.GetTimestamp();
            SpinWait spin = default;
            while (Volatile.Read(ref ran) <= round)
            {
                spin.SpinOnce(sleep1Threshold: -1);
                Assert.True(TimeProvider.System.GetElapsedTime(start) < Limit, $"The poller sleeps with work in its inbox (round {round}).");
            }

            // The poller is on its way to sleep by now; the next post comes a little later each time.
            for (int wait = round % 2_000; wait > 0; wait--)
            {
                _ = Volatile.Read(ref ran);
            }
        }
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public async Task NP118_Signals_to_the_poller_s_thread_neither_stretch_nor_shorten_a_wait()
    {
        TestBackend.SkipOnPortable("The portable backend waits in no system call that a signal would interrupt.");
        using PosixSignalRegistration handler = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, static context => context.Cancel = true);
        await using Loopback pair = await Loopback.ConnectAsync();
        int thread = await pair.Poller.RunAsync(static () => Task.FromResult(GetThreadId()));
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();
        for (int signal = 0; signal < 10; signal++)
        {
            long waits = await SettledWaits(pair.Poller);
            Assert.Equal(0, SendSignal(Environment.ProcessId, thread, WindowChanged));
            await Eventually.True("the signal has interrupted the wait", () => pair.Poller.Snapshot().Waits > waits);
        }

        Assert.False(read.IsCompleted);
        long start = TimeProvider.System.GetTimestamp();
        pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(100)));
        while (!read.IsCompleted)
        {
            Assert.Equal(0, SendSignal(Environment.ProcessId, thread, WindowChanged));
            await Task.Delay(2, Cancellation);
        }

        await Assert.ThrowsAsync<DeadlineExceededException>(() => read);
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(100), "It ended before its deadline.");
    }

    [Fact]
    public async Task NP127_An_idle_poller_with_idle_connections_sleeps()
    {
        await using NetListenerFixture fixture = new();
        List<Loopback> pairs = [];
        for (int index = 0; index < 1_000; index++)
        {
            pairs.Add(await Loopback.ConnectAsync(fixture.Listener));
        }

        Task<int>[] reads = [.. pairs.Select(static pair => pair.Connection.ReadAsync(new byte[1]).AsTask())];
        Poller poller = fixture.Group.Pollers[0];
        await Eventually.True("all wait", () => poller.ParkedCount == reads.Length);
        long waits = await SettledWaits(poller);

        // Of the process, since a backend may turn in circles within one wait, and on other threads. What the runtime does for itself meanwhile
        // is not there every time.
        TimeSpan time = StressScale.Duration(TimeSpan.FromSeconds(1));
        TimeSpan allowed = time / 100;
        TimeSpan spent = TimeSpan.MaxValue;
        for (int attempt = 0; attempt < 5 && spent > allowed; attempt++)
        {
            TimeSpan before = Environment.CpuUsage.TotalTime;
            await Task.Delay(time, Cancellation);
            TimeSpan now = Environment.CpuUsage.TotalTime - before;
            spent = now < spent ? now : spent;
        }

        Assert.True(spent <= allowed, $"{spent.TotalMilliseconds} ms of the processor's time were used in {time.TotalMilliseconds} ms.");
        Assert.Equal(waits, poller.Snapshot().Waits);
        Assert.All(reads, static read => Assert.False(read.IsCompleted));
        foreach (Loopback pair in pairs)
        {
            await pair.DisposeAsync();
        }
    }

    [Fact]
    public async Task Connections_that_come_and_go_leave_no_descriptor_behind()
    {
        await using NetListenerFixture fixture = new(pollers: 2);
        await (await Loopback.ConnectAsync(fixture.Listener)).DisposeAsync();
        int before = ProcessDescriptors.Sockets;

        for (int round = 0; round < StressScale.Rounds(500); round++)
        {
            Loopback pair = await Loopback.ConnectAsync(fixture.Listener);
            Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
            await pair.DisposeAsync();
            _ = await Record.ExceptionAsync(() => read);
        }

        await ProcessDescriptors.NoMoreSocketsThan(before);
        Assert.All(fixture.Group.Pollers, static poller => Assert.InRange(poller.Snapshot().Monitored, 0, 1));
    }

    private static async Task<long> SettledWaits(Poller poller)
    {
        long waits = -1;
        await Eventually.True("the poller has settled", () =>
        {
            long before = waits;
            waits = poller.Snapshot().Waits;
            return before == waits;
        });
        return waits;
    }

    private const int WindowChanged = 28;

    [DllImport("libc", EntryPoint = "tgkill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int process, int thread, int signal);

    [DllImport("libc", EntryPoint = "gettid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetThreadId();
}
