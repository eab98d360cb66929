using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Deadlines;

public sealed class TimingWheelTests
{
    private const long Millisecond = PollerClock.NanosecondsPerMillisecond;

    private readonly ReadyList _ready = new();

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(Millisecond - 1, 1)]
    [InlineData(Millisecond, 1)]
    [InlineData(Millisecond + 1, 2)]
    [InlineData(long.MaxValue, (long.MaxValue / Millisecond) + 1)]
    public void A_deadline_is_rounded_up_to_a_tick(long nanoseconds, long tick)
    {
        Assert.Equal(tick, TimingWheel.TickOf(nanoseconds));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(257)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    [InlineData(16_777_215)]
    [InlineData(16_777_216)]
    [InlineData(16_777_217)]
    [InlineData(4_294_967_295)]
    [InlineData(4_294_967_296)]
    [InlineData(4_294_967_297)]
    [InlineData(100_000_000_000)]
    public void A_node_is_reminded_at_its_tick_and_not_one_before(long distance)
    {
        foreach (long start in new[] { 0L, 1, 255, 256, 1_000_003, 4_294_967_290 })
        {
            TimingWheel wheel = new(start * Millisecond);
            Node node = new();
            wheel.Arm(node, (start + distance) * Millisecond);

            WalkTo(wheel, (start + distance - 1) * Millisecond);
            Assert.Empty(node.Reminders);
            WalkTo(wheel, (start + distance) * Millisecond);

            Assert.Equal([(start + distance) * Millisecond], node.Reminders);
            Assert.Equal(0, wheel.Count);
            Assert.Equal(long.MaxValue, wheel.NextDue());
        }
    }

    [Fact]
    public void One_long_jump_reminds_everything_that_is_due_and_nothing_else()
    {
        TimingWheel wheel = new(5 * Millisecond);
        Node[] due = [.. new long[] { 6, 300, 70_000, 20_000_000, 5_000_000_000 }.Select(tick => Armed(wheel, tick))];
        Node later = Armed(wheel, 5_000_000_001);

        Assert.Equal(due.Length, wheel.Advance(5_000_000_000 * Millisecond, _ready));

        Assert.All(due, static node => Assert.Single(node.Reminders));
        Assert.Empty(later.Reminders);
        Assert.Equal(1, wheel.Count);
    }

    [Fact]
    public void The_next_due_time_is_never_later_than_a_node()
    {
        TimingWheel wheel = new(0);
        Armed(wheel, 1_000);

        long next = wheel.NextDue();
        Assert.InRange(next, 1, 1_000 * Millisecond);

        Armed(wheel, 10);
        Assert.Equal(10 * Millisecond, wheel.NextDue());
    }

    [Fact]
    public void A_time_that_has_passed_is_reminded_by_the_next_tick()
    {
        TimingWheel wheel = new(1_000 * Millisecond);
        Node node = Armed(wheel, 5);

        wheel.Advance(1_000 * Millisecond, _ready);
        Assert.Empty(node.Reminders);
        wheel.Advance(1_001 * Millisecond, _ready);

        Assert.Single(node.Reminders);
    }

    [Fact]
    public void A_clock_that_stands_or_goes_back_reminds_nobody()
    {
        TimingWheel wheel = new(1_000 * Millisecond);
        Node node = Armed(wheel, 1_001);

        Assert.Equal(0, wheel.Advance(1_000 * Millisecond, _ready));
        Assert.Equal(0, wheel.Advance(10 * Millisecond, _ready));

        Assert.Empty(node.Reminders);
        Assert.Equal(1, wheel.Advance(1_001 * Millisecond, _ready));
    }

    [Fact]
    public void A_cancelled_node_is_not_reminded_and_may_be_cancelled_again()
    {
        TimingWheel wheel = new(0);
        Node node = Armed(wheel, 10);

        wheel.Cancel(node);
        wheel.Cancel(node);

        Assert.Equal(0, wheel.Count);
        Assert.Equal(0, wheel.Advance(1_000 * Millisecond, _ready));
        Assert.Empty(node.Reminders);
    }

    [Fact]
    public void A_reminder_may_cancel_its_neighbours_of_the_same_tick()
    {
        for (int canceller = 0; canceller < 5; canceller++)
        {
            TimingWheel wheel = new(0);
            Node[] nodes = [.. Enumerable.Range(0, 5).Select(_ => Armed(wheel, 10))];
            Node first = nodes[canceller];
            bool isFirst = true;
            foreach (Node node in nodes)
            {
                node.Action = _ =>
                {
                    if (isFirst)
                    {
                        isFirst = false;
                        Array.ForEach(nodes, wheel.Cancel);
                        wheel.Arm(first, 20 * Millisecond);
                    }
                };
            }

            Assert.Equal(1, wheel.Advance(10 * Millisecond, _ready));
            Assert.Equal(1, wheel.Count);
            Assert.Equal(1, wheel.Advance(20 * Millisecond, _ready));
        }
    }

    [Fact]
    public void A_node_that_arms_itself_in_its_reminder_is_reminded_again_by_later_ticks_only()
    {
        TimingWheel wheel = new(0);
        Node node = Armed(wheel, 1);
        node.Action = now => wheel.Arm(node, now);

        Assert.Equal(1, wheel.Advance(1 * Millisecond, _ready));
        Assert.Equal(1, wheel.Advance(2 * Millisecond, _ready));

        Assert.Equal(1, wheel.Count);
    }

    [Fact]
    public void NP051_Moving_a_node_ten_thousand_times_reminds_it_once_at_its_last_time()
    {
        Random random = new(Seed.Next());
        foreach (Func<int, long> place in new Func<int, long>[] { step => 100_000 + step, step => 200_000 - step, _ => random.Next(1, 5_000_000) })
        {
            TimingWheel wheel = new(0);
            Node node = new();
            long last = 0;
            for (int step = 0; step < 10_000; step++)
            {
                last = place(step);
                wheel.Arm(node, last * Millisecond);
                Assert.Equal(1, wheel.Count);
            }

            WalkTo(wheel, 6_000_000 * Millisecond);
            Assert.Equal([last * Millisecond], node.Reminders);
        }
    }

    [Fact]
    public void Whatever_is_armed_moved_and_cancelled_is_reminded_as_by_a_sorted_list()
    {
        Random random = new(Seed.Next());
        int rounds = StressScale.Rounds(20);
        for (int round = 0; round < rounds; round++)
        {
            CompareWithNaiveList(random, steps: 20_000);
        }
    }

    [Fact]
    public void NP057_Arming_moving_and_cancelling_allocate_nothing()
    {
        TimingWheel wheel = new(0);
        Node[] nodes = [.. Enumerable.Range(0, 1_000).Select(static _ => new Node())];

        long bytes = AllocationCounter.BytesOf(() =>
        {
            for (int round = 0; round < 100; round++)
            {
                for (int index = 0; index < nodes.Length; index++)
                {
                    wheel.Arm(nodes[index], ((index * 37L) + round + 1) * Millisecond);
                }

                _ = wheel.NextDue();
            }

            foreach (Node node in nodes)
            {
                wheel.Cancel(node);
            }
        });

        Assert.Equal(0, bytes);
    }

    // A poller's way: from due time to due time.
    private void WalkTo(TimingWheel wheel, long time)
    {
        long next = wheel.NextDue();
        while (next < time)
        {
            wheel.Advance(next, _ready);
            Assert.True(wheel.NextDue() > next, "The wheel would make a poller spin.");
            next = wheel.NextDue();
        }

        wheel.Advance(time, _ready);
    }

    private static Node Armed(TimingWheel wheel, long tick)
    {
        Node node = new();
        wheel.Arm(node, tick * Millisecond);
        return node;
    }

    // The model: a node is due at its tick or at the first one after the arming, whichever is later; a call that moves the clock past
    // that tick reminds it; what arms itself meanwhile is due from the tick after the one that is being worked off.
    private void CompareWithNaiveList(Random random, int steps)
    {
        long now = random.NextInt64(0, 1L << 40);
        TimingWheel wheel = new(now * Millisecond);
        Node[] nodes = [.. Enumerable.Range(0, 200).Select(static _ => new Node())];
        Dictionary<Node, long> expected = [];
        List<(Node Node, long Tick)> reminded = [];
        long working = now;
        foreach (Node node in nodes)
        {
            node.Action = _ =>
            {
                long tick = expected[node];
                Assert.True(tick >= working, "A node is late: one with a later time was reminded before it.");
                working = tick;
                expected.Remove(node);
                reminded.Add((node, tick));
                switch (random.Next(6))
                {
                    case 0:
                        Arm(node, working);
                        break;
                    case 1:
                        Arm(nodes[random.Next(nodes.Length)], working);
                        break;
                    case 2:
                        Cancel(nodes[random.Next(nodes.Length)]);
                        break;
                }
            };
        }

        for (int step = 0; step < steps; step++)
        {
            switch (random.Next(4))
            {
                case 0:
                case 1:
                    Arm(nodes[random.Next(nodes.Length)], now);
                    break;
                case 2:
                    Cancel(nodes[random.Next(nodes.Length)]);
                    break;
                default:
                    long due = wheel.NextDue();
                    long first = expected.Count == 0 ? long.MaxValue : expected.Values.Min();
                    Assert.True(due == long.MaxValue ? first == long.MaxValue : due / Millisecond <= first, "The wheel would sleep through a node.");
                    now = Math.Max(now, random.Next(3) == 0 && due != long.MaxValue ? due / Millisecond : now + Distance());
                    working = 0;
                    reminded.Clear();
                    int count = wheel.Advance((now * Millisecond) + random.NextInt64(Millisecond), _ready);
                    Assert.Equal(reminded.Count, count);
                    Assert.All(reminded, entry => Assert.True(entry.Tick <= now, "A node was early."));
                    Assert.All(expected.Values, tick => Assert.True(tick > now, "A node that is due was not reminded."));
                    break;
            }

            Assert.Equal(expected.Count, wheel.Count);
        }

        void Arm(Node node, long current)
        {
            long tick = current + Distance() - 10;
            wheel.Arm(node, Math.Max(0, (tick * Millisecond) - random.NextInt64(Millisecond)));
            expected[node] = Math.Max(tick, current + 1);
        }

        void Cancel(Node node)
        {
            wheel.Cancel(node);
            expected.Remove(node);
        }

        // Near ones mostly, and some in every level and beyond the last.
        long Distance() => random.NextInt64(1, 1L << random.Next(1, random.Next(8) == 0 ? 36 : 12));
    }

    [Fact]
    public void At_most_so_many_are_reminded_at_once_and_the_others_are_due_next()
    {
        TimingWheel wheel = new(0);
        Node[] nodes = [.. Enumerable.Range(0, 25).Select(static _ => new Node())];
        Node later = new();
        foreach (Node node in nodes)
        {
            wheel.Arm(node, 7 * Millisecond);
        }

        wheel.Arm(later, 300 * Millisecond);
        Assert.Equal(10, wheel.Advance(500 * Millisecond, _ready, most: 10));
        Assert.Equal(7 * Millisecond, wheel.NextDue());
        Assert.Equal(10, wheel.Advance(500 * Millisecond, _ready, most: 10));

        // One of those that are left goes, one comes again, and one is new.
        Node[] left = Array.FindAll(nodes, static node => node.Reminders.Count == 0);
        wheel.Cancel(left[0]);
        wheel.Arm(left[1], 8 * Millisecond);
        Node added = new();
        wheel.Arm(added, 3 * Millisecond);
        Assert.Equal(3, wheel.Advance(500 * Millisecond, _ready, most: 3));
        Assert.Empty(later.Reminders);
        Assert.Equal(3, wheel.Advance(500 * Millisecond, _ready, most: 10));

        Assert.Empty(left[0].Reminders);
        Assert.All(nodes.Except([left[0]]).Append(added).Append(later), static node => Assert.Single(node.Reminders));
        Assert.Equal(0, wheel.Count);
        Assert.Equal(long.MaxValue, wheel.NextDue());
    }

    private sealed class Node : DeadlineNode
    {
        internal Action<long>? Action { get; set; }

        internal List<long> Reminders { get; } = [];

        internal override void OnDue(long now, ReadyList ready)
        {
            Assert.False(IsInWheel);
            Reminders.Add(now);
            Action?.Invoke(now);
        }
    }
}
