namespace Chat.Domain;

/// <summary>A kind of connection: it translates between its wire format and the domain, which knows none.</summary>
public interface IDoor
{
    /// <summary>The door's name, unique in the chat: <see cref="Person.Door"/> tells by it whose audience a session belongs to.</summary>
    string Name { get; }

    /// <summary>Makes the place for those who come to a room by this door. The room disposes it when it goes.</summary>
    /// <param name="room">The room's name.</param>
    /// <remarks>
    /// Called in a turn of the room. A room that went may come again while the last calls to its earlier audience are still
    /// under way, so the audience must not be known by the room's name alone.
    /// </remarks>
    IRoomAudience CreateAudience(string room);
}
