using NetPoll.Core.Deadlines;

namespace NetPoll.Core.Descriptors;

/// <summary>The slab of one poller's descriptors: recycled, never given back.</summary>
/// <remarks>
/// Renting and returning come from any thread and take a lock; finding takes none. The table grows by chunks, none of which ever moves, and a
/// descriptor is in it before its index is handed out: so every index ever handed out can be looked up for ever. Go: <c>pollCache</c>.
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

            PollDescriptor descriptor = _free ?? Create();
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

    // One by one, so that each lies beside the rest of what its first connection is made of: they are used together.
    private PollDescriptor Create()
    {
        int slot = _created & (ChunkSize - 1);
        if (slot == 0)
        {
            PollDescriptor?[][] chunks = new PollDescriptor?[_chunks.Length + 1][];
            _chunks.CopyTo(chunks, 0);
            chunks[^1] = new PollDescriptor?[ChunkSize];
            Volatile.Write(ref _chunks, chunks);
        }

        PollDescriptor descriptor = new(_created, _wheel);
        Volatile.Write(ref _chunks[^1][slot], descriptor);
        Volatile.Write(ref _created, _created + 1);
        return descriptor;
    }
}
