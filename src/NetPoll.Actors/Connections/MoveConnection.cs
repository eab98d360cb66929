using Proto;

namespace NetPoll.Actors;

/// <summary>Moves a connection to another poller of its system; to the PID of any connection, from anybody. The answer is <see cref="ConnectionMoved"/>.</summary>
/// <remarks>
/// It keeps its PID, its actor and all of its state; nothing that was sent to it or through it is lost, doubled or out of order. It leaves when
/// its running turn has ended, a handler that awaits has come back, and a stream that it sends is through.
/// </remarks>
/// <param name="Poller">One of <see cref="NetPollExtension.Pollers"/>.</param>
public sealed record MoveConnection(PID Poller);

/// <summary>The answer to <see cref="MoveConnection"/>: it lives there now, or stays where it is.</summary>
/// <param name="Connection">The connection.</param>
/// <param name="Poller">Where it was to go.</param>
/// <param name="Outcome">Whether it did, or why not.</param>
public sealed record ConnectionMoved(PID Connection, PID Poller, MoveOutcome Outcome);

/// <summary>What became of a move.</summary>
public enum MoveOutcome
{
    /// <summary>The connection lives on the poller that was named.</summary>
    Moved,

    /// <summary>It lived there before.</summary>
    AlreadyThere,

    /// <summary>It stays: it is closing or has closed.</summary>
    Closing,

    /// <summary>It stays: the poller takes no connections, because it drains or stops.</summary>
    PollerDraining,

    /// <summary>It stays: the poller has no room for one more descriptor, or the system refused to watch it there.</summary>
    NoRoom,

    /// <summary>It stays for now: it was told to go elsewhere before it had left.</summary>
    Superseded,

    /// <summary>It stays: the PID is none of a poller of its system.</summary>
    NoSuchPoller,
}
