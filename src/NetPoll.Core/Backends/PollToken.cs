namespace NetPoll.Core.Backends;

/// <summary>The 64 bits that the kernel keeps for a descriptor: which slot of the cache, and which tenant of that slot.</summary>
/// <remarks>
/// Never a pointer: an event that outlives its descriptor is recognised by its sequence number and dropped. All 64 bits are compared,
/// so the wake-up's token, whose index no slot can have, never equals a descriptor's. Go: <c>taggedPointer</c>, <c>pollDesc.fdseq</c>, and
/// <c>makeArg</c>, which passes a descriptor on without allocating.
/// </remarks>
internal readonly record struct PollToken
{
    private PollToken(ulong value) => Value = value;

    internal PollToken(int index, uint sequence)
        : this(((ulong)(uint)index << 32) | sequence)
    {
    }

    /// <summary>The token of a backend's own wake-up.</summary>
    internal static PollToken Wake { get; } = new(ulong.MaxValue);

    internal ulong Value { get; }

    /// <summary>The slot's place in its cache; negative only for <see cref="Wake"/>.</summary>
    internal int Index => (int)(Value >> 32);

    /// <summary>The tenant's number; never 0 for an open descriptor.</summary>
    internal uint Sequence => (uint)Value;

    internal static PollToken FromValue(ulong value) => new(value);
}
