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
}
