namespace NetPoll.Actors.Connections;

/// <summary>Somebody who wants to know when the system has taken everything that was sent before.</summary>
internal abstract class FlushWaiter
{
    /// <summary>The next one, which waits for as much or more.</summary>
    internal FlushWaiter? Next { get; set; }

    /// <summary>How much the system will have taken of the connection's output then.</summary>
    internal long Position { get; set; }

    /// <summary>
    /// Told once, on the poller's thread, in the middle of the connection's own work: it may only post a message, or set a result whose
    /// continuations run later.
    /// </summary>
    /// <param name="isSent">Whether the system took it all, but for payloads that were dropped; else the connection has ended first.</param>
    internal abstract void Complete(bool isSent);
}

/// <summary>A flush that is awaited.</summary>
internal sealed class FlushTask : FlushWaiter
{
    private readonly TaskCompletionSource _sent = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Connection _connection;

    internal FlushTask(Connection connection) => _connection = connection;

    internal Task Task => _sent.Task;

    /// <inheritdoc/>
    internal override void Complete(bool isSent)
    {
        if (isSent)
        {
            _sent.SetResult();
        }
        else
        {
            _sent.SetException(new ConnectionLostException($"The connection to {_connection.Subject} ended before everything was sent."));
        }
    }
}

/// <summary>A handler awaited what cannot come any more, since its connection has ended: the end is told anyway, and is no failure of the handler.</summary>
internal sealed class ConnectionLostException(string message) : IOException(message);
