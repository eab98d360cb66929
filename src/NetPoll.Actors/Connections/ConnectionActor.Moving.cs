using Proto;

namespace NetPoll.Actors;

/// <content>Another poller.</content>
public abstract partial class ConnectionActor
{
    /// <summary>
    /// Moves the connection to another poller of the system: when the running callback, or what it awaits, has ended, and a stream that is being
    /// sent is through. Others ask for the same by <see cref="MoveConnection"/>.
    /// </summary>
    /// <remarks>Its PID, its actor, and what waits to be received, handled or sent go with it. Its parent stays the poller that it was made on.</remarks>
    /// <param name="poller">One of <see cref="NetPollExtension.Pollers"/>.</param>
    /// <returns>
    /// False when it stays: it is closing, the poller takes no connections (<see cref="DrainPoller"/>), or the PID is none of a poller. It may
    /// still stay if that comes to hold before it has left; <see cref="OnMoved"/> tells that it has arrived.
    /// </returns>
    /// <exception cref="InvalidOperationException">The caller is not on the connection's poller.</exception>
    protected bool MoveTo(PID poller)
    {
        ArgumentNullException.ThrowIfNull(poller);
        return Do(poller, static (connection, poller) => connection.RequestMove(poller, replyTo: null));
    }

    /// <summary>
    /// The connection lives on another poller from here on (<see cref="Core.Poller.Current"/>), moved by itself, by others or by
    /// <see cref="NetPollOptions.Balancing"/>. Whoever shares state with other actors of one poller gives it up here.
    /// </summary>
    protected virtual void OnMoved()
    {
    }
}
