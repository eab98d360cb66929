namespace NetPoll.Core;

/// <summary>The figures of all pollers of a group at one moment.</summary>
/// <param name="Pollers">One of each, in the order of their index.</param>
public sealed record PollerGroupSnapshot(IReadOnlyList<PollerSnapshot> Pollers)
{
    /// <summary>
    /// How unevenly the descriptors are spread: those of the fullest poller, divided by what each would have if all had as many. 1 is even, and
    /// an empty group; as many as there are pollers means that one has everything.
    /// </summary>
    public double Skew
    {
        get
        {
            long total = Pollers.Sum(static poller => (long)poller.Monitored);
            return total == 0 ? 1 : Pollers.Max(static poller => poller.Monitored) * (double)Pollers.Count / total;
        }
    }
}
