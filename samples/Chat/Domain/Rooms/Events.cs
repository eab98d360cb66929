using Proto;

namespace Chat.Domain;

/// <summary>What a room tells: answers (with a request's id) and events.</summary>
/// <param name="Room">The room's name.</param>
/// <param name="Sequence">
/// The number of the message that this is, or else of the last one before it: 0 before the first. So whoever was told n on
/// joining sees message n + 1 next.
/// </param>
public abstract record RoomEvent(string Room, long Sequence);

/// <summary>The session is in the room.</summary>
/// <param name="Room">Where.</param>
/// <param name="Sequence">The number of the last message before.</param>
/// <param name="RequestId">The request's id.</param>
/// <param name="Members">Who is there, the session's person included.</param>
public sealed record Joined(string Room, long Sequence, ulong RequestId, IReadOnlyList<string> Members) : RoomEvent(Room, Sequence)
{
    /// <summary>Those of the members who are away.</summary>
    public IReadOnlyList<string> Away { get; init; } = [];

    /// <summary>What the room is about; null if nobody said.</summary>
    public Topic? Topic { get; init; }

    /// <summary>What was said before, as far as it was asked for and is kept; oldest first.</summary>
    public IReadOnlyList<RoomMessage> Replay { get; init; } = [];

    /// <summary>What was asked for and is not in <see cref="Replay"/>; null if nothing is missing.</summary>
    public Gap? Gap { get; init; }
}

/// <summary>Messages that are missing from a replay, by the numbers of the first and the last.</summary>
public sealed record Gap(long First, long Last);

/// <summary>What a room is about.</summary>
public sealed record Topic(string Text, string By, DateTimeOffset Time);

/// <summary>The session is no longer in the room.</summary>
public sealed record Left(string Room, long Sequence, ulong RequestId) : RoomEvent(Room, Sequence)
{
    /// <summary>Why, as the others are told; null if they did not say.</summary>
    public string? Reason { get; init; }
}

/// <summary>An operator put the session out of the room.</summary>
public sealed record Kicked(string Room, long Sequence, string By, string Reason) : RoomEvent(Room, Sequence);

/// <summary>The room has stored the session's message and given it its number; the others get <see cref="RoomMessage"/>.</summary>
/// <param name="Message">The message as the others get it.</param>
/// <param name="RequestId">The request's id.</param>
/// <param name="IsRepetition">The message was stored before, and this is the first answer again.</param>
public sealed record Said(RoomMessage Message, ulong RequestId, bool IsRepetition = false) : RoomEvent(Message.Room, Message.Sequence);

/// <summary>Who is in the room. To a session that is not in it, it is sent directly, beside the room's audience.</summary>
public sealed record RoomMembers(string Room, long Sequence, ulong RequestId, IReadOnlyList<string> Members) : RoomEvent(Room, Sequence)
{
    /// <summary>Those of the members who are away.</summary>
    public IReadOnlyList<string> Away { get; init; } = [];

    /// <summary>Those of the members who are operators.</summary>
    public IReadOnlyList<string> Operators { get; init; } = [];

    /// <summary>What the room is about; null if nobody said.</summary>
    public Topic? Topic { get; init; }
}

/// <summary>Some came, went, or are away or back. In a big room it tells what happened within a moment.</summary>
/// <remarks>
/// A name is in one of the lists at most. Whoever came in that moment gets it as well, with their own name in it, and knows a part of
/// it from <see cref="Joined"/>: to add a member who is there, or to remove one who is not, changes nothing.
/// </remarks>
public sealed record Presence(string Room, long Sequence, IReadOnlyList<string> Arrived, IReadOnlyList<Departure> Departed)
    : RoomEvent(Room, Sequence)
{
    /// <summary>Members who are away from now on.</summary>
    public IReadOnlyList<string> Away { get; init; } = [];

    /// <summary>Members who are back.</summary>
    public IReadOnlyList<string> Back { get; init; } = [];
}

/// <summary>Somebody went.</summary>
/// <param name="Name">Who.</param>
/// <param name="Reason">Why, for people; null if they did not say.</param>
/// <param name="KickedBy">The operator who put them out; null if they went by themselves.</param>
public sealed record Departure(string Name, string? Reason = null, string? KickedBy = null)
{
    /// <summary>They left the chat, and all of their rooms with it; null if they left this room only.</summary>
    public ChatExit? Exit { get; init; }
}

/// <summary>What all of somebody's rooms tell, one after the other, each knowing who has heard it before.</summary>
/// <param name="Session">Whose.</param>
/// <param name="IsLast">No other room tells it after this one.</param>
/// <param name="Told">The sessions that have heard it, room by room.</param>
/// <remarks>
/// The first room tells it when all have changed what they know, and nobody gets the name before the last one has told it. So a door may
/// let those hear it once who are in several of the rooms: whatever they hear of that name afterwards is about somebody who came later.
/// </remarks>
public sealed record Round(PID Session, bool IsLast, IReadOnlyList<IReadOnlySet<PID>> Told)
{
    /// <summary>Whether another room has told it to them.</summary>
    public bool IsKnownTo(PID session) => Told.Any(sessions => sessions.Contains(session));
}

/// <summary>That somebody left the chat altogether.</summary>
/// <param name="IsOwnWish">They said so, and the reason is theirs; otherwise the connection ended, and the server says why.</param>
/// <param name="Round">Their rooms tell it together.</param>
public sealed record ChatExit(bool IsOwnWish, Round Round);

/// <summary>A member has another name.</summary>
/// <param name="Room">Where.</param>
/// <param name="Sequence">The number of the last message before.</param>
/// <param name="OldName">Nobody else has it yet.</param>
/// <param name="NewName">All of their rooms know them by it already.</param>
/// <param name="Round">Their rooms tell it together.</param>
public sealed record Renamed(string Room, long Sequence, string OldName, string NewName, Round Round) : RoomEvent(Room, Sequence);

/// <summary>Somebody said something.</summary>
public sealed record RoomMessage(
    string Room, long Sequence, string From, string Text, DateTimeOffset Time, MessageKind Kind = MessageKind.Text)
    : RoomEvent(Room, Sequence);

/// <summary>The room is about something else.</summary>
/// <param name="Room">The room's name.</param>
/// <param name="Sequence">The number of the last message before.</param>
/// <param name="Topic">An empty text if it is about nothing any more.</param>
/// <param name="RequestId">For whoever changed it, their request's id; 0 for the others.</param>
public sealed record TopicChanged(string Room, long Sequence, Topic Topic, ulong RequestId = 0) : RoomEvent(Room, Sequence);

/// <summary>An operator keeps somebody out or silent, or does so no more. Whoever asked for it gets <see cref="Done"/>.</summary>
/// <param name="Room">Where.</param>
/// <param name="Sequence">The number of the last message before.</param>
/// <param name="By">The operator.</param>
/// <param name="Action">What; not <see cref="ModerationAction.Kick"/>.</param>
/// <param name="Target">Whom, as <see cref="RoomRestrictions"/> lists them.</param>
public sealed record RestrictionChanged(string Room, long Sequence, string By, ModerationAction Action, string Target)
    : RoomEvent(Room, Sequence);

/// <summary>The room is closed and nobody is in it any more.</summary>
public sealed record RoomClosed(string Room, long Sequence, string Reason) : RoomEvent(Room, Sequence);

/// <summary>The fullest rooms first.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="Rooms">As many as the limit allows.</param>
/// <param name="Total">How many there are, of those that were asked about.</param>
public sealed record RoomList(ulong RequestId, IReadOnlyList<RoomSummary> Rooms, int Total);

/// <summary>A room, how many are in it, and what it is about.</summary>
public sealed record RoomSummary(string Room, int Members, string Topic = "");

/// <summary>What was said after a message.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="Room">Where.</param>
/// <param name="Messages">The oldest first.</param>
/// <param name="IsLast">Nothing that is kept comes after these but what was said since.</param>
public sealed record HistoryPage(ulong RequestId, string Room, IReadOnlyList<RoomMessage> Messages, bool IsLast);

/// <summary>Whom a room bans and mutes.</summary>
public sealed record RoomRestrictions(ulong RequestId, string Room, IReadOnlyList<string> Banned, IReadOnlyList<string> Muted);

/// <summary>All rooms have told of the session's new name.</summary>
public sealed record HasRenamed;

/// <summary>The request has been granted, and there is nothing more to say about it.</summary>
public sealed record Done(ulong RequestId);
