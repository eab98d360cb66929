using NetPoll.Actors.Connections;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

public sealed class OutputBudgetTests
{
    [Fact]
    public void What_fits_is_counted_and_what_does_not_is_refused_without_a_trace()
    {
        OutputBudget budget = new(100);

        Assert.True(budget.TryTake(60));
        Assert.False(budget.TryTake(41));
        Assert.Equal(60, budget.Taken);
        Assert.True(budget.TryTake(40));
        Assert.False(budget.TryTake(1));
        budget.Give(100);
        Assert.Equal(0, budget.Taken);
    }

    [Fact]
    public async Task Takers_of_several_threads_never_hold_more_than_the_limit_together()
    {
        const int Limit = 100;
        OutputBudget budget = new(Limit);
        long held = 0;
        long most = 0;
        int seed = Seed.Next();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            Random random = new(seed + thread);
            for (int round = 0; round < 100_000; round++)
            {
                int bytes = random.Next(1, 60);
                if (budget.TryTake(bytes))
                {
                    // Counted in after the take and out before the give, so that the sum is never above what is taken.
                    InterlockedMax(ref most, Interlocked.Add(ref held, bytes));
                    Interlocked.Add(ref held, -bytes);
                    budget.Give(bytes);
                }
            }
        })));

        Assert.InRange(most, 1, Limit);
        Assert.Equal(0, budget.Taken);
    }

    private static void InterlockedMax(ref long most, long value)
    {
        for (long seen = Volatile.Read(ref most); seen < value;)
        {
            long found = Interlocked.CompareExchange(ref most, value, seen);
            if (found == seen)
            {
                return;
            }

            seen = found;
        }
    }
}
