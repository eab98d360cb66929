using Proto;

namespace NetPoll.Actors;

/// <summary>What a connector does.</summary>
public enum ConnectorPhase
{
    /// <summary>An attempt is under way.</summary>
    Connecting,

    /// <summary>The connection is there.</summary>
    Connected,

    /// <summary>The attempt failed or the connection ended; the next attempt follows after a time.</summary>
    Waiting,

    /// <summary>It was stopped, or has given up; its actor ends.</summary>
    Stopped,
}

/// <summary>Where a connector stands: the answer to <see cref="GetConnectorState"/>, and what observers are sent at each change.</summary>
/// <param name="Phase">What it does.</param>
/// <param name="Attempt">Attempts since the last connection that lasted, this one included; 0 before the first.</param>
public sealed record ConnectorState(ConnectorPhase Phase, int Attempt)
{
    /// <summary>The connection's PID while there is one.</summary>
    public PID? Connection { get; init; }

    /// <summary>How long it waits before the next attempt.</summary>
    public TimeSpan? RetryIn { get; init; }

    /// <summary>Why the last attempt failed, if it did.</summary>
    public Exception? Failure { get; init; }

    /// <summary>How the last connection ended, if it is that which made it wait.</summary>
    public ConnectionClosed? Closed { get; init; }
}

/// <summary>Asks a connector's PID where it stands; the answer is a <see cref="ConnectorState"/>.</summary>
public sealed record GetConnectorState;

/// <summary>Tells a connector's PID to send an actor its state, now and at every change, until either of them stops.</summary>
/// <param name="Observer">Who is sent <see cref="ConnectorState"/>.</param>
public sealed record ObserveConnector(PID Observer);
