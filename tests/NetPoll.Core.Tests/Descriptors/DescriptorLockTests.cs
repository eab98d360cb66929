using NetPoll.Core.Descriptors;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Descriptors;

public sealed class DescriptorLockTests
{
    private DescriptorLock _lock;
    private int _inside;
    private long _entries;

    [Fact]
    public void One_thread_at_a_time_holds_it_and_sees_what_those_before_it_wrote()
    {
        const int Threads = 4;
        int rounds = StressScale.Rounds(100_000);
        int overlaps = 0;
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(_ => new Thread(() =>
        {
            for (int round = 0; round < rounds; round++)
            {
                using (_lock.Enter())
                {
                    // Not atomic on purpose.
                    overlaps += ++_inside == 1 ? 0 : 1;
                    _entries++;
                    _inside--;
                }
            }
        }))];

        Array.ForEach(threads, static thread => thread.Start());
        Array.ForEach(threads, static thread => thread.Join());

        Assert.Equal(0, overlaps);
        Assert.Equal((long)Threads * rounds, _entries);
    }

    [Fact]
    public void One_who_finds_it_held_waits_for_the_holder()
    {
        using ManualResetEventSlim isTrying = new();
        bool entered = false;
        Thread other = new(() =>
        {
            isTrying.Set();
            using (_lock.Enter())
            {
                Volatile.Write(ref entered, true);
            }
        });
        using (_lock.Enter())
        {
            other.Start();
            isTrying.Wait(TestContext.Current.CancellationToken);
            Thread.Sleep(20);
            Assert.False(Volatile.Read(ref entered));
        }

        Assert.True(other.Join(TimeSpan.FromSeconds(30)));
        Assert.True(entered);
    }
}
