using NetPoll.Actors.Connections;

namespace NetPoll.Actors;

/// <content>The deadlines of phases, and the heartbeat.</content>
public abstract partial class ConnectionActor
{
    /// <summary>
    /// The deadlines of the phase that the connection is in; setting it begins another one. Null until one was set, here or by
    /// <see cref="ConnectionOptions.Deadlines"/>; it cannot be set to null, but to an empty profile. What passes is told by
    /// <see cref="OnDeadline"/>; of an earlier phase nothing is.
    /// </summary>
    protected DeadlineProfile? Deadlines
    {
        get => Connection.Deadlines;
        set => Do(value, static (connection, value) => connection.Deadlines = value);
    }

    /// <summary>How a quiet peer is asked for signs of life; null, the default, for not at all. Setting it begins anew.</summary>
    protected Heartbeat? Heartbeat
    {
        get => Connection.Heartbeat;
        set => Do(value, static (connection, value) => connection.Heartbeat = value);
    }

    /// <summary>What was received is an answer to a ping, where the heartbeat leaves that to the handler (<see cref="HeartbeatAnswer.Explicit"/>).</summary>
    protected void HeartbeatAnswered() => Do(static connection => connection.HeartbeatAnswered());
}
