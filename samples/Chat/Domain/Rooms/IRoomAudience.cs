using Proto;

namespace Chat.Domain;

/// <summary>
/// The sessions of one door that are in one room. A door implements it: it encodes an event once, however many hear it.
/// </summary>
/// <remarks>
/// <para>All calls come from the room's turns, one at a time. What a session gets by one audience, it must get in the order of the
/// calls; that is why the answers to members take this way, too.</para>
/// <para>A session that ended is still told about until the room hears of it: those calls must be harmless.</para>
/// </remarks>
public interface IRoomAudience : IDisposable
{
    /// <summary>Adds the session: it gets <paramref name="welcome"/> and then everything that is published after this call.</summary>
    void Join(PID session, Joined welcome);

    /// <summary>Takes the session out: it gets nothing that is published after this call but <paramref name="farewell"/>, if any.</summary>
    void Leave(PID session, Left? farewell);

    /// <summary>Tells every session but one.</summary>
    /// <param name="roomEvent">What happened.</param>
    /// <param name="except">Who is not told; null if everybody is.</param>
    void Publish(RoomEvent roomEvent, PID? except);

    /// <summary>Tells one session that has joined.</summary>
    void SendTo(PID session, RoomEvent roomEvent);
}
