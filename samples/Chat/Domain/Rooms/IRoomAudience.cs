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
    /// <summary>Adds somebody: their session gets <paramref name="welcome"/> and then everything that is published after this call.</summary>
    void Join(Person person, Joined welcome);

    /// <summary>Takes somebody out: their session gets nothing that is published after this call but <paramref name="farewell"/>, if any.</summary>
    void Leave(Person person, RoomEvent? farewell);

    /// <summary>Tells every session but one.</summary>
    /// <param name="roomEvent">What happened.</param>
    /// <param name="except">Who is not told, if they are in this audience; null if everybody is.</param>
    void Publish(RoomEvent roomEvent, Person? except);

    /// <summary>Tells one session that has joined.</summary>
    void SendTo(Person person, RoomEvent roomEvent);
}
