using NetPoll.Actors.Connections;
using NetPoll.Actors.Diagnostics;
using NetPoll.Actors.Groups;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Scheduling;
using Proto;

namespace NetPoll.Actors;

/// <summary>Connections that are sent the same: a payload is encoded once and costs one message per poller that has members.</summary>
/// <remarks>
/// <para>
/// Owned by one publisher, an actor as a rule: its members may be called from one thread at a time, and what is called first reaches each
/// member first. Joins, leaves, single payloads and publishes go the same way, so they keep their order for every member: what must keep
/// its order with a group's payloads (the answer to a join, history, notices) is sent by the group as well.
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

    // Per poller: members, those included whose join is still on its way. Raised by the publisher before the join is posted, lowered by
    // the poller when a membership ends, so a publish after a join never finds 0 while the joiner is or will be a member.
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

    /// <summary>Messages that <see cref="Publish"/> sent to pollers: at most one a poller and publish.</summary>
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

        Interlocked.Increment(ref _memberCounts[found.Home.Poller.Index]);
        Post(found.Home, new Command(this, CommandKind.Join, found, welcome?.Share()));
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

        Post(found.Home, new Command(this, CommandKind.Leave, found, farewell?.Share()));
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

        Post(found.Home, new Command(this, CommandKind.Send, found, payload.Share()));
        return true;
    }

    /// <summary>Sends all members a payload.</summary>
    /// <param name="payload">The caller keeps his reference.</param>
    /// <param name="except">A member that is left out.</param>
    /// <returns>The payload's number.</returns>
    public long Publish(SharedPayload payload, PID? except = null)
    {
        ArgumentNullException.ThrowIfNull(payload);
        Connection? excluded = except is null ? null : Find(except);
        Sequence++;
        ActorMetrics.Published(_system.NetPoll());
        for (int index = 0; index < _pollers.Length; index++)
        {
            if (Volatile.Read(ref _memberCounts[index]) > 0)
            {
                Interlocked.Increment(ref _messages);
                Post(_pollers[index], new Command(this, CommandKind.Publish, excluded, payload.Share()));
            }
        }

        return Sequence;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name} ({Count} members)";

    /// <summary>A membership has ended. The member's poller.</summary>
    internal void MemberLeft(int poller) => Interlocked.Decrement(ref _memberCounts[poller]);

    private static void Post(ActorPoller home, Command command)
    {
        command.Home = home;
        home.Poller.Post(command);
    }

    private Connection? Find(PID connection)
    {
        ArgumentNullException.ThrowIfNull(connection);

        // The registry asks for another member's process by throwing: to a group it is simply no connection of this one.
        return connection.Address == _system.Address || connection.Address == ActorSystem.NoHost
            ? _system.ProcessRegistry.Get(connection) as Connection
            : null;
    }

    private enum CommandKind
    {
        Join,
        Leave,
        Send,
        Publish,
    }

    /// <summary>One order of the publisher to one poller.</summary>
    private sealed class Command : IPollerWork
    {
        private readonly ConnectionGroup _group;
        private readonly CommandKind _kind;
        private readonly Connection? _connection;
        private readonly SharedPayload? _payload;

        internal Command(ConnectionGroup group, CommandKind kind, Connection? connection, SharedPayload? payload)
        {
            _group = group;
            _kind = kind;
            _connection = connection;
            _payload = payload;
        }

        IPollerWork? IPollerWork.Next { get; set; }

        internal ActorPoller Home { get; set; } = null!;

        void IPollerWork.Run()
        {
            try
            {
                Apply();
            }
            finally
            {
                _payload?.Dispose();
            }
        }

        private void Apply()
        {
            switch (_kind)
            {
                case CommandKind.Join:
                    if (_connection!.Phase == ConnectionPhase.Closed || !Home.Groups.Add(_group, _connection))
                    {
                        _group.MemberLeft(Home.Poller.Index);
                    }

                    Send(_connection);
                    break;

                case CommandKind.Leave:
                    Send(_connection!);
                    if (Home.Groups.Remove(_group, _connection!))
                    {
                        _group.MemberLeft(Home.Poller.Index);
                    }

                    break;

                case CommandKind.Send:
                    Send(_connection!);
                    break;

                default:
                    foreach (GroupMembership member in Home.Groups.Members(_group))
                    {
                        if (!ReferenceEquals(member.Connection, _connection))
                        {
                            Send(member.Connection);
                        }
                    }

                    break;
            }
        }

        private void Send(Connection connection)
        {
            if (_payload is not null)
            {
                connection.Send(_payload);
            }
        }
    }
}
