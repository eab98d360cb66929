using System.Runtime.CompilerServices;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Tests.Scheduling;

public sealed class RunQueueTests
{
    [Fact]
    public void Work_comes_out_in_the_order_in_which_it_went_in()
    {
        RunQueue queue = new();
        List<int> ran = [];
        for (int number = 0; number < 3; number++)
        {
            queue.Enqueue(new CallbackWork(state => ran.Add((int)state!), number));
        }

        Assert.Equal(3, queue.Count);
        while (queue.TryDequeue(out IPollerWork? work))
        {
            work.Run();
        }

        Assert.Equal([0, 1, 2], ran);
        Assert.True(queue.IsEmpty);
        Assert.Equal(0, queue.Count);
    }

    [Fact]
    public void Work_that_was_taken_out_may_be_queued_again_by_itself()
    {
        RunQueue queue = new();
        int runs = 0;
        CallbackWork work = null!;
        work = new CallbackWork(_ =>
        {
            if (++runs < 5)
            {
                queue.Enqueue(work);
            }
        }, null);
        queue.Enqueue(work);
        queue.Enqueue(new CallbackWork(static _ => { }, null));

        int taken = 0;
        while (queue.TryDequeue(out IPollerWork? next))
        {
            next.Run();
            taken++;
        }

        Assert.Equal(6, taken);
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(100_000)]
    public void More_than_it_has_room_for_keeps_its_order_while_work_comes_and_goes(int most)
    {
        RunQueue queue = new();
        List<int> seen = [];
        int queued = 0;
        for (int round = 0; round < 2; round++)
        {
            // Two in and one out, so that it grows from any place of the ring.
            while (queue.Count < most)
            {
                queue.Enqueue(new Numbered(queued++));
                queue.Enqueue(new Numbered(queued++));
                seen.Add(Take(queue));
            }

            List<int> visited = [];
            queue.Visit(visited, static (work, numbers) => numbers.Add(((Numbered)work).Number));
            Assert.Equal(Enumerable.Range(seen.Count, queue.Count), visited);
            while (!queue.IsEmpty)
            {
                seen.Add(Take(queue));
            }
        }

        Assert.Equal(Enumerable.Range(0, queued), seen);
    }

    [Fact]
    public void What_has_run_is_not_kept_alive()
    {
        RunQueue queue = new();
        WeakReference work = Run(queue);

        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.False(work.IsAlive);
        GC.KeepAlive(queue);
    }

    [Fact]
    public void What_a_burst_needed_is_given_back_and_what_is_usual_is_kept()
    {
        RunQueue queue = new();
        Numbered work = new(0);
        int atFirst = queue.Room;
        Fill(queue, work, 1_000_000);
        Assert.Equal(atFirst, queue.Room);

        Fill(queue, work, 10_000);
        int usual = queue.Room;
        Assert.InRange(usual, 10_000, 64 * 1024);
        Fill(queue, work, 10_000);
        Assert.Equal(usual, queue.Room);
    }

    private static int Take(RunQueue queue)
    {
        Assert.True(queue.TryDequeue(out IPollerWork? work));
        return ((Numbered)work).Number;
    }

    private static void Fill(RunQueue queue, IPollerWork work, int count)
    {
        for (int number = 0; number < count; number++)
        {
            queue.Enqueue(work);
        }

        while (queue.TryDequeue(out _))
        {
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference Run(RunQueue queue)
    {
        Numbered work = new(0);
        queue.Enqueue(work);
        Assert.Equal(0, Take(queue));
        return new WeakReference(work);
    }

    private sealed class Numbered(int number) : IPollerWork
    {
        internal int Number { get; } = number;

        IPollerWork? IPollerWork.Next { get; set; }

        void IPollerWork.Run()
        {
        }
    }
}
