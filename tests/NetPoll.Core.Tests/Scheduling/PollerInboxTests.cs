using NetPoll.Core.Scheduling;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Scheduling;

public sealed class PollerInboxTests
{
    private readonly PollerInbox _inbox = new();
    private readonly RunQueue _queue = new();

    [Fact]
    public void A_fresh_inbox_is_empty()
    {
        Assert.True(_inbox.IsEmpty);
        _inbox.DrainTo(_queue);
        Assert.True(_queue.IsEmpty);
    }

    [Fact]
    public void What_was_pushed_comes_out_oldest_first()
    {
        NumberedWork[] works = [.. Enumerable.Range(0, 5).Select(static number => new NumberedWork(0, number))];
        Assert.All(works, work => Assert.True(_inbox.TryPush(work)));
        Assert.False(_inbox.IsEmpty);

        _inbox.DrainTo(_queue);

        Assert.True(_inbox.IsEmpty);
        Assert.Equal(5, _queue.Count);
        Assert.Equal(works, Drain());
    }

    [Fact]
    public void What_comes_later_queues_behind_what_was_drained_before()
    {
        NumberedWork first = new(0, 0);
        NumberedWork second = new(0, 1);
        _inbox.TryPush(first);
        _inbox.DrainTo(_queue);
        _inbox.TryPush(second);
        _inbox.DrainTo(_queue);

        Assert.Equal([first, second], Drain());
    }

    [Fact]
    public void A_closed_inbox_gives_out_the_rest_and_refuses_everything_later()
    {
        NumberedWork rest = new(0, 0);
        _inbox.TryPush(rest);

        _inbox.Close(_queue);

        Assert.False(_inbox.TryPush(new NumberedWork(0, 1)));
        _inbox.DrainTo(_queue);
        Assert.Equal([rest], Drain());
    }

    [Fact]
    public void NP114_Work_of_many_threads_comes_out_once_and_in_the_order_of_each()
    {
        const int Producers = 4;
        int each = StressScale.Rounds(100_000);
        Thread[] threads = [.. Enumerable.Range(0, Producers).Select(producer => new Thread(() =>
        {
            for (int number = 0; number < each; number++)
            {
                _inbox.TryPush(new NumberedWork(producer, number));
            }
        }))];
        Array.ForEach(threads, static thread => thread.Start());

        int[] next = new int[Producers];
        int total = 0;
        while (total < Producers * each)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            _inbox.DrainTo(_queue);
            foreach (NumberedWork work in Drain())
            {
                Assert.Equal(next[work.Producer]++, work.Number);
                total++;
            }
        }

        Array.ForEach(threads, static thread => thread.Join());
        Assert.True(_inbox.IsEmpty);
    }

    [Fact]
    public void A_push_that_races_the_close_is_given_out_or_refused()
    {
        PollerInbox inbox = _inbox;
        RunQueue queue = _queue;
        int accepted = 0;

        Race.Run(
            StressScale.Rounds(20_000),
            prepare: () =>
            {
                inbox = new PollerInbox();
                queue = new RunQueue();
                accepted = 0;
            },
            here: () => inbox.Close(queue),
            there: () =>
            {
                for (int number = 0; number < 4; number++)
                {
                    accepted += inbox.TryPush(new NumberedWork(0, number)) ? 1 : 0;
                }
            },
            check: () => Assert.Equal(accepted, queue.Count));
    }

    private List<NumberedWork> Drain()
    {
        List<NumberedWork> works = [];
        while (_queue.TryDequeue(out IPollerWork? work))
        {
            works.Add((NumberedWork)work);
        }

        return works;
    }

    private sealed class NumberedWork(int producer, int number) : IPollerWork
    {
        internal int Producer => producer;

        internal int Number => number;

        public IPollerWork? Next { get; set; }

        public void Run() => throw new InvalidOperationException("This work is only counted.");
    }
}
