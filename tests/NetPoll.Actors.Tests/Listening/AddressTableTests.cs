using System.Net;
using NetPoll.Actors.Listening;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>What each network may do: counting, the bucket, networks by their prefix, and what is remembered.</summary>
public sealed class AddressTableTests
{
    private const long Second = 1_000_000_000;

    private static readonly IPAddress One = IPAddress.Parse("10.0.0.1");
    private static readonly IPAddress Neighbour = IPAddress.Parse("10.0.0.200");
    private static readonly IPAddress Stranger = IPAddress.Parse("10.0.1.1");

    [Fact]
    public void A_network_may_have_so_many_open_and_gets_a_place_when_one_ends()
    {
        AddressTable table = Table(new AddressLimit { MaxConcurrent = 2 });

        NetworkUse[] first = Admitted(table, One, 0);
        _ = Admitted(table, One, 0);

        Assert.Equal(RefusalReason.NetworkConcurrency, table.TryEnter(One, 0, out NetworkUse[]? none));
        Assert.Null(none);
        _ = Admitted(table, Neighbour, 0);
        table.Leave(first, 1);
        _ = Admitted(table, One, 1);
        Assert.Equal(RefusalReason.NetworkConcurrency, table.TryEnter(One, 1, out _));
    }

    [Fact]
    public void Without_a_rate_one_whose_clock_was_read_a_moment_earlier_is_no_intruder()
    {
        AddressTable table = Table(new AddressLimit { MaxConcurrent = 2 });

        _ = Admitted(table, One, 5 * Second);
        _ = Admitted(table, One, (5 * Second) - 1);
    }

    [Fact]
    public void A_network_may_come_so_often_at_once_and_then_evenly()
    {
        AddressTable table = Table(new AddressLimit { MaxPerInterval = 3, Interval = TimeSpan.FromSeconds(60) });

        for (int number = 0; number < 3; number++)
        {
            table.Leave(Admitted(table, One, 5 * Second), 5 * Second);
        }

        Assert.Equal(RefusalReason.NetworkRate, table.TryEnter(One, 5 * Second, out _));
        Assert.Equal(RefusalReason.NetworkRate, table.TryEnter(One, (25 * Second) - 1, out _));
        _ = Admitted(table, One, 25 * Second);
        Assert.Equal(RefusalReason.NetworkRate, table.TryEnter(One, 25 * Second, out _));
        _ = Admitted(table, Neighbour, 25 * Second);
    }

    [Fact]
    public void Who_is_refused_for_one_limit_uses_nothing_of_the_others()
    {
        AddressTable table = Table(
            new AddressLimit { MaxPerInterval = 3, Interval = TimeSpan.FromSeconds(60) },
            new AddressLimit { IPv4PrefixLength = 24, MaxConcurrent = 1 });
        NetworkUse[] only = Admitted(table, One, 0);

        for (int attempt = 0; attempt < 10; attempt++)
        {
            Assert.Equal(RefusalReason.NetworkConcurrency, table.TryEnter(One, 0, out _));
            Assert.Equal(RefusalReason.NetworkConcurrency, table.TryEnter(Neighbour, 0, out _));
        }

        table.Leave(only, 0);
        table.Leave(Admitted(table, One, 0), 0);
        table.Leave(Admitted(table, One, 0), 0);
        Assert.Equal(RefusalReason.NetworkRate, table.TryEnter(One, 0, out _));
        Assert.Null(table.TryEnter(Neighbour, 0, out _));
    }

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.1", 32, true)]
    [InlineData("10.0.0.1", "10.0.0.0", 32, false)]
    [InlineData("10.0.0.1", "10.0.0.200", 24, true)]
    [InlineData("10.0.0.1", "10.0.1.1", 24, false)]
    [InlineData("10.0.0.1", "10.0.1.1", 23, true)]
    [InlineData("10.0.0.1", "203.0.113.9", 0, true)]
    [InlineData("10.0.0.1", "::ffff:10.0.0.1", 32, true)]
    [InlineData("::ffff:10.0.0.1", "::ffff:10.0.0.2", 32, false)]
    [InlineData("2001:db8::1", "2001:db8::ffff:0:0:1", 64, true)]
    [InlineData("2001:db8::1", "2001:db8:0:1::1", 64, false)]
    [InlineData("2001:db8::1", "2001:db8:0:1::1", 48, true)]
    [InlineData("2001:db8::1", "2001:db8::1", 128, true)]
    [InlineData("2001:db8::1", "2001:db8::2", 128, false)]
    [InlineData("2001:db8::1", "fe80::1", 0, true)]
    [InlineData("fe80::1%3", "fe80::1%4", 128, true)]
    [InlineData("0.0.0.0", "::", 0, false)]
    public void A_network_is_what_shares_the_first_bits(string first, string second, int prefixLength, bool isSame)
    {
        int ipv4 = Math.Min(prefixLength, 32);

        NetworkKey one = NetworkKey.Of(IPAddress.Parse(first), ipv4, prefixLength);
        NetworkKey other = NetworkKey.Of(IPAddress.Parse(second), ipv4, prefixLength);

        Assert.Equal(isSame, one == other);
    }

    [Fact]
    public void Exempt_networks_are_not_counted_however_their_addresses_are_written()
    {
        AddressTable table = new([new AddressLimit { MaxConcurrent = 1 }], [IPNetwork.Parse("10.0.0.0/24"), IPNetwork.Parse("2001:db8::/32")]);

        for (int number = 0; number < 3; number++)
        {
            Assert.Null(table.TryEnter(One, 0, out NetworkUse[]? uses));
            Assert.Null(uses);
            Assert.Null(table.TryEnter(One.MapToIPv6(), 0, out _));
            Assert.Null(table.TryEnter(IPAddress.Parse("2001:db8::9"), 0, out _));
        }

        _ = Admitted(table, Stranger, 0);
        Assert.Equal(RefusalReason.NetworkConcurrency, table.TryEnter(Stranger, 0, out _));
        Assert.Equal(1, table.Count);
    }

    [Fact]
    public void A_network_is_forgotten_when_it_has_nothing_open_and_its_bucket_is_full()
    {
        AddressTable table = Table(new AddressLimit { MaxPerInterval = 10, Interval = TimeSpan.FromSeconds(10) });
        List<NetworkUse[]> open = [];
        for (int number = 0; number < 1000; number++)
        {
            open.Add(Admitted(table, new IPAddress(number + 1), 0));
        }

        open.ForEach(uses => table.Leave(uses, Second / 2));
        Assert.Equal(1000, table.Count);

        // Each newcomer clears away two; they leave with a full bucket, so nothing is remembered of them.
        for (int number = 0; number < 500; number++)
        {
            table.Leave(Admitted(table, Stranger, 20 * Second), 22 * Second);
        }

        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void One_that_came_back_is_not_forgotten_while_it_is_there()
    {
        AddressTable table = Table(new AddressLimit { MaxConcurrent = 1, MaxPerInterval = 100, Interval = TimeSpan.FromSeconds(10) });
        table.Leave(Admitted(table, One, 0), 0);
        NetworkUse[] back = Admitted(table, One, Second);

        _ = Admitted(table, Neighbour, 100 * Second);
        _ = Admitted(table, Stranger, 100 * Second);

        Assert.Equal(RefusalReason.NetworkConcurrency, table.TryEnter(One, 100 * Second, out _));
        table.Leave(back, 100 * Second);
        _ = Admitted(table, One, 100 * Second);
    }

    [Fact]
    public void At_random_times_exactly_what_the_bucket_holds_comes_in()
    {
        Random random = new(Seed.Next());
        for (int round = 0; round < 100; round++)
        {
            int max = random.Next(1, 8);
            int ticksPerToken = random.Next(10_000, 100_000);
            long perToken = ticksPerToken * 100L;
            AddressTable table = Table(new AddressLimit { MaxPerInterval = max, Interval = TimeSpan.FromTicks(ticksPerToken * max) });
            List<long> admitted = [];
            long now = 0;
            for (int arrival = 0; arrival < 200; arrival++)
            {
                now += random.NextInt64(0, 2 * perToken);
                bool isIn = table.TryEnter(One, now, out NetworkUse[]? uses) is null;
                if (isIn)
                {
                    admitted.Add(now);
                    table.Leave(uses!, now);
                }

                // In any stretch of time: the bucket's content, and one more for each token that flowed in meanwhile.
                bool wasFull = Enumerable.Range(0, admitted.Count)
                    .Any(first => admitted.Count - first + (isIn ? 0 : 1) > max + ((now - admitted[first]) / perToken));
                Assert.Equal(isIn, !wasFull);
            }
        }
    }

    [Fact]
    public void Shared_by_threads_it_lets_in_no_more_than_the_limit_and_forgets_everybody()
    {
        AddressTable table = Table(new AddressLimit { IPv4PrefixLength = 24, MaxConcurrent = 3 }, new AddressLimit { MaxConcurrent = 2 });
        int inside = 0;
        int most = 0;
        long entered = 0;

        Parallel.For(0, 4, thread =>
        {
            for (int round = 0; round < 20_000; round++)
            {
                if (table.TryEnter(round % 2 == 0 ? One : Neighbour, round, out NetworkUse[]? uses) is null)
                {
                    int now = Interlocked.Increment(ref inside);
                    InterlockedMax(ref most, now);
                    Interlocked.Increment(ref entered);
                    Interlocked.Decrement(ref inside);
                    table.Leave(uses!, round);
                }
            }
        });

        Assert.InRange(most, 1, 3);
        Assert.True(entered > 0);
        Assert.Equal(0, table.Count);
    }

    private static AddressTable Table(params AddressLimit[] limits) => new(limits, []);

    private static NetworkUse[] Admitted(AddressTable table, IPAddress address, long now)
    {
        Assert.Null(table.TryEnter(address, now, out NetworkUse[]? uses));
        return uses!;
    }

    private static void InterlockedMax(ref int most, int value)
    {
        int seen = Volatile.Read(ref most);
        while (value > seen)
        {
            seen = Interlocked.CompareExchange(ref most, value, seen);
        }
    }
}
