using Microsoft.Extensions.Time.Testing;
using NetPoll.Core.Deadlines;

namespace NetPoll.Core.Tests.Deadlines;

public sealed class DeadlineTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly PollerClock _clock;

    public DeadlineTests() => _clock = new PollerClock(_time);

    [Fact]
    public void The_default_value_is_none()
    {
        Assert.Equal(Deadline.None, default);
        Assert.Equal(0, Deadline.None.Resolve(_clock));
    }

    [Fact]
    public void NP044_Past_and_now_are_past_and_not_none()
    {
        Assert.Equal(-1, Deadline.Past.Resolve(_clock));
        Assert.Equal(-1, Deadline.After(TimeSpan.Zero).Resolve(_clock));
        Assert.Equal(-1, Deadline.At(_time.GetUtcNow()).Resolve(_clock));
        Assert.Equal(-1, Deadline.At(_time.GetUtcNow() - TimeSpan.FromTicks(1)).Resolve(_clock));
    }

    [Fact]
    public void A_timeout_counts_from_the_moment_at_which_it_is_set()
    {
        Deadline deadline = Deadline.After(TimeSpan.FromMilliseconds(5));
        long first = deadline.Resolve(_clock);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(first + 1_000_000_000, deadline.Resolve(_clock));
        Assert.Equal(5_000_000, deadline.Resolve(_clock) - _clock.Nanoseconds);
    }

    [Fact]
    public void A_moment_stays_where_it_is_while_the_clock_goes_on()
    {
        Deadline deadline = Deadline.At(_time.GetUtcNow() + TimeSpan.FromSeconds(2));
        long first = deadline.Resolve(_clock);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(first, deadline.Resolve(_clock));
    }

    [Fact]
    public void The_smallest_timeout_is_in_the_future()
    {
        Assert.Equal(_clock.Nanoseconds + 100, Deadline.After(TimeSpan.FromTicks(1)).Resolve(_clock));
    }

    [Fact]
    public void NP053_What_overflows_is_the_end_of_time_and_never_the_past()
    {
        Assert.Equal(long.MaxValue, Deadline.After(TimeSpan.MaxValue).Resolve(_clock));
        Assert.True(Deadline.At(DateTimeOffset.MaxValue).Resolve(_clock) > _clock.Nanoseconds + (200L * 365 * 86_400 * 1_000_000_000));
        Assert.Equal(-1, Deadline.After(TimeSpan.MinValue).Resolve(_clock));
        Assert.Equal(-1, Deadline.At(DateTimeOffset.MinValue).Resolve(_clock));
    }

    [Fact]
    public void An_infinite_timeout_is_none()
    {
        Assert.Equal(Deadline.None, Deadline.After(Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public void Equal_deadlines_are_equal()
    {
        Deadline one = Deadline.After(TimeSpan.FromSeconds(1));

        Assert.True(one == Deadline.After(TimeSpan.FromSeconds(1)));
        Assert.True(one != Deadline.After(TimeSpan.FromSeconds(2)));
        Assert.False(one.Equals((object)Deadline.Past));
        Assert.Equal(one.GetHashCode(), Deadline.After(TimeSpan.FromSeconds(1)).GetHashCode());
    }

    [Fact]
    public void A_deadline_says_what_it_is()
    {
        Assert.Equal("none", Deadline.None.ToString());
        Assert.Equal("past", Deadline.Past.ToString());
        Assert.Equal("after 00:00:01", Deadline.After(TimeSpan.FromSeconds(1)).ToString());
        Assert.Equal("at 2000-01-01T00:00:00.0000000+00:00", Deadline.At(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero)).ToString());
    }
}
