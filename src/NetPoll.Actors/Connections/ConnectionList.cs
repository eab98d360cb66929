namespace NetPoll.Actors.Connections;

/// <summary>The connections of one poller; each knows its place. The poller's thread only.</summary>
internal sealed class ConnectionList
{
    private readonly List<Connection> _connections = [];

    // Where the next look at some of them begins.
    private int _next;

    internal int Count => _connections.Count;

    /// <summary>Completed when the last connection has gone; null where nobody waits for it.</summary>
    internal TaskCompletionSource? Emptied { get; set; }

    internal void Add(Connection connection)
    {
        connection.ListIndex = _connections.Count;
        _connections.Add(connection);
    }

    internal void Remove(Connection connection)
    {
        Connection last = _connections[^1];
        _connections[connection.ListIndex] = last;
        last.ListIndex = connection.ListIndex;
        _connections.RemoveAt(_connections.Count - 1);
        if (_connections.Count == 0)
        {
            Emptied?.TrySetResult();
        }
    }

    /// <summary>The connection for whose peer most output waits. Walks them all.</summary>
    /// <param name="first">The one that wins where others have no more.</param>
    /// <param name="most">What it has.</param>
    internal Connection FindMostOutput(Connection first, long most)
    {
        Connection largest = first;
        foreach (Connection connection in _connections)
        {
            if (connection.QueuedBytes > most)
            {
                largest = connection;
                most = connection.QueuedBytes;
            }
        }

        return largest;
    }

    /// <summary>So many of them, others each time if there are more.</summary>
    internal IEnumerable<Connection> Some(int most)
    {
        int count = Math.Min(most, _connections.Count);
        for (int taken = 0; taken < count; taken++)
        {
            _next = _next < _connections.Count ? _next : 0;
            yield return _connections[_next++];
        }
    }

    /// <summary>A copy, which stays whole while connections come and go.</summary>
    internal Connection[] ToArray() => [.. _connections];
}
