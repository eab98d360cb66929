namespace NetPoll.Actors.Connections;

/// <summary>The connections of one poller, linked through themselves. The poller's thread only.</summary>
internal sealed class ConnectionList
{
    private Connection? _first;

    internal int Count { get; private set; }

    /// <summary>Completed when the last connection has gone; null where nobody waits for it.</summary>
    internal TaskCompletionSource? Emptied { get; set; }

    internal void Add(Connection connection)
    {
        connection.NextInList = _first;
        if (_first is not null)
        {
            _first.PreviousInList = connection;
        }

        _first = connection;
        Count++;
    }

    internal void Remove(Connection connection)
    {
        if (connection.PreviousInList is null)
        {
            _first = connection.NextInList;
        }
        else
        {
            connection.PreviousInList.NextInList = connection.NextInList;
        }

        if (connection.NextInList is not null)
        {
            connection.NextInList.PreviousInList = connection.PreviousInList;
        }

        connection.NextInList = null;
        connection.PreviousInList = null;
        Count--;
        if (Count == 0)
        {
            Emptied?.TrySetResult();
        }
    }

    /// <summary>A copy, which stays whole while connections come and go.</summary>
    internal Connection[] ToArray()
    {
        Connection[] copy = new Connection[Count];
        int index = 0;
        for (Connection? connection = _first; connection is not null; connection = connection.NextInList)
        {
            copy[index++] = connection;
        }

        return copy;
    }
}
