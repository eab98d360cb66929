using Proto;

namespace Chat.Domain;

/// <summary>What a room is asked, by its name. The answer carries the request's id.</summary>
/// <param name="Person">Who asks.</param>
/// <param name="RequestId">Chosen by the asker; comes back in the answer.</param>
/// <param name="Room">The room's name as <see cref="ChatRules.TryGetRoom"/> spells it.</param>
public abstract record RoomRequest(Person Person, ulong RequestId, string Room);

/// <summary>Enters the room. Answer: <see cref="Joined"/> or <see cref="Refused"/>; the others get <see cref="Presence"/>.</summary>
/// <param name="Person">Who.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Room">Where.</param>
/// <param name="Replay">Which of the messages that were said before are told with the answer.</param>
/// <param name="IsAway">They are away.</param>
public sealed record Join(Person Person, ulong RequestId, string Room, Replay Replay = default, bool IsAway = false)
    : RoomRequest(Person, RequestId, Room);

/// <summary>Leaves the room. Answer: <see cref="Left"/> or <see cref="Refused"/>; the others get <see cref="Presence"/>.</summary>
public sealed record Leave(Person Person, ulong RequestId, string Room, string? Reason = null) : RoomRequest(Person, RequestId, Room);

/// <summary>
/// Takes somebody out whose session has ended, or knows them by another name from now on, and tells nobody yet. Answer to
/// <see cref="RoomsActor"/>: <see cref="ChangeMade"/>; harmless when they are not in it.
/// </summary>
internal sealed record MakeChange(PersonChange Change, string Room) : RoomRequest(Change.Person, 0, Room);

/// <summary>
/// Tells of a change that was made: the others get <see cref="Presence"/> or <see cref="Renamed"/>. Answer to <see cref="RoomsActor"/>:
/// <see cref="ChangeTold"/>.
/// </summary>
internal sealed record TellChange(PersonChange Change, string Room, Round Round) : RoomRequest(Change.Person, 0, Room);

/// <summary>
/// Says something. Answer: <see cref="Said"/>, when it is stored, or <see cref="Refused"/>; the others get <see cref="RoomMessage"/>.
/// </summary>
/// <param name="Person">Who.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Room">Where.</param>
/// <param name="Text">What.</param>
/// <param name="Kind">How it is meant.</param>
/// <param name="MessageId">
/// The sender's own id for it, by which the room knows a repetition: it is answered like the first time and told to nobody. Empty for a
/// message that is never repeated.
/// </param>
public sealed record Say(
    Person Person, ulong RequestId, string Room, string Text, MessageKind Kind = MessageKind.Text, string MessageId = "")
    : RoomRequest(Person, RequestId, Room);

/// <summary>Asks who is there; anybody may. Answer: <see cref="RoomMembers"/> or <see cref="Refused"/>.</summary>
public sealed record Who(Person Person, ulong RequestId, string Room) : RoomRequest(Person, RequestId, Room);

/// <summary>Changes what the room is about; members and operators may. Everybody gets <see cref="TopicChanged"/>.</summary>
public sealed record SetTopic(Person Person, ulong RequestId, string Room, string Text) : RoomRequest(Person, RequestId, Room);

/// <summary>
/// Asks whether somebody may be asked into the room: by a member, and one who is not there. Answer: <see cref="MayInvite"/> or
/// <see cref="Refused"/>.
/// </summary>
/// <param name="Person">Who invites.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Room">Where to.</param>
/// <param name="To">Whom, by name.</param>
public sealed record Invite(Person Person, ulong RequestId, string Room, string To) : RoomRequest(Person, RequestId, Room);

/// <summary>The room has nothing against an invitation: the session takes it to <see cref="IPeople"/>.</summary>
public sealed record MayInvite(Invite Invitation);

/// <summary>Asks for what was said after a message. Answer: <see cref="HistoryPage"/> or <see cref="Refused"/>.</summary>
/// <param name="Person">Who.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Room">A room that they are in.</param>
/// <param name="After">The number of the message before the first wanted; 0 for the beginning.</param>
/// <param name="Limit">How many at most, 1 or more; the room has a limit of its own.</param>
public sealed record ReadHistory(Person Person, ulong RequestId, string Room, long After, int Limit) : RoomRequest(Person, RequestId, Room);

/// <summary>The person is away, or back. No answer; the others get <see cref="Presence"/>.</summary>
public sealed record ChangeAway(Person Person, string Room, bool IsAway) : RoomRequest(Person, 0, Room);

/// <summary>The person is an operator now. No answer, and nobody is told.</summary>
public sealed record Promote(Person Person, string Room) : RoomRequest(Person, 0, Room);

/// <summary>What only operators may do in a room; they need not be in it. Answer: <see cref="Done"/> or <see cref="Refused"/>.</summary>
/// <param name="Person">The operator.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Room">Where.</param>
/// <param name="Action">What.</param>
/// <param name="Target">A person's name; for a ban, it may be an address instead.</param>
/// <param name="Reason">For people; may be empty.</param>
public sealed record Moderate(Person Person, ulong RequestId, string Room, ModerationAction Action, string Target, string Reason)
    : RoomRequest(Person, RequestId, Room);

/// <summary>What an operator may do in a room.</summary>
public enum ModerationAction
{
    /// <summary>Puts somebody out; they may come again.</summary>
    Kick,

    /// <summary>Puts somebody out, and refuses them until the ban is lifted.</summary>
    Ban,

    /// <summary>Lifts a ban.</summary>
    Unban,

    /// <summary>Lets somebody listen only.</summary>
    Mute,

    /// <summary>Lets them speak again.</summary>
    Unmute,
}

/// <summary>Asks whom the room bans and mutes; operators may. Answer: <see cref="RoomRestrictions"/>.</summary>
public sealed record ListRestrictions(Person Person, ulong RequestId, string Room) : RoomRequest(Person, RequestId, Room);

/// <summary>What is asked of all rooms together.</summary>
public abstract record RoomsRequest;

/// <summary>Asks which rooms there are. Answer to the session: <see cref="RoomList"/>.</summary>
/// <param name="Person">Who asks.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Named">Those that are asked about; null for all, of which the answer lists the fullest.</param>
public sealed record ListRooms(Person Person, ulong RequestId, IReadOnlyList<string>? Named = null) : RoomsRequest;

/// <summary>Asks for the rooms that somebody is in, to complete an answer, which then goes to whoever asked.</summary>
/// <param name="Asker">The session that gets the answer.</param>
/// <param name="Session">Whose rooms.</param>
/// <param name="Answer">What the register knows.</param>
public sealed record AddRooms(PID Asker, PID Session, PersonFound Answer) : RoomsRequest;

/// <summary>What changes for somebody in all of their rooms. When all have changed what they know, one after the other tells it.</summary>
/// <param name="Person">Who.</param>
/// <param name="Rooms">Those that they may be in.</param>
public abstract record PersonChange(Person Person, IReadOnlyList<string> Rooms) : RoomsRequest;

/// <summary>The session has ended. The rooms take the person out; the others get <see cref="Presence"/>. No answer.</summary>
/// <param name="Person">Who.</param>
/// <param name="Rooms">Those that they may be in.</param>
/// <param name="Reason">For the others; null for none.</param>
/// <param name="IsOwnWish">As <see cref="ChatExit.IsOwnWish"/>.</param>
public sealed record Quit(Person Person, IReadOnlyList<string> Rooms, string? Reason, bool IsOwnWish) : PersonChange(Person, Rooms);

/// <summary>
/// The person has another name. Answer to the session: <see cref="HasRenamed"/>; the others get <see cref="Renamed"/>. What the person
/// asks of rooms behind it is done when that has been told.
/// </summary>
/// <param name="Person">With the new name.</param>
/// <param name="Rooms">Those that they may be in.</param>
/// <param name="OldName">The name before.</param>
public sealed record Rename(Person Person, IReadOnlyList<string> Rooms, string OldName) : PersonChange(Person, Rooms);

/// <summary>
/// Waits until somebody whose session has ended is out of all rooms, and they have told it; they are taken out if they are still in one, as
/// after an end without a word. Answer: <see cref="HasQuit"/>.
/// </summary>
/// <param name="Person">Who.</param>
/// <param name="Asker">Who gets the answer.</param>
public sealed record AwaitQuit(Person Person, PID Asker) : RoomsRequest;

/// <summary>No room will tell anything of the session any more.</summary>
public sealed record HasQuit(PID Session);

/// <summary>Which of the messages that were said before somebody came they are told.</summary>
/// <param name="Last">The last so many; 0 for none.</param>
/// <param name="Since">All after the one with this number, and then <paramref name="Last"/> does not count; null for somebody new.</param>
public readonly record struct Replay(int Last, long? Since = null);

/// <summary>How a message is meant.</summary>
public enum MessageKind
{
    /// <summary>As usual.</summary>
    Text,

    /// <summary>What the sender does: "ada waves".</summary>
    Action,

    /// <summary>From a program; programs do not answer it.</summary>
    Notice,
}
