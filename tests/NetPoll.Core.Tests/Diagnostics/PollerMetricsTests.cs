using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Diagnostics;

/// <summary>The figures of the pollers as a meter, which belongs to the process: so nothing runs beside these tests.</summary>
[Collection(Alone.Name)]
public sealed class PollerMetricsTests : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, (double Sum, string? Unit, string? Poller)> _figures = new();
    private readonly ConcurrentDictionary<(string Name, string? Group), double> _byGroup = new();

    public PollerMetricsTests()
    {
        _listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == "NetPoll.Core")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Note(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Note(instrument, value, tags));
        _listener.Start();
    }

    public void Dispose() => _listener.Dispose();

    [Fact]
    public async Task A_poller_s_figures_are_measured_while_it_runs()
    {
        Dictionary<string, double> before = Measure();
        ScriptedPoller world = new();
        await using (world)
        {
            NetFd[] fds = [.. Enumerable.Range(0, 3).Select(_ => world.Open(new ScriptedSocket()))];
            Task[] reads = [.. fds.Select(static fd => fd.ReadAsync(new byte[1]).AsTask())];
            fds[0].SetDeadline(PollMode.Both, Deadline.After(TimeSpan.FromHours(1)));
            await world.Asleep();

            Dictionary<string, double> during = Measure();

            Assert.Equal(3, Change("netpoll.poller.descriptors"));
            Assert.Equal(3, Change("netpoll.poller.readers"));
            Assert.Equal(0, Change("netpoll.poller.writers"));
            Assert.Equal(2, Change("netpoll.deadlines.armed"));
            Assert.True(Change("netpoll.poller.waits") > 0);
            Assert.Equal(("{descriptor}", "poller-0"), (_figures["netpoll.poller.descriptors"].Unit, _figures["netpoll.poller.descriptors"].Poller));
            Assert.Equal("s", _figures["netpoll.poller.turn.max"].Unit);
            Assert.Equal(
                [
                    "netpoll.deadlines.armed", "netpoll.deadlines.fired", "netpoll.poller.descriptors", "netpoll.poller.descriptors.closing",
                    "netpoll.poller.descriptors.opening", "netpoll.poller.events", "netpoll.poller.operations", "netpoll.poller.readers",
                    "netpoll.poller.run_queue.length", "netpoll.poller.spurious_wakeups", "netpoll.poller.stale_events", "netpoll.poller.turn.max",
                    "netpoll.poller.waits", "netpoll.poller.wakeups", "netpoll.poller.wakeups.coalesced", "netpoll.poller.writers",
                ],
                during.Keys.Order(StringComparer.Ordinal));

            double Change(string name) => during[name] - before.GetValueOrDefault(name);
        }

        Assert.Equal(before.GetValueOrDefault("netpoll.poller.descriptors"), Measure().GetValueOrDefault("netpoll.poller.descriptors"));
    }

    [Fact]
    public async Task Two_groups_of_a_process_are_told_apart()
    {
        await using ScriptedPoller players = new(static options => options.Name = "players");
        await using ScriptedPoller guests = new(static options => options.Name = "guests");
        players.Open(new ScriptedSocket());
        guests.Open(new ScriptedSocket());
        guests.Open(new ScriptedSocket());

        Measure();

        Assert.Equal(1, _byGroup[("netpoll.poller.descriptors", "players")]);
        Assert.Equal(2, _byGroup[("netpoll.poller.descriptors", "guests")]);
    }

    [Fact]
    public async Task A_connection_that_is_shed_is_counted()
    {
        await using ScriptedPoller world = new();
        world.Platform.Reserve = static () => new MemoryStream();
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        world.Platform.Listener.ThenAcceptFails(Errno.ENFILE).ThenAccepts(new ScriptedSocket()).ThenAccepts(new ScriptedSocket());

        await using NetConnection connection = await listener.AcceptAsync();

        Assert.Equal(1, _byGroup[("netpoll.listener.shed", world.Group.Name)]);
    }

    [Fact]
    public async Task What_holds_a_poller_s_thread_is_named_once_and_counted()
    {
        await using ScriptedPoller world = new(static options => options.StallThreshold = TimeSpan.FromMilliseconds(20));
        await world.Asleep();
        Assert.Equal(0, world.Poller.TurnStartedAt);
        using ManualResetEventSlim release = new();

        world.Poller.Post(HoldTheThread, release);
        await Eventually.True("the stall is reported", () => world.Log.Entries.Any(static entry => entry.Id == 7));
        release.Set();
        await world.Asleep();

        CapturedLog.Entry report = Assert.Single(
            world.Log.Entries, static entry => entry.Id == 7 && entry.Message.Contains(nameof(HoldTheThread), StringComparison.Ordinal));
        Assert.Contains("poller-0", report.Message, StringComparison.Ordinal);
        Assert.True(_byGroup[("netpoll.poller.stalls", world.Group.Name)] >= 1);
        Assert.Equal(0, world.Poller.TurnStartedAt);
        Assert.True(world.Poller.Snapshot().LongestTurn >= TimeSpan.FromMilliseconds(20));
    }

    [Fact]
    public async Task What_holds_the_thread_after_another_in_the_same_turn_is_named_as_well()
    {
        await using ScriptedPoller world = new(static options => options.StallThreshold = TimeSpan.FromMilliseconds(20));
        using ManualResetEventSlim first = new();
        using ManualResetEventSlim second = new();
        world.Poller.Post(() =>
        {
            world.Poller.Post(HoldTheThread, first);
            world.Poller.Post(HoldTheThreadToo, second);
        });

        await Eventually.True("the first is named", () => Names(nameof(HoldTheThread) + "("));
        first.Set();
        await Eventually.True("the second is named", () => Names(nameof(HoldTheThreadToo) + "("));
        second.Set();

        bool Names(string work) => world.Log.Entries.Any(entry => entry.Id == 7 && entry.Message.Contains(work, StringComparison.Ordinal));
    }

    [Fact]
    public async Task When_the_thread_is_free_again_the_log_tells_how_long_it_was_held_and_by_whom()
    {
        FakeTimeProvider clock = new();
        await using ScriptedPoller world = WatchedBy(clock);
        using ManualResetEventSlim release = new();
        using ManualResetEventSlim goOn = new();

        // However late the watch looks again, it tells the time of the turn.
        world.Log.OnEntry = entry =>
        {
            if (entry.Id == 7)
            {
                goOn.Wait(TimeSpan.FromSeconds(30), CancellationToken.None);
            }
        };
        world.Poller.Post(HoldTheThread, release);
        await Eventually.True("it holds the thread", () => world.Poller.CurrentWork is not null);
        clock.Advance(TimeSpan.FromMilliseconds(30));
        await Eventually.True("the stall is reported", () => Count(world, 7) == 1);
        Assert.Equal(0, Count(world, 12));
        clock.Advance(TimeSpan.FromSeconds(5));
        release.Set();
        await world.Asleep();
        clock.Advance(TimeSpan.FromHours(1));
        goOn.Set();

        await Eventually.True("its end is told", () => Count(world, 12) == 1);
        string told = world.Log.Entries.Single(static entry => entry.Id == 12).Message;
        Assert.StartsWith("poller-0 goes on; it was held for 00:00:05.0300000 by ", told, StringComparison.Ordinal);
        Assert.Contains(nameof(HoldTheThread) + "(", told, StringComparison.Ordinal);
        Assert.DoesNotContain("among others", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_holds_the_thread_after_another_has_its_own_end()
    {
        FakeTimeProvider clock = new();
        await using ScriptedPoller world = WatchedBy(clock);
        using ManualResetEventSlim first = new();
        using ManualResetEventSlim second = new();
        world.Poller.Post(() =>
        {
            world.Poller.Post(HoldTheThread, first);
            world.Poller.Post(HoldTheThreadToo, second);
        });

        await Eventually.True("the first holds the thread", () => Holds(world, nameof(HoldTheThread)));
        clock.Advance(TimeSpan.FromSeconds(1));
        await Eventually.True("the first is reported", () => Count(world, 7) == 1);
        first.Set();
        await Eventually.True("the end of the first is told", () => Count(world, 12) == 1);
        clock.Advance(TimeSpan.FromSeconds(2));
        await Eventually.True("the second is reported", () => Count(world, 7) == 2);
        second.Set();
        await Eventually.True("the end of the second is told", () => Count(world, 12) == 2);

        string[] told = [.. world.Log.Entries.Where(static entry => entry.Id == 12).Select(static entry => entry.Message)];
        Assert.Matches(@"held for 00:00:01 by .*HoldTheThread\(", told[0]);
        Assert.Matches(@"held for 00:00:02 by .*HoldTheThreadToo\(", told[1]);
    }

    [Fact]
    public async Task Pieces_of_work_that_hold_the_thread_only_together_have_one_end_that_of_their_turn()
    {
        WatchedClock clock = new();
        await using ScriptedPoller world = WatchedBy(clock);
        using ManualResetEventSlim first = new();
        using ManualResetEventSlim second = new();
        using ManualResetEventSlim third = new();
        world.Poller.Post(() =>
        {
            world.Poller.Post(HoldTheThread, first);
            world.Poller.Post(HoldTheThreadToo, second);
            world.Poller.Post(HoldTheThread, third);
        });

        await Seen(nameof(HoldTheThread));
        clock.Advance(TimeSpan.FromMilliseconds(15));
        first.Set();
        await Seen(nameof(HoldTheThreadToo));
        clock.Advance(TimeSpan.FromMilliseconds(15));
        await Eventually.True("the turn is reported", () => Count(world, 7) == 1);
        second.Set();
        await Seen(nameof(HoldTheThread));
        Assert.Equal(0, Count(world, 12));
        clock.Advance(TimeSpan.FromMilliseconds(15));
        third.Set();

        await Eventually.True("its end is told", () => Count(world, 12) == 1);
        Assert.Equal(1, Count(world, 7));
        Assert.Matches(
            @"held for 00:00:00\.0450000 by .*HoldTheThreadToo\(.*\), among others$", world.Log.Entries.Single(static entry => entry.Id == 12).Message);

        async Task Seen(string work)
        {
            await Eventually.True($"{work} holds the thread", () => Holds(world, work));
            int looks = clock.Looks;
            await Eventually.True($"the watch has seen {work}", () => clock.Looks >= looks + 2);
        }
    }

    [Fact]
    public async Task A_waiter_that_holds_the_thread_is_named_with_its_connection()
    {
        await using ScriptedPoller world = new(static options => options.StallThreshold = TimeSpan.FromMilliseconds(20));
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        using ManualResetEventSlim release = new();
        Task work = world.Poller.RunAsync(async () =>
        {
            await fd.ReadAsync(new byte[1]);
            release.Wait(TimeSpan.FromSeconds(30), CancellationToken.None);
        });
        await world.Asleep();
        socket.ThenReads(1);
        world.Backend.Inject(socket, PollEventFlags.Read);

        await Eventually.True("the stall is reported", () => world.Log.Entries.Any(static entry =>
            entry.Id == 7 && entry.Message.Contains("ReadOperation of 127.0.0.1:2", StringComparison.Ordinal)));
        release.Set();
        await work;
    }

    [Fact]
    public async Task Code_that_goes_on_after_its_neighbours_is_named_by_its_own_operation()
    {
        await using ScriptedPoller world = new(static options => options.StallThreshold = TimeSpan.FromMilliseconds(20));
        ScriptedSocket[] sockets = [.. Enumerable.Range(1, 3).Select(static _ => new ScriptedSocket())];
        for (int index = 0; index < sockets.Length; index++)
        {
            sockets[index].SetRemoteEndPoint(new IPEndPoint(IPAddress.Loopback, 1_001 + index));
        }

        using ManualResetEventSlim release = new();

        // The first is awaited elsewhere, so that the others do not lie one behind the other where the poller keeps them.
        Task<int> first = world.Open(sockets[0]).ReadAsync(new byte[1]).AsTask();
        Task second = ReadOnPoller(sockets[1], static () => { });
        Task third = ReadOnPoller(sockets[2], () => HoldTheThread(release));
        await world.Asleep();
        Array.ForEach(sockets, static socket => socket.ThenReads(1));
        world.Backend.Inject([.. sockets.Select(socket => new PollEvent(world.Backend.TokenOf(socket), PollEventFlags.Read))]);

        await Eventually.True("the stall is reported", () => world.Log.Entries.Any(static entry =>
            entry.Id == 7 && entry.Message.Contains("ReadOperation of 127.0.0.1:1003", StringComparison.Ordinal)));
        release.Set();
        await Task.WhenAll(first, second, third);

        Task ReadOnPoller(ScriptedSocket socket, Action then)
        {
            NetFd fd = world.Open(socket);
            return world.Poller.RunAsync(async () =>
            {
                await fd.ReadAsync(new byte[1]);
                then();
            });
        }
    }

    [Theory]
    [InlineData("an action")]
    [InlineData("code after an await")]
    [InlineData("a callback whose state cannot be told")]
    public async Task What_holds_the_thread_is_the_user_s_code_by_name(string kind)
    {
        await using ScriptedPoller world = new(static options => options.StallThreshold = TimeSpan.FromMilliseconds(20));
        using ManualResetEventSlim release = new();
        string expected;
        switch (kind)
        {
            case "an action":
                expected = nameof(What_holds_the_thread_is_the_user_s_code_by_name);
                world.Poller.Post(() => HoldTheThread(release));
                break;
            case "code after an await":
                expected = nameof(HoldAfterAnAwaitAsync);
                world.Poller.Post(() => _ = HoldAfterAnAwaitAsync(release));
                break;
            default:
                expected = "whose ToString threw System.InvalidOperationException";
                world.Poller.Post(static state => HoldTheThread(((Unspeakable)state!).Release), new Unspeakable(release));
                break;
        }

        await Eventually.True("it is named", () => world.Log.Entries.Any(entry => entry.Id == 7 && entry.Message.Contains(expected, StringComparison.Ordinal)));
        release.Set();
        await world.Asleep();
    }

    [Fact]
    public async Task A_logger_that_throws_does_not_end_the_watch()
    {
        ThrowingLogger logger = new();
        await using ScriptedPoller world = new(options =>
        {
            options.StallThreshold = TimeSpan.FromMilliseconds(20);
            options.Logger = logger;
        });
        for (int round = 1; round <= 2; round++)
        {
            using ManualResetEventSlim release = new();
            world.Poller.Post(HoldTheThread, release);
            await Eventually.True("the stall is reported", () => logger.Stalls == round);
            release.Set();
            await world.Asleep();
        }
    }

    [Fact]
    public async Task A_deadline_counts_as_fired_when_it_has_passed_and_not_when_it_was_moved()
    {
        FakeTimeProvider time = new();
        await using ScriptedPoller world = new(options => options.TimeProvider = time);
        NetFd fd = world.Open(new ScriptedSocket());
        fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromSeconds(1)));
        await world.Asleep();

        // The wheel still looks at it at the earlier time.
        fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromHours(1)));
        fd.SetDeadline(PollMode.Write, Deadline.After(TimeSpan.FromSeconds(3)));
        await world.Asleep();
        long waits = world.Poller.Snapshot().Waits;
        time.Advance(TimeSpan.FromSeconds(2));
        await Eventually.True("the wheel has looked", () => world.Poller.Snapshot().Waits > waits && world.Backend.IsAsleep);
        Assert.Equal((2, 0L), (world.Poller.Snapshot().DeadlinesArmed, world.Poller.Snapshot().DeadlinesFired));

        time.Advance(TimeSpan.FromSeconds(2));
        await Eventually.Equal("deadlines fired", 1, () => world.Poller.Snapshot().DeadlinesFired);
        Assert.Equal(1, world.Poller.Snapshot().DeadlinesArmed);
    }

    private static ScriptedPoller WatchedBy(FakeTimeProvider clock) => new(options =>
    {
        options.TimeProvider = clock;
        options.StallThreshold = TimeSpan.FromMilliseconds(20);
    });

    private static int Count(ScriptedPoller world, int id) => world.Log.Entries.Count(entry => entry.Id == id);

    private static bool Holds(ScriptedPoller world, string work) => world.Poller.CurrentWork?.ToString()?.Contains(work + "(", StringComparison.Ordinal) == true;

    private static async Task HoldAfterAnAwaitAsync(ManualResetEventSlim release)
    {
        await Task.Delay(1);
        HoldTheThread(release);
    }

    private static void HoldTheThreadToo(object? release) => HoldTheThread(release);

    private static void HoldTheThread(object? state) => ((ManualResetEventSlim)state!).Wait(TimeSpan.FromSeconds(30), CancellationToken.None);

    // What is counted when it happens stays; what is observed is measured anew.
    private Dictionary<string, double> Measure()
    {
        _figures.Clear();
        _byGroup.Clear();
        _listener.RecordObservableInstruments();
        return _figures.ToDictionary(static figure => figure.Key, static figure => figure.Value.Sum);
    }

    private void Note(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string? poller = null;
        string? group = null;
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            poller = tag.Key == "netpoll.poller" ? (string?)tag.Value : poller;
            group = tag.Key == "netpoll.group" ? (string?)tag.Value : group;
        }

        _byGroup.AddOrUpdate((instrument.Name, group), value, (_, earlier) => earlier + value);

        _figures.AddOrUpdate(
            instrument.Name,
            (value, instrument.Unit, poller),
            (_, earlier) => (earlier.Sum + value, instrument.Unit, poller));
    }

    private sealed class Unspeakable(ManualResetEventSlim release)
    {
        internal ManualResetEventSlim Release { get; } = release;

        public override string ToString() => throw new InvalidOperationException("It is being changed.");
    }

    private sealed class ThrowingLogger : ILogger
    {
        private int _stalls;

        internal int Stalls => Volatile.Read(ref _stalls);

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == 7)
            {
                Interlocked.Increment(ref _stalls);
                throw new InvalidOperationException("The log is full.");
            }
        }
    }
}
