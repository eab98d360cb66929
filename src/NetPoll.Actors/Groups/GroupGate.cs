using System.Runtime.CompilerServices;

namespace NetPoll.Actors.Groups;

/// <summary>Keeps what publishers order and the moves of connections apart: each order is wholly before or wholly after each move. Any thread.</summary>
/// <remarks>
/// A publish is one message per poller, and each poller sends it to the members that it has. A connection that changes its poller must get every
/// publish from one of the two, and in order; so there has to be a moment, the same for all groups and pollers, before which orders reach it at
/// the old one and from which on at the new one. A publisher holds the stripe of its group while it looks where members live and posts; a move
/// holds all stripes while it makes the change. Publishers of different groups mostly hold different stripes and do not meet.
/// Nothing that blocks or calls out is done under a stripe; the inboxes' wake-ups are all.
/// </remarks>
internal sealed class GroupGate
{
    private const int Count = 16;

    private readonly Lock[] _stripes = [.. Enumerable.Range(0, Count).Select(static _ => new Lock())];

    /// <summary>What a publisher of the group holds while it posts.</summary>
    internal Lock StripeOf(ConnectionGroup group) => _stripes[(uint)RuntimeHelpers.GetHashCode(group) % Count];

    /// <summary>From here on to <see cref="Open"/> nobody posts an order.</summary>
    internal void Close()
    {
        // Always in this order, so that two moves cannot wait for each other.
        foreach (Lock stripe in _stripes)
        {
            stripe.Enter();
        }
    }

    internal void Open()
    {
        foreach (Lock stripe in _stripes)
        {
            stripe.Exit();
        }
    }
}
