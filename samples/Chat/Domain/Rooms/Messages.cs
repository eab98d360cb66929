namespace Chat.Domain;

/// <summary>What a room is asked, by its name. The answer carries the request's id.</summary>
/// <param name="Person">Who asks.</param>
/// <param name="RequestId">Chosen by the asker; comes back in the answer.</param>
/// <param name="Room">The room's name as <see cref="ChatRules.TryGetRoom"/> spells it.</param>
public abstract record RoomRequest(Person Person, ulong RequestId, string Room);

/// <summary>Enters the room. Answer: <see cref="Joined"/> or <see cref="Refused"/>; the others get <see cref="Presence"/>.</summary>
public sealed record Join(Person Person, ulong RequestId, string Room) : RoomRequest(Person, RequestId, Room);

/// <summary>Leaves the room. Answer: <see cref="Left"/> or <see cref="Refused"/>; the others get <see cref="Presence"/>.</summary>
public sealed record Leave(Person Person, ulong RequestId, string Room) : RoomRequest(Person, RequestId, Room);

/// <summary>
/// Leaves the room because the session has ended. No answer; harmless when not in it; the others get <see cref="Presence"/>.
/// </summary>
public sealed record Vanish(Person Person, string Room) : RoomRequest(Person, 0, Room);

/// <summary>Says something. Answer: <see cref="Said"/> or <see cref="Refused"/>; the others get <see cref="RoomMessage"/>.</summary>
public sealed record Say(Person Person, ulong RequestId, string Room, string Text) : RoomRequest(Person, RequestId, Room);

/// <summary>Asks who is there; anybody may. Answer: <see cref="RoomMembers"/> or <see cref="Refused"/>.</summary>
public sealed record Who(Person Person, ulong RequestId, string Room) : RoomRequest(Person, RequestId, Room);

/// <summary>What a room tells: answers (with a request's id) and events.</summary>
/// <param name="Room">The room's name.</param>
/// <param name="Sequence">
/// The number of the message that this is, or else of the last one before it: 0 before the first. So whoever was told n on
/// joining sees message n + 1 next.
/// </param>
public abstract record RoomEvent(string Room, long Sequence);

/// <summary>The session is in the room.</summary>
public sealed record Joined(string Room, long Sequence, ulong RequestId, IReadOnlyList<string> Members) : RoomEvent(Room, Sequence);

/// <summary>The session is no longer in the room.</summary>
public sealed record Left(string Room, long Sequence, ulong RequestId) : RoomEvent(Room, Sequence);

/// <summary>The room has taken the session's message and given it its number; the others get <see cref="RoomMessage"/>.</summary>
public sealed record Said(string Room, long Sequence, ulong RequestId, DateTimeOffset Time) : RoomEvent(Room, Sequence);

/// <summary>Who is in the room. To a session that is not in it, it is sent directly, beside the room's audience.</summary>
public sealed record RoomMembers(string Room, long Sequence, ulong RequestId, IReadOnlyList<string> Members) : RoomEvent(Room, Sequence);

/// <summary>Somebody came or went; both lists, because many such notices may be told as one.</summary>
public sealed record Presence(string Room, long Sequence, IReadOnlyList<string> Arrived, IReadOnlyList<string> Departed)
    : RoomEvent(Room, Sequence);

/// <summary>Somebody said something.</summary>
public sealed record RoomMessage(string Room, long Sequence, string From, string Text, DateTimeOffset Time) : RoomEvent(Room, Sequence);

/// <summary>The room is closed and nobody is in it any more.</summary>
public sealed record RoomClosed(string Room, long Sequence, string Reason) : RoomEvent(Room, Sequence);

/// <summary>Asks which rooms there are. Answer to the session: <see cref="RoomList"/>.</summary>
public sealed record ListRooms(Person Person, ulong RequestId);

/// <summary>The fullest rooms first.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="Rooms">As many as the limit allows.</param>
/// <param name="Total">How many there are.</param>
public sealed record RoomList(ulong RequestId, IReadOnlyList<RoomSummary> Rooms, int Total);

/// <summary>A room and how many are in it.</summary>
public sealed record RoomSummary(string Room, int Members);
