using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;

namespace NetPoll.Actors.Groups;

/// <summary>What a publisher may order.</summary>
internal enum GroupCommandKind
{
    Join,
    Leave,
    Send,
    Publish,

    /// <summary>A publish that one connection has taken with it to another poller.</summary>
    Carried,
}

/// <summary>One order of a publisher to one poller.</summary>
internal sealed class GroupCommand : GroupOrder
{
    // Of a publish: the one who is left out.
    private readonly Connection? _connection;
    private readonly SharedPayload? _payload;

    // Read by several pollers, and changed by nobody.
    private readonly HashSet<Connection>? _except;

    // Its connection has left the poller and taken it along.
    private bool _isTaken;

    /// <param name="home">The poller.</param>
    /// <param name="group">The group.</param>
    /// <param name="kind">What to do.</param>
    /// <param name="connection">With whom; of a publish the one who is left out.</param>
    /// <param name="payload">What to send; the command takes a reference of its own.</param>
    /// <param name="except">Of a publish: more who are left out.</param>
    internal GroupCommand(ActorPoller home, ConnectionGroup group, GroupCommandKind kind, Connection? connection, SharedPayload? payload, HashSet<Connection>? except = null)
        : base(home)
    {
        Group = group;
        Kind = kind;
        _connection = connection;
        _payload = payload?.Share();
        _except = except;
    }

    internal ConnectionGroup Group { get; }

    internal GroupCommandKind Kind { get; }

    public override string ToString() => $"{Kind} of group {Group.Name}";

    /// <summary>Does what concerns one connection: everything but a publish.</summary>
    internal override void Apply()
    {
        if (_isTaken)
        {
            return;
        }

        Connection connection = _connection!;
        switch (Kind)
        {
            case GroupCommandKind.Join:
                if (connection.Phase == ConnectionPhase.Closed || !Home.Groups.Add(Group, connection))
                {
                    Group.MemberLeft(Home.Poller.Index);
                }

                Send(connection);
                break;

            case GroupCommandKind.Leave:
                Send(connection);
                if (Home.Groups.Remove(Group, connection))
                {
                    Group.MemberLeft(Home.Poller.Index);
                }

                break;

            case GroupCommandKind.Carried:
                if (GroupTable.Find(Group, connection) is not null)
                {
                    Send(connection);
                }

                break;

            default:
                Send(connection);
                break;
        }
    }

    /// <summary>What a connection that leaves this poller takes along of it; null when it is not concerned.</summary>
    /// <param name="connection">Who leaves.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="groups">Those that it may belong to when the command's turn comes.</param>
    internal GroupCommand? TakeAlong(Connection connection, ActorPoller target, HashSet<ConnectionGroup> groups)
    {
        if (Kind == GroupCommandKind.Publish)
        {
            return groups.Contains(Group) && !IsLeftOut(connection) ? new GroupCommand(target, Group, GroupCommandKind.Carried, connection, _payload) : null;
        }

        if (_isTaken || !ReferenceEquals(connection, _connection))
        {
            return null;
        }

        _isTaken = true;
        if (Kind == GroupCommandKind.Join)
        {
            groups.Add(Group);
            Group.MemberMoves(Home.Poller.Index, target.Poller.Index);
        }

        return new GroupCommand(target, Group, Kind, connection, _payload);
    }

    /// <summary>Of a publish: sends it to a member, unless that one is left out.</summary>
    internal void Publish(Connection member)
    {
        if (!IsLeftOut(member))
        {
            Send(member);
        }
    }

    /// <summary>It is done with. Once.</summary>
    internal override void GiveUp() => _payload?.Dispose();

    private bool IsLeftOut(Connection member) => ReferenceEquals(member, _connection) || _except?.Contains(member) == true;

    private void Send(Connection connection)
    {
        if (_payload is not null)
        {
            connection.Send(_payload);
        }
    }
}
