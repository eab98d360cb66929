using NetPoll.Actors.Connections;
using NetPoll.Actors.Diagnostics;
using NetPoll.Actors.Groups;
using NetPoll.Actors.Pollers;
using Proto;

namespace NetPoll.Actors;

/// <summary>Connections that are sent the same: a payload is encoded once and costs one message per poller that has members.</summary>
/// <remarks>
/// <para>
/// Owned by one publisher, an actor as a rule: its members may be called from one thread at a time, and what is called first reaches each
/// member first. Joins, leaves, single payloads and publishes go the same way, so they keep their order for every member: what must keep
/// its order with a group's payloads (the answer to a join, history, notices) is sent by the group as well. The order holds across all groups
/// of a publisher, too: who may hear something at all is a group (the operators of a room, beside all that are in it), who must not hear one
/// payload is left out of its publish.
/// </para>
/// <para>
/// A membership takes effect in a turn of the member's poller and ends with the connection. What is published after <see cref="Join"/>
/// reaches the joiner, what was published before does not: the <see cref="Sequence"/> at the join tells which.
/// </para>
/// </remarks>
public sealed class ConnectionGroup
{
    private readonly ActorSystem _system;
    private readonly ActorPoller[] _pollers;

    // Held from the look at where members live to the last post: no connection changes its poller in between. See GroupGate.
    private readonly Lock _stripe;

    // Per poller: members, those included whose join is still on its way. Raised by the publisher before the join is posted, lowered by
    // the poller when a membership ends, so a publish after a join never finds 0 while the joiner is or will be a member. A member that moves
    // is counted over while no publisher posts.
    private readonly int[] _memberCounts;
    private long _messages;

    /// <summary>An empty group.</summary>
    /// <param name="system">A system with NetPoll.</param>
    /// <param name="name">For logs and debugging.</param>
    public ConnectionGroup(ActorSystem system, string name)
    {
        ArgumentNullException.ThrowIfNull(system);
        ArgumentException.ThrowIfNullOrEmpty(name);
        _system = system;
        Name = name;
        _pollers = system.NetPoll().Homes;
        _memberCounts = new int[_pollers.Length];
        _stripe = system.NetPoll().GroupGate.StripeOf(this);
    }

    /// <summary>What the group is called.</summary>
    public string Name { get; }

    /// <summary>How many payloads were published: the number of the last one, 0 before the first.</summary>
    public long Sequence { get; private set; }

    /// <summary>Members, those included whose join is still on its way. Any thread; a moment old.</summary>
    public int Count
    {
        get
        {
            int sum = 0;
            for (int index = 0; index < _memberCounts.Length; index++)
            {
                sum += Math.Max(0, Volatile.Read(ref _memberCounts[index]));
            }

            return sum;
        }
    }

    /// <summary>Messages that publishes sent to pollers: at most one a poller and publish.</summary>
    public long MessagesToPollers => Volatile.Read(ref _messages);

    /// <summary>Adds a connection, and sends it a payload before everything that is published from now on.</summary>
    /// <param name="connection">A connection's PID.</param>
    /// <param name="welcome">Sent to a member already, too; the caller keeps his reference.</param>
    /// <returns>False when the connection is no more, or the PID is none of a connection of this process.</returns>
    public bool Join(PID connection, SharedPayload? welcome = null)
    {
        if (Find(connection) is not { } found)
        {
            return false;
        }

        Post(found, GroupCommandKind.Join, welcome);
        return true;
    }

    /// <summary>Removes a connection, and sends it a payload after everything that was published before. Harmless for one that is no member.</summary>
    /// <returns>False when the connection is no more, and so no member either.</returns>
    public bool Leave(PID connection, SharedPayload? farewell = null)
    {
        if (Find(connection) is not { } found)
        {
            return false;
        }

        Post(found, GroupCommandKind.Leave, farewell);
        return true;
    }

    /// <summary>Sends one connection a payload, in order with everything else of this group; it need not be a member.</summary>
    /// <returns>False when the connection is no more.</returns>
    public bool SendTo(PID connection, SharedPayload payload)
    {
        ArgumentNullException.ThrowIfNull(payload);
        if (Find(connection) is not { } found)
        {
            return false;
        }

        Post(found, GroupCommandKind.Send, payload);
        return true;
    }

    /// <summary>Sends all members a payload.</summary>
    /// <param name="payload">The caller keeps his reference.</param>
    /// <param name="except">A member that is left out, as the one who said it.</param>
    /// <returns>The payload's number.</returns>
    public long Publish(SharedPayload payload, PID? except = null) =>
        Publish(payload, except is null ? null : Find(except), excludedSet: null);

    /// <summary>Sends all members but some a payload.</summary>
    /// <param name="payload">The caller keeps his reference.</param>
    /// <param name="except">Members that are left out, as those who do not want to hear the one who said it; others do not matter.</param>
    /// <returns>The payload's number.</returns>
    public long Publish(SharedPayload payload, IReadOnlyCollection<PID> except)
    {
        ArgumentNullException.ThrowIfNull(except);
        HashSet<Connection> excluded = new(except.Count);
        foreach (PID pid in except)
        {
            if (Find(pid) is { } connection)
            {
                excluded.Add(connection);
            }
        }

        return Publish(payload, excluded: null, excluded);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name} ({Count} members)";

    /// <summary>A membership has ended. The member's poller.</summary>
    internal void MemberLeft(int poller) => Interlocked.Decrement(ref _memberCounts[poller]);

    /// <summary>A member lives on another poller from here on. While the gate is closed.</summary>
    internal void MemberMoves(int from, int to)
    {
        Interlocked.Increment(ref _memberCounts[to]);
        Interlocked.Decrement(ref _memberCounts[from]);
    }

    private void Post(Connection connection, GroupCommandKind kind, SharedPayload? payload)
    {
        lock (_stripe)
        {
            ActorPoller home = connection.Home;
            if (kind == GroupCommandKind.Join)
            {
                Interlocked.Increment(ref _memberCounts[home.Poller.Index]);
            }

            home.Poller.Post(new GroupCommand(home, this, kind, connection, payload));
        }
    }

    private long Publish(SharedPayload payload, Connection? excluded, HashSet<Connection>? excludedSet)
    {
        ArgumentNullException.ThrowIfNull(payload);
        Sequence++;
        ActorMetrics.Published(_system.NetPoll());
        lock (_stripe)
        {
            for (int index = 0; index < _pollers.Length; index++)
            {
                if (Volatile.Read(ref _memberCounts[index]) > 0)
                {
                    Interlocked.Increment(ref _messages);
                    ActorPoller home = _pollers[index];
                    home.Poller.Post(new GroupCommand(home, this, GroupCommandKind.Publish, excluded, payload, excludedSet));
                }
            }
        }

        return Sequence;
    }

    private Connection? Find(PID connection)
    {
        ArgumentNullException.ThrowIfNull(connection);

        // The registry asks for another member's process by throwing: to a group it is simply no connection of this one.
        return connection.Address == _system.Address || connection.Address == ActorSystem.NoHost
            ? _system.ProcessRegistry.Get(connection) as Connection
            : null;
    }
}
