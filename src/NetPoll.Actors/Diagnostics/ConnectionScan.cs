using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Diagnostics;

/// <summary>Looks at every connection of one poller, a few in each piece of work, so that nothing else there waits for long.</summary>
internal abstract class ConnectionScan : IPollerWork
{
    private const int ConnectionsPerTurn = 128;

    private readonly ActorPoller _home;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Connection[]? _connections;
    private int _next;

    // Those that have moved to other pollers before they were looked at. The scan follows them, one after the other.
    private Queue<Connection>? _moved;

    protected ConnectionScan(ActorPoller home) => _home = home;

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <summary>Connections that were looked at.</summary>
    internal int Total { get; private set; }

    /// <summary>What the caller's condition threw.</summary>
    internal Exception? Failure { get; private set; }

    /// <summary>Begins, and completes when the last connection was looked at. Any thread; never fails.</summary>
    internal Task RunAsync()
    {
        _home.Poller.Post(this);
        return _ended.Task;
    }

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        try
        {
            _connections ??= _home.Connections.ToArray();
            int end = Math.Min(_connections.Length, _next + ConnectionsPerTurn);
            while (_next < end)
            {
                Connection connection = _connections[_next++];
                if (!TryLook(connection))
                {
                    (_moved ??= new Queue<Connection>()).Enqueue(connection);
                }
            }

            if (_next < _connections.Length)
            {
                _home.Poller.Post(this);
                return;
            }

            while (_moved is not null && _moved.TryPeek(out Connection? moved))
            {
                if (!TryLook(moved))
                {
                    moved.Home.Poller.Post(this);
                    return;
                }

                _ = _moved.Dequeue();
            }
        }
#pragma warning disable CA1031 // The condition is the asker's code: he gets what it throws, and the poller goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Failure = exception;
        }

        _ended.SetResult();
    }

    private bool TryLook(Connection connection)
    {
        if (!connection.IsHere)
        {
            return false;
        }

        if (connection.Describe() is { } info)
        {
            Total++;
            Look(connection, info);
        }

        return true;
    }

    /// <summary>A connection that is open. Its poller's thread, between turns.</summary>
    protected abstract void Look(Connection connection, ConnectionInfo info);
}

/// <summary>Keeps what was asked for of one poller: at most as many rows as the asker wants.</summary>
internal sealed class TableScan : ConnectionScan
{
    private readonly GetConnections _query;

    // The least of what is kept is on top, and goes first.
    private readonly PriorityQueue<ConnectionInfo, long> _rows = new();

    internal TableScan(ActorPoller home, GetConnections query)
        : base(home) => _query = query;

    internal int Matched { get; private set; }

    internal IEnumerable<ConnectionInfo> Rows => _rows.UnorderedItems.Select(static item => item.Element);

    /// <inheritdoc/>
    protected override void Look(Connection connection, ConnectionInfo info)
    {
        if (_query.Where is { } where && !where(info))
        {
            return;
        }

        Matched++;
        if (_rows.Count < _query.Limit)
        {
            _rows.Enqueue(info, Key(info, _query.OrderBy));
        }
        else if (_query is { Limit: > 0, OrderBy: not ConnectionOrder.None })
        {
            _rows.EnqueueDequeue(info, Key(info, _query.OrderBy));
        }
    }

    internal static long Key(ConnectionInfo info, ConnectionOrder order) => order switch
    {
        ConnectionOrder.OutputBytes => info.OutputBytes,
        ConnectionOrder.OldestUnsent => info.OldestUnsent.Ticks,
        ConnectionOrder.IdleFor => info.IdleFor.Ticks,
        ConnectionOrder.BytesReceived => info.BytesReceived,
        ConnectionOrder.BytesSent => info.BytesSent,
        ConnectionOrder.MessagesReceived => info.MessagesReceived,
        ConnectionOrder.MessagesSent => info.MessagesSent,
        ConnectionOrder.QueuedMessages => info.QueuedMessages,
        _ => 0,
    };
}

/// <summary>Closes the connections of one poller that meet the condition.</summary>
internal sealed class CloseScan : ConnectionScan
{
    private readonly CloseConnections _order;

    internal CloseScan(ActorPoller home, CloseConnections order)
        : base(home) => _order = order;

    internal int Closed { get; private set; }

    /// <inheritdoc/>
    protected override void Look(Connection connection, ConnectionInfo info)
    {
        if ((info.IsClosing && !_order.Abort) || !_order.Where(info))
        {
            return;
        }

        Closed++;
        if (_order.Abort)
        {
            connection.Abandon(_order.Reason);
        }
        else
        {
            connection.Close(_order.Reason);
        }
    }
}
