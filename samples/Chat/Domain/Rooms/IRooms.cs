namespace Chat.Domain;

/// <summary>
/// The way to rooms by their names: the only one. Nobody holds a room, so a room may come into being when it is first joined, go
/// when the last one leaves, and live on any machine.
/// </summary>
public interface IRooms
{
    /// <summary>
    /// Hands a request to the room that it names, in order per caller. The answer goes to the person's session, by the room's
    /// audience if they are in the room. Any thread; never blocks.
    /// </summary>
    void Tell(RoomRequest request);

    /// <summary>Hands over what is asked of all rooms together, in order with what the caller asked single ones. Any thread; never blocks.</summary>
    void Tell(RoomsRequest request);
}
