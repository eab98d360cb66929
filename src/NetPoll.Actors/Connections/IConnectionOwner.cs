using Proto;

namespace NetPoll.Actors.Connections;

/// <summary>What a connection needs of the listener or connector that it belongs to.</summary>
internal interface IConnectionOwner
{
    /// <summary>The actor system.</summary>
    ActorSystem System { get; }

    /// <summary>The id of its PID, by which figures are told apart.</summary>
    string Id { get; }

    /// <summary>
    /// The actor that handles a connection, by the connection's PID; null where connections are actors themselves. Called on the
    /// connection's poller's thread.
    /// </summary>
    Func<PID, PID>? HandlerOf { get; }

    /// <summary>The props of every connection of this owner: one object for all.</summary>
    Props Props { get; }

    /// <summary>The limits of its connections.</summary>
    ConnectionOptions ConnectionOptions { get; }

    /// <summary>A connection's descriptor is gone. Any poller's thread.</summary>
    void ConnectionClosed();

    /// <summary>A connection has ended, and its actor knows. Its poller's thread; must not throw.</summary>
    void ConnectionEnded(ConnectionClosed closed)
    {
    }
}
