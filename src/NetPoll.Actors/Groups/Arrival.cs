using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;

namespace NetPoll.Actors.Groups;

/// <summary>
/// A connection that comes from another poller. Its place among what was ordered of this one is that of its move: what was published before
/// it gets from <paramref name="taken"/>, what is published after stands behind this.
/// </summary>
internal sealed class Arrival(ActorPoller home, Connection connection, List<GroupCommand>? taken) : GroupOrder(home)
{
    /// <inheritdoc/>
    public override string ToString() => $"arrival of {connection}";

    /// <inheritdoc/>
    internal override void Apply() => connection.Arrive(Home, taken ?? []);
}
