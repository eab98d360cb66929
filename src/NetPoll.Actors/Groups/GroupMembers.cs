using System.Diagnostics.CodeAnalysis;
using NetPoll.Actors.Connections;

namespace NetPoll.Actors.Groups;

/// <summary>The members of one group that live on one poller, and how far a walk over them has come. The poller's thread only.</summary>
internal sealed class GroupMembers
{
    private readonly List<GroupMembership> _members = [];

    // Those before it were visited, those from it on were not, whoever leaves in between. 0 while there is no walk.
    private int _visited;

    internal int Count => _members.Count;

    internal void Add(GroupMembership membership)
    {
        membership.Index = _members.Count;
        _members.Add(membership);
    }

    /// <summary>Removes a member, in constant time.</summary>
    internal void Remove(GroupMembership membership)
    {
        int hole = membership.Index;
        if (hole < _visited)
        {
            // The last who was visited fills it, and leaves one at the border, where somebody who was not may come.
            _visited--;
            Move(_visited, hole);
            hole = _visited;
        }

        int last = _members.Count - 1;
        if (hole != last)
        {
            Move(last, hole);
        }

        _members.RemoveAt(last);
    }

    /// <summary>The next member of the walk: every one that is there from its beginning to its end comes once.</summary>
    /// <returns>False at the end; the next call begins another walk.</returns>
    internal bool TryNext([NotNullWhen(true)] out GroupMembership? member)
    {
        if (_visited < _members.Count)
        {
            member = _members[_visited++];
            return true;
        }

        _visited = 0;
        member = null;
        return false;
    }

    /// <summary>Whether the walk that goes on has been with a member.</summary>
    internal bool WasVisited(GroupMembership member) => member.Index < _visited;

    private void Move(int from, int to)
    {
        GroupMembership moved = _members[from];
        _members[to] = moved;
        moved.Index = to;
    }
}

/// <summary>That one connection belongs to one group: in the group's members on its poller, and in the connection's own list.</summary>
internal sealed class GroupMembership
{
    internal GroupMembership(ConnectionGroup group, Connection connection, GroupMembers members)
    {
        Group = group;
        Connection = connection;
        Members = members;
    }

    internal ConnectionGroup Group { get; }

    internal Connection Connection { get; }

    internal GroupMembers Members { get; }

    internal int Index { get; set; }

    internal GroupMembership? Next { get; set; }
}
