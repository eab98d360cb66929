using NetPoll.Core.Deadlines;

namespace NetPoll.Core.Descriptors;

/// <summary>The slab of one poller's descriptors: allocated in chunks, recycled, never given back.</summary>
/// <remarks>
/// Renting and returning come from any thread and take a lock; finding takes none. A chunk is published before any of its indices is,
/// and none ever moves, so every index ever handed out can be looked up for ever. Go: <c>pollCache</c>.
/// </remarks>
internal sealed class PollCache
{
    private const int ChunkBits = 8;
    private const int ChunkSize = 1 << ChunkBits;

    private readonly Lock _gate = new();
    private readonly TimingWheel _wheel;
    private readonly int _maxDescriptors;
    private PollDescriptor?[][] _chunks = [];
    private PollDescriptor? _free;
    private int _created;
    private int _rented;

    internal PollCache(TimingWheel wheel, int maxDescriptors)
    {
        _wheel = wheel;
        _maxDescriptors = maxDescriptors;
    }

    /// <summary>Descriptors ever made: what the slab holds.</summary>
    internal int Created => Volatile.Read(ref _created);

    /// <summary>Descriptors in use.</summary>
    internal int Rented => Volatile.Read(ref _rented);

    /// <summary>A free descriptor; null when the limit is reached. Any thread. Go: <c>pollCache.alloc</c>.</summary>
    internal PollDescriptor? Rent()
    {
        lock (_gate)
        {
            if (_rented == _maxDescriptors)
            {
                return null;
            }

            if (_free is null)
            {
                Grow();
            }

            PollDescriptor descriptor = _free!;
            _free = descriptor.NextFree;
            descriptor.NextFree = null;
            descriptor.IsRented = true;
            _rented++;
            return descriptor;
        }
    }

    /// <summary>Gives a released descriptor back. Any thread, once per rent. Go: <c>pollCache.free</c>.</summary>
    internal void Return(PollDescriptor descriptor)
    {
        lock (_gate)
        {
            if (!descriptor.IsRented)
            {
                throw new PollerInvariantException("A descriptor was given back twice: two connections would share it.");
            }

            descriptor.IsRented = false;
            descriptor.NextFree = _free;
            _free = descriptor;
            _rented--;
        }
    }

    /// <summary>The descriptor of an index that was handed out at some time. The poller's thread; lock-free.</summary>
    internal PollDescriptor Find(int index)
    {
        PollDescriptor?[][] chunks = Volatile.Read(ref _chunks);
        int chunk = index >> ChunkBits;
        return (uint)chunk < (uint)chunks.Length && chunks[chunk][index & (ChunkSize - 1)] is { } descriptor
            ? descriptor
            : throw new PollerInvariantException($"An event carries the index {index}, which no descriptor ever had.");
    }

    /// <summary>Every descriptor ever made, for a snapshot and for the end of a poller. Any thread.</summary>
    internal IEnumerable<PollDescriptor> All()
    {
        foreach (PollDescriptor?[] chunk in Volatile.Read(ref _chunks))
        {
            foreach (PollDescriptor? descriptor in chunk)
            {
                if (descriptor is not null)
                {
                    yield return descriptor;
                }
            }
        }
    }

    private void Grow()
    {
        PollDescriptor?[] chunk = new PollDescriptor?[ChunkSize];
        for (int slot = ChunkSize - 1; slot >= 0; slot--)
        {
            PollDescriptor descriptor = new(_created + slot, _wheel) { NextFree = _free };
            chunk[slot] = descriptor;
            _free = descriptor;
        }

        PollDescriptor?[][] chunks = new PollDescriptor?[_chunks.Length + 1][];
        _chunks.CopyTo(chunks, 0);
        chunks[^1] = chunk;
        Volatile.Write(ref _chunks, chunks);
        Volatile.Write(ref _created, _created + ChunkSize);
    }
}
