using NetPoll.Actors.Listening;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Listening;

public sealed class LiveCountTests
{
    [Fact]
    public void The_last_place_is_given_once()
    {
        LiveCount count = new();

        Assert.True(count.TryEnter(2));
        Assert.True(count.TryEnter(2));
        Assert.False(count.TryEnter(2));
        Assert.Equal(2, count.Live);
        count.Leave();
        Assert.True(count.TryEnter(2));
    }

    [Fact]
    public void Threads_that_come_and_go_are_never_more_than_the_limit()
    {
        LiveCount count = new();
        long most = 0;

        Parallel.For(0, 4, _ =>
        {
            for (int round = 0; round < 50_000; round++)
            {
                if (count.TryEnter(2))
                {
                    long live = count.Live;
                    if (live > Volatile.Read(ref most))
                    {
                        Volatile.Write(ref most, live);
                    }

                    count.Leave();
                }
            }
        });

        Assert.InRange(most, 1, 2);
        Assert.Equal(0, count.Live);
    }

    [Fact]
    public async Task Who_waits_for_none_is_told_at_once_when_there_is_none()
    {
        await new LiveCount().WhenNoneAsync().Soon();
    }

    [Fact]
    public async Task Who_begins_to_wait_while_the_last_one_ends_is_told()
    {
        for (int round = 0; round < StressScale.Rounds(2_000); round++)
        {
            LiveCount count = new();
            Assert.True(count.TryEnter());
            using Barrier together = new(2);
            Task ends = Task.Run(() =>
            {
                together.SignalAndWait();
                count.Leave();
            });

            together.SignalAndWait();
            await count.WhenNoneAsync().Soon();
            await ends;
        }
    }
}
