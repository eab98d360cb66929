using System.Runtime.CompilerServices;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Who is told that he runs on a poller's thread, which a poller tells by its stack where it can.</summary>
public sealed class PollerCurrentTests
{
    private const int BytesPerFrame = 1024;

    // Well below the part of the stack by which a poller knows its thread.
    private const int Frames = 128;

    [Fact]
    public async Task A_poller_knows_its_thread_however_deep_the_caller_is()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 2, Platform = new ScriptedPlatform() });
        foreach (Poller poller in group.Pollers)
        {
            Poller other = group.Pollers[1 - poller.Index];

            (int own, int foreign) = await poller.RunAsync(() => Task.FromResult((CountCurrent(poller, Frames), CountCurrent(other, Frames))));

            Assert.Equal((Frames, 0), (own, foreign));
        }
    }

    [Fact]
    public async Task A_poller_s_thread_is_no_other_thread()
    {
        await using ScriptedPoller world = new();

        Assert.Equal(0, CountCurrent(world.Poller, Frames));
        Assert.Equal(0, await Task.Run(() => CountCurrent(world.Poller, Frames), TestContext.Current.CancellationToken));
        Assert.Equal(0, OnNewThread(world.Poller));
    }

    [Fact]
    public async Task A_poller_that_has_stopped_is_current_only_for_what_was_posted_to_it()
    {
        ScriptedPoller world = new();
        await world.Group.DisposeAsync();

        (bool isPool, int posted) = await world.Poller.RunAsync(() =>
            Task.FromResult((Thread.CurrentThread.IsThreadPoolThread, CountCurrent(world.Poller, Frames))));

        Assert.Equal((true, Frames), (isPool, posted));
        Assert.Equal(0, CountCurrent(world.Poller, Frames));
        await Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount * 4).Select(_ => Task.Run(() => Assert.False(world.Poller.IsCurrent))));
    }

    [Fact]
    public async Task A_thread_that_has_the_memory_of_a_stopped_poller_s_stack_is_not_the_poller_s()
    {
        for (int round = 0; round < 20; round++)
        {
            ScriptedPoller world = new();
            await world.Group.DisposeAsync();

            // The system gives the stack of a thread that ended to one of the next.
            for (int thread = 0; thread < 4; thread++)
            {
                Assert.Equal(0, OnNewThread(world.Poller));
            }
        }
    }

    private static int OnNewThread(Poller poller)
    {
        int current = -1;
        Thread thread = new(() => current = CountCurrent(poller, Frames));
        thread.Start();
        thread.Join();
        return current;
    }

    // In how many frames of so many, one below the other, the poller said that it is its thread.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int CountCurrent(Poller poller, int frames)
    {
        Span<byte> room = stackalloc byte[BytesPerFrame];
        room[frames] = poller.IsCurrent ? (byte)1 : (byte)0;
        int below = frames > 1 ? CountCurrent(poller, frames - 1) : 0;
        return below + room[frames];
    }
}
