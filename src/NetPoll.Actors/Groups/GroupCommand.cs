using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Groups;

/// <summary>What a publisher may order.</summary>
internal enum GroupCommandKind
{
    Join,
    Leave,
    Send,
    Publish,
}

/// <summary>One order of a publisher to one poller.</summary>
internal sealed class GroupCommand : IPollerWork
{
    private readonly ActorPoller _home;

    // Of a publish: the one who is left out.
    private readonly Connection? _connection;
    private readonly SharedPayload? _payload;

    // Read by several pollers, and changed by nobody.
    private readonly HashSet<Connection>? _except;

    /// <param name="home">The poller.</param>
    /// <param name="group">The group.</param>
    /// <param name="kind">What to do.</param>
    /// <param name="connection">With whom; of a publish the one who is left out.</param>
    /// <param name="payload">What to send; the command takes a reference of its own.</param>
    /// <param name="except">Of a publish: more who are left out.</param>
    internal GroupCommand(ActorPoller home, ConnectionGroup group, GroupCommandKind kind, Connection? connection, SharedPayload? payload, HashSet<Connection>? except = null)
    {
        _home = home;
        Group = group;
        Kind = kind;
        _connection = connection;
        _payload = payload?.Share();
        _except = except;
    }

    IPollerWork? IPollerWork.Next { get; set; }

    internal ConnectionGroup Group { get; }

    internal GroupCommandKind Kind { get; }

    /// <inheritdoc/>
    void IPollerWork.Run() => _home.GroupCommands.Take(this);

    public override string ToString() => $"{Kind} of group {Group.Name}";

    /// <summary>Does what concerns one connection: everything but a publish.</summary>
    internal void Apply()
    {
        Connection connection = _connection!;
        switch (Kind)
        {
            case GroupCommandKind.Join:
                if (connection.Phase == ConnectionPhase.Closed || !_home.Groups.Add(Group, connection))
                {
                    Group.MemberLeft(_home.Poller.Index);
                }

                Send(connection);
                break;

            case GroupCommandKind.Leave:
                Send(connection);
                if (_home.Groups.Remove(Group, connection))
                {
                    Group.MemberLeft(_home.Poller.Index);
                }

                break;

            default:
                Send(connection);
                break;
        }
    }

    /// <summary>Of a publish: sends it to a member, unless that one is left out.</summary>
    internal void Publish(Connection member)
    {
        if (!ReferenceEquals(member, _connection) && _except?.Contains(member) != true)
        {
            Send(member);
        }
    }

    /// <summary>It is done with. Once.</summary>
    internal void GiveUp() => _payload?.Dispose();

    private void Send(Connection connection)
    {
        if (_payload is not null)
        {
            connection.Send(_payload);
        }
    }
}
