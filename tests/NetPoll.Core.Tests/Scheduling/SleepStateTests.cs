using NetPoll.Core.Scheduling;
using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests.Scheduling;

public sealed class SleepStateTests
{
    [Fact]
    public void Only_the_first_of_those_who_find_the_poller_asleep_has_to_wake_it()
    {
        SleepState sleep = default;
        Assert.False(sleep.MustNotify());

        sleep.FallAsleep();
        Assert.True(sleep.MustNotify());
        Assert.False(sleep.MustNotify());

        sleep.Wake();
        Assert.False(sleep.MustNotify());
        sleep.FallAsleep();
        Assert.True(sleep.MustNotify());
    }

    [Fact]
    public void NP115_No_order_of_a_post_and_a_sleep_leaves_the_poller_asleep_with_work()
    {
        int orders = Interleavings.Explore(
            static () => new World(),
            static world => [world.Poller(until: 1), world.Post()],
            static (world, order) => Assert.True(world.Drained == 1, order));

        Assert.True(orders > 10);
    }

    [Fact]
    public void NP115_No_order_of_two_posts_and_a_sleep_leaves_the_poller_asleep_with_work()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Poller(until: 2), world.Post(), world.Post()],
            static (world, order) =>
            {
                Assert.True(world.Drained == 2, order);
                Assert.True(world.WakeupsSent <= 2, order);
            });
    }

    [Fact]
    public void NP115_No_order_of_three_posts_by_one_thread_leaves_the_poller_asleep_with_work()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Poller(until: 3), world.Post().Concat(world.Post()).Concat(world.Post())],
            static (world, order) => Assert.True(world.Drained == 3, order));
    }

    [Fact]
    public void A_poller_that_looked_before_it_announced_its_sleep_would_sleep_with_work()
    {
        bool sleeps = false;

        Interleavings.Explore(
            static () => new World { LooksBeforeItSleeps = true },
            static world => [world.Poller(until: 1), world.Post()],
            (world, _) => sleeps |= world.Drained == 0);

        Assert.True(sleeps);
    }

    [Fact]
    public void A_poster_that_looked_before_it_pushed_would_let_the_poller_sleep_with_work()
    {
        bool sleeps = false;

        Interleavings.Explore(
            static () => new World { LooksBeforeItPosts = true },
            static world => [world.Poller(until: 1), world.Post()],
            (world, _) => sleeps |= world.Drained == 0);

        Assert.True(sleeps);
    }

    // Poller.Wait and Poller.Post, step by step, on a real inbox and a real sleep state; the eventfd is a counter.
    private sealed class World
    {
        private readonly PollerInbox _inbox = new();
        private readonly RunQueue _queue = new();
        private SleepState _sleep;
        private int _eventCounter;

        internal bool LooksBeforeItSleeps { get; init; }

        internal bool LooksBeforeItPosts { get; init; }

        internal int Drained { get; private set; }

        internal int WakeupsSent { get; private set; }

        internal IEnumerable<Func<bool>> Poller(int until)
        {
            while (Drained < until)
            {
                bool mayBlock = _inbox.IsEmpty;
                if (LooksBeforeItSleeps)
                {
                    yield return Interleavings.Free;
                }

                _sleep.FallAsleep();
                yield return Interleavings.Free;
                if (!LooksBeforeItSleeps)
                {
                    mayBlock = _inbox.IsEmpty;
                    yield return Interleavings.Free;
                }

                if (mayBlock)
                {
                    yield return () => _eventCounter > 0;
                }

                _eventCounter = 0;
                yield return Interleavings.Free;
                _sleep.Wake();
                yield return Interleavings.Free;
                _inbox.DrainTo(_queue);
                while (_queue.TryDequeue(out _))
                {
                    Drained++;
                }

                yield return Interleavings.Free;
            }
        }

        internal IEnumerable<Func<bool>> Post()
        {
            bool mustNotify = false;
            if (LooksBeforeItPosts)
            {
                mustNotify = _sleep.MustNotify();
                yield return Interleavings.Free;
            }

            Assert.True(_inbox.TryPush(new CallbackWork(static _ => { }, null)));
            yield return Interleavings.Free;
            if (!LooksBeforeItPosts)
            {
                mustNotify = _sleep.MustNotify();
                yield return Interleavings.Free;
            }

            if (mustNotify)
            {
                WakeupsSent++;
                _eventCounter++;
            }
        }
    }
}
