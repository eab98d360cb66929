using System.Collections.Concurrent;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>What is posted to a poller that has stopped: it runs, one piece after the other, as if the poller's thread were still there.</summary>
public sealed class PollerAfterEndTests
{
    private int _isInside;
    private int _overlaps;
    private int _strangers;

    [Fact]
    public async Task Work_from_many_threads_runs_in_order_and_never_two_pieces_at_once()
    {
        const int Posters = 4;
        int each = StressScale.Rounds(2_000);
        ScriptedPoller world = new();
        await world.Group.DisposeAsync();
        ConcurrentQueue<(int Poster, int Number)> ran = new();

        await Task.WhenAll(Enumerable.Range(0, Posters).Select(poster => Task.Run(() =>
        {
            for (int number = 0; number < each; number++)
            {
                int posted = number;
                world.Poller.Post(() => Enter(world.Poller, () => ran.Enqueue((poster, posted))));
            }
        })));
        await Eventually.Equal("pieces of work", Posters * each, () => ran.Count);

        AssertAlone();
        AssertInOrder(ran, Posters, each);
    }

    [Fact]
    public async Task Work_that_races_the_end_runs_once_in_order_and_never_two_pieces_at_once()
    {
        const int Posters = 2;
        const int Each = 200;
        int rounds = StressScale.Rounds(100);
        for (int round = 0; round < rounds; round++)
        {
            ScriptedPoller world = new();
            ConcurrentQueue<(int Poster, int Number)> ran = new();
            using Barrier barrier = new(Posters + 1);
            Task[] posters = [.. Enumerable.Range(0, Posters).Select(poster => Task.Run(() =>
            {
                barrier.SignalAndWait(CancellationToken.None);
                for (int number = 0; number < Each; number++)
                {
                    int posted = number;
                    world.Poller.Post(() => Enter(world.Poller, () => ran.Enqueue((poster, posted))));
                }
            }))];

            barrier.SignalAndWait(CancellationToken.None);
            await world.Group.DisposeAsync();
            await Task.WhenAll(posters);
            await Eventually.Equal("pieces of work", Posters * Each, () => ran.Count);

            AssertAlone();
            AssertInOrder(ran, Posters, Each);
        }
    }

    [Fact]
    public async Task What_follows_an_await_is_on_the_poller_as_before()
    {
        ScriptedPoller world = new();
        await world.Group.DisposeAsync();

        (Poller? before, Poller? after) = await world.Poller.RunAsync(async () =>
        {
            Poller? first = Poller.Current;
            await Task.Yield();
            await Task.Run(static () => { });
            return (first, Poller.Current);
        }).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Same(world.Poller, before);
        Assert.Same(world.Poller, after);
    }

    [Fact]
    public async Task A_piece_that_throws_is_logged_and_the_next_one_runs()
    {
        ScriptedPoller world = new();
        await world.Group.DisposeAsync();
        TaskCompletionSource next = new(TaskCreationOptions.RunContinuationsAsynchronously);

        world.Poller.Post(static () => throw new InvalidOperationException("on purpose"));
        world.Poller.Post(next.SetResult);
        await next.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Contains(world.Log.Entries, static entry => entry.Exception is InvalidOperationException { Message: "on purpose" });
    }

    private void Enter(Poller poller, Action work)
    {
        if (Interlocked.Exchange(ref _isInside, 1) != 0)
        {
            Interlocked.Increment(ref _overlaps);
        }

        if (!poller.IsCurrent)
        {
            Interlocked.Increment(ref _strangers);
        }

        work();
        Volatile.Write(ref _isInside, 0);
    }

    private void AssertAlone()
    {
        Assert.Equal(0, _overlaps);
        Assert.Equal(0, _strangers);
    }

    private static void AssertInOrder(IReadOnlyCollection<(int Poster, int Number)> ran, int posters, int each)
    {
        for (int poster = 0; poster < posters; poster++)
        {
            Assert.Equal(Enumerable.Range(0, each), ran.Where(work => work.Poster == poster).Select(static work => work.Number));
        }
    }
}
