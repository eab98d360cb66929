using NetPoll.Actors.Pollers;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Groups;

/// <summary>Something that has its place among what the publishers have ordered of one poller.</summary>
internal abstract class GroupOrder(ActorPoller home) : IPollerWork
{
    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <summary>The poller.</summary>
    protected ActorPoller Home => home;

    /// <inheritdoc/>
    void IPollerWork.Run() => home.GroupCommands.Take(this);

    /// <summary>Does it, when its turn has come. The poller's thread.</summary>
    internal abstract void Apply();

    /// <summary>It is done with. Once.</summary>
    internal virtual void GiveUp()
    {
    }
}
