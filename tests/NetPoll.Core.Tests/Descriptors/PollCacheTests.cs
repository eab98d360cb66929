using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Tests.Descriptors;

public sealed class PollCacheTests
{
    private readonly PollCache _cache = new(new TimingWheel(1), int.MaxValue);

    [Fact]
    public void NP119_Renting_again_after_returning_does_not_grow_the_slab()
    {
        PollDescriptor[] first = RentMany(100_000);
        int created = _cache.Created;
        Assert.Equal(100_000, first.Distinct().Count());
        Array.ForEach(first, _cache.Return);
        Assert.Equal(0, _cache.Rented);

        PollDescriptor[] second = RentMany(100_000);

        Assert.Equal(created, _cache.Created);
        Assert.Equal(100_000, second.Distinct().Count());
        Assert.Equal(100_000, _cache.Rented);
    }

    [Fact]
    public void NP119_Every_index_ever_handed_out_can_be_looked_up_for_ever()
    {
        PollDescriptor[] rented = RentMany(1_000);
        Array.ForEach(rented, _cache.Return);

        Assert.All(rented, descriptor => Assert.Same(descriptor, _cache.Find(descriptor.Index)));
    }

    [Fact]
    public void An_index_that_no_descriptor_ever_had_is_refused()
    {
        RentMany(1);

        Assert.Throws<PollerInvariantException>(() => _cache.Find(1_000_000));
        Assert.Throws<PollerInvariantException>(() => _cache.Find(-1));
    }

    [Fact]
    public void NP120_A_full_cache_rents_again_after_a_return()
    {
        PollCache cache = new(new TimingWheel(1), maxDescriptors: 2);
        PollDescriptor first = cache.Rent()!;
        Assert.NotNull(cache.Rent());
        Assert.Null(cache.Rent());

        cache.Return(first);

        Assert.Same(first, cache.Rent());
        Assert.Null(cache.Rent());
    }

    [Fact]
    public void Returning_twice_is_refused()
    {
        PollDescriptor descriptor = _cache.Rent()!;
        _cache.Return(descriptor);

        Assert.Throws<PollerInvariantException>(() => _cache.Return(descriptor));

        Assert.NotSame(_cache.Rent(), _cache.Rent());
    }

    [Fact]
    public void Renting_and_returning_from_many_threads_gives_a_descriptor_to_one_at_a_time()
    {
        int[] holders = new int[4_096];
        Parallel.For(0, 8, _ =>
        {
            for (int round = 0; round < 20_000; round++)
            {
                PollDescriptor descriptor = _cache.Rent()!;
                Assert.Equal(1, Interlocked.Increment(ref holders[descriptor.Index]));
                Assert.Same(descriptor, _cache.Find(descriptor.Index));
                Interlocked.Decrement(ref holders[descriptor.Index]);
                _cache.Return(descriptor);
            }
        });

        Assert.Equal(0, _cache.Rented);
    }

    private PollDescriptor[] RentMany(int count)
    {
        PollDescriptor[] rented = new PollDescriptor[count];
        for (int index = 0; index < count; index++)
        {
            rented[index] = _cache.Rent()!;
        }

        return rented;
    }
}
