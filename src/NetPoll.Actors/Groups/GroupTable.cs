using System.Runtime.InteropServices;
using NetPoll.Actors.Connections;

namespace NetPoll.Actors.Groups;

/// <summary>Which connections of one poller belong to which groups. The poller's thread only.</summary>
internal sealed class GroupTable
{
    private readonly Dictionary<ConnectionGroup, List<GroupMembership>> _members = [];

    /// <summary>Adds a member.</summary>
    /// <returns>False when it is one already.</returns>
    internal bool Add(ConnectionGroup group, Connection connection)
    {
        if (Find(group, connection) is not null)
        {
            return false;
        }

        ref List<GroupMembership>? members = ref CollectionsMarshal.GetValueRefOrAddDefault(_members, group, out _);
        members ??= [];
        GroupMembership membership = new(group, connection, members.Count) { Next = connection.Memberships };
        connection.Memberships = membership;
        members.Add(membership);
        return true;
    }

    /// <summary>Removes a member.</summary>
    /// <returns>False when it is none.</returns>
    internal bool Remove(ConnectionGroup group, Connection connection)
    {
        GroupMembership? previous = null;
        for (GroupMembership? membership = connection.Memberships; membership is not null; membership = membership.Next)
        {
            if (ReferenceEquals(membership.Group, group))
            {
                if (previous is null)
                {
                    connection.Memberships = membership.Next;
                }
                else
                {
                    previous.Next = membership.Next;
                }

                Forget(membership);
                return true;
            }

            previous = membership;
        }

        return false;
    }

    /// <summary>The connection has closed: it leaves all its groups.</summary>
    internal void RemoveAll(Connection connection)
    {
        GroupMembership? membership = connection.Memberships;
        connection.Memberships = null;
        for (; membership is not null; membership = membership.Next)
        {
            Forget(membership);
            membership.Group.MemberLeft(connection.Home.Poller.Index);
        }
    }

    /// <summary>The members of a group that live here.</summary>
    internal ReadOnlySpan<GroupMembership> Members(ConnectionGroup group) =>
        _members.TryGetValue(group, out List<GroupMembership>? members) ? CollectionsMarshal.AsSpan(members) : default;

    private static GroupMembership? Find(ConnectionGroup group, Connection connection)
    {
        GroupMembership? membership = connection.Memberships;
        while (membership is not null && !ReferenceEquals(membership.Group, group))
        {
            membership = membership.Next;
        }

        return membership;
    }

    private void Forget(GroupMembership membership)
    {
        List<GroupMembership> members = _members[membership.Group];
        GroupMembership last = members[^1];
        members[membership.Index] = last;
        last.Index = membership.Index;
        members.RemoveAt(members.Count - 1);
        if (members.Count == 0)
        {
            _members.Remove(membership.Group);
        }
    }
}

/// <summary>That one connection belongs to one group: in the group's list on its poller, and in the connection's own.</summary>
internal sealed class GroupMembership
{
    internal GroupMembership(ConnectionGroup group, Connection connection, int index)
    {
        Group = group;
        Connection = connection;
        Index = index;
    }

    internal ConnectionGroup Group { get; }

    internal Connection Connection { get; }

    internal int Index { get; set; }

    internal GroupMembership? Next { get; set; }
}
