using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Groups;

/// <summary>What the publishers of all groups have ordered of one poller, in order. The poller's thread only.</summary>
/// <remarks>
/// <para>
/// A publish to many members takes as long as so many system calls: it walks over them in pieces, and the poller's other work comes between.
/// Every other command waits until it is through, so the order of the commands is kept for every member, whatever the group.
/// </para>
/// <para>
/// Publishes to one group that wait behind one another walk together: a member is sent them with one system call.
/// </para>
/// </remarks>
internal sealed class GroupCommands : IPollerWork
{
    // Of the order of the poller's own budget for queued work: a send costs a few microseconds.
    private const int MembersPerTurn = 64;

    private const int PublishesPerWalk = 16;

    private readonly ActorPoller _home;
    private readonly Queue<GroupOrder> _waiting = new();

    // The publishes that walk, and over whom; null while there is no walk.
    private readonly List<GroupCommand> _walking = [];
    private GroupMembers? _walk;

    private bool _isQueued;

    internal GroupCommands(ActorPoller home) => _home = home;

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    private bool IsIdle => _walk is null && _waiting.Count == 0;

    /// <inheritdoc/>
    void IPollerWork.Run() => Run();

    /// <summary>For the one who asks what held a thread; any thread.</summary>
    public override string ToString() => Volatile.Read(ref _walk) is { } walk ? $"a publish to {walk.Count} members" : "commands of groups";

    /// <summary>Takes a command, whose turn comes behind those that were taken before.</summary>
    internal void Take(GroupOrder order)
    {
        _waiting.Enqueue(order);
        if (!_isQueued)
        {
            Run();
        }
    }

    /// <summary>
    /// A connection leaves for another poller: what was ordered of this one before, concerns it and has not been done becomes its own to do there.
    /// While the gate is closed, so that nothing is on its way to the inbox.
    /// </summary>
    /// <returns>In order; null for nothing.</returns>
    internal List<GroupCommand>? TakeAlong(Connection connection, ActorPoller target)
    {
        HashSet<ConnectionGroup> groups = [];
        for (GroupMembership? membership = connection.Memberships; membership is not null; membership = membership.Next)
        {
            groups.Add(membership.Group);
        }

        Parting parting = new(connection, target, groups);
        if (_walk is not null && GroupTable.Find(_walking[0].Group, connection) is { } walked && !_walk.WasVisited(walked))
        {
            _walking.ForEach(parting.Take);
        }

        foreach (GroupOrder order in _waiting)
        {
            parting.Take(order);
        }

        _home.Poller.VisitQueued(parting, static (work, parting) => parting.Take(work));
        return parting.Taken;
    }

    private void Run()
    {
        try
        {
            for (int step = 0; step < MembersPerTurn && !IsIdle; step++)
            {
                Step();
            }
        }
        finally
        {
            // Output that gathered was queued before, and so leaves before.
            _isQueued = !IsIdle;
            if (_isQueued)
            {
                _home.Poller.Post(this);
            }
        }
    }

    private void Step()
    {
        if (_walk is null)
        {
            Begin(_waiting.Dequeue());
        }
        else if (_walk.TryNext(out GroupMembership? member))
        {
            foreach (GroupCommand publish in _walking)
            {
                publish.Publish(member.Connection);
            }
        }
        else
        {
            End();
        }
    }

    private void Begin(GroupOrder order)
    {
        if (order is not GroupCommand { Kind: GroupCommandKind.Publish } command)
        {
            try
            {
                order.Apply();
            }
            finally
            {
                order.GiveUp();
            }

            return;
        }

        _walking.Add(command);
        while (_walking.Count < PublishesPerWalk
            && _waiting.TryPeek(out GroupOrder? behind)
            && behind is GroupCommand { Kind: GroupCommandKind.Publish } next
            && ReferenceEquals(next.Group, command.Group))
        {
            _ = _waiting.Dequeue();
            _walking.Add(next);
        }

        _walk = _home.Groups.Walk(command.Group);
        if (_walk is null)
        {
            End();
        }
    }

    private void End()
    {
        _walk = null;
        _walking.ForEach(static publish => publish.GiveUp());
        _walking.Clear();
    }

    /// <summary>Collects what a connection that leaves takes along.</summary>
    private sealed class Parting(Connection connection, ActorPoller target, HashSet<ConnectionGroup> groups)
    {
        internal List<GroupCommand>? Taken { get; private set; }

        internal void Take(IPollerWork work)
        {
            if (work is GroupCommand command && command.TakeAlong(connection, target, groups) is { } taken)
            {
                (Taken ??= []).Add(taken);
            }
        }
    }
}
