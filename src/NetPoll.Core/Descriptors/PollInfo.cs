namespace NetPoll.Core.Descriptors;

/// <summary>What a descriptor publishes for readers without its lock: who the tenant is, and what stands in the way of an operation.</summary>
/// <remarks>Everything but what events reported repeats state that the lock guards. Go: <c>pollInfo</c>.</remarks>
internal readonly record struct PollInfo(ulong Value)
{
    internal const ulong ClosingBit = 1UL << 32;
    internal const ulong EventErrorBit = 1UL << 33;
    internal const ulong ReadExpiredBit = 1UL << 34;
    internal const ulong WriteExpiredBit = 1UL << 35;
    internal const ulong HungUpBit = 1UL << 36;

    /// <summary>What events set, each for the tenant that it was for, and the lock does not guard.</summary>
    internal const ulong ReportedBits = EventErrorBit | HungUpBit;

    /// <summary>Go: <c>pollInfo.closing</c>.</summary>
    internal bool IsClosing => (Value & ClosingBit) != 0;

    /// <summary>Go: <c>pollInfo.eventErr</c>.</summary>
    internal bool HasEventError => (Value & EventErrorBit) != 0;

    /// <summary>Go: <c>pollInfo.expiredReadDeadline</c>.</summary>
    internal bool IsReadExpired => (Value & ReadExpiredBit) != 0;

    /// <summary>Go: <c>pollInfo.expiredWriteDeadline</c>.</summary>
    internal bool IsWriteExpired => (Value & WriteExpiredBit) != 0;

    /// <summary>Whether the system reported that the peer has ended its side. In nobody's way.</summary>
    internal bool IsHungUp => (Value & HungUpBit) != 0;

    /// <summary>The tenant's number.</summary>
    internal uint Sequence => (uint)Value;

    /// <summary>What an operation in this direction meets: closing before an expired deadline before an event error.</summary>
    /// <remarks>Go: <c>netpollcheckerr</c>.</remarks>
    internal PollResult Check(PollMode mode)
    {
        if ((Value & ~(ulong)uint.MaxValue) == 0)
        {
            return PollResult.Ready;
        }

        if (IsClosing)
        {
            return PollResult.Closing;
        }

        if ((mode == PollMode.Read && IsReadExpired) || (mode == PollMode.Write && IsWriteExpired))
        {
            return PollResult.DeadlineExceeded;
        }

        // A write needs no such guard: its system call will tell a better error.
        return mode == PollMode.Read && HasEventError ? PollResult.NotPollable : PollResult.Ready;
    }
}
