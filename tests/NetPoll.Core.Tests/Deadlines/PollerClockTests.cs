using Microsoft.Extensions.Time.Testing;
using NetPoll.Core.Deadlines;

namespace NetPoll.Core.Tests.Deadlines;

public sealed class PollerClockTests
{
    [Theory]
    [InlineData(1_000_000_000L)]
    [InlineData(10_000_000L)]
    [InlineData(1_000L)]
    [InlineData(24_000_000L)]
    [InlineData(3_579_545L)]
    public void The_clock_goes_in_nanoseconds_whatever_the_provider_counts_in(long frequency)
    {
        SteppedProvider provider = new(frequency);
        PollerClock clock = new(provider);
        long start = clock.Nanoseconds;

        provider.Timestamp += 5 * frequency;

        Assert.Equal(5_000_000_000, clock.Nanoseconds - start);
    }

    [Fact]
    public void The_clock_begins_above_0_so_that_0_and_below_mean_none_and_past()
    {
        Assert.True(new PollerClock(new SteppedProvider(1_000) { Timestamp = -5 }).Nanoseconds > 0);
        Assert.True(new PollerClock(new SteppedProvider(1_000)).Nanoseconds > 0);
    }

    [Theory]
    [InlineData(1601)]
    [InlineData(2000)]
    [InlineData(2050)]
    [InlineData(9000)]
    public void A_provider_whose_timestamp_is_the_date_keeps_its_pace(int year)
    {
        FakeTimeProvider provider = new(new DateTimeOffset(year, 1, 1, 0, 0, 0, TimeSpan.Zero));
        PollerClock clock = new(provider);
        long start = clock.Nanoseconds;

        provider.Advance(TimeSpan.FromDays(36_500));

        Assert.Equal(36_500L * 86_400 * 1_000_000_000, clock.Nanoseconds - start);
    }

    private sealed class SteppedProvider(long frequency) : TimeProvider
    {
        internal long Timestamp { get; set; }

        public override long TimestampFrequency => frequency;

        public override long GetTimestamp() => Timestamp;
    }
}
