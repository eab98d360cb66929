using System.Runtime.InteropServices;
using NetPoll.Actors.Connections;

namespace NetPoll.Actors.Groups;

/// <summary>Which connections of one poller belong to which groups. The poller's thread only.</summary>
internal sealed class GroupTable
{
    private readonly Dictionary<ConnectionGroup, GroupMembers> _members = [];

    /// <summary>That the connection belongs to the group; null when it does not. The poller's thread of the connection.</summary>
    internal static GroupMembership? Find(ConnectionGroup group, Connection connection)
    {
        GroupMembership? membership = connection.Memberships;
        while (membership is not null && !ReferenceEquals(membership.Group, group))
        {
            membership = membership.Next;
        }

        return membership;
    }

    /// <summary>Adds a member.</summary>
    /// <returns>False when it is one already.</returns>
    internal bool Add(ConnectionGroup group, Connection connection)
    {
        if (Find(group, connection) is not null)
        {
            return false;
        }

        ref GroupMembers? members = ref CollectionsMarshal.GetValueRefOrAddDefault(_members, group, out _);
        members ??= new GroupMembers();
        GroupMembership membership = new(group, connection, members) { Next = connection.Memberships };
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

    /// <summary>The connection leaves for another poller: its groups' members live there from here on. It keeps its list, for <see cref="Arrive"/>.</summary>
    internal void Leave(Connection connection, int target)
    {
        for (GroupMembership? membership = connection.Memberships; membership is not null; membership = membership.Next)
        {
            Forget(membership);
            membership.Group.MemberMoves(connection.Home.Poller.Index, target);
        }
    }

    /// <summary>The connection has come from another poller, with its groups.</summary>
    internal void Arrive(Connection connection)
    {
        GroupMembership? membership = connection.Memberships;
        connection.Memberships = null;
        for (; membership is not null; membership = membership.Next)
        {
            _ = Add(membership.Group, connection);
        }
    }

    /// <summary>Begins a walk over the members of a group that live here; null when there are none. One walk at a time.</summary>
    internal GroupMembers? Walk(ConnectionGroup group) => _members.GetValueOrDefault(group);

    private void Forget(GroupMembership membership)
    {
        membership.Members.Remove(membership);
        if (membership.Members.Count == 0)
        {
            _members.Remove(membership.Group);
        }
    }
}
