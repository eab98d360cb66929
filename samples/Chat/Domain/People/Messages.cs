using Proto;

namespace Chat.Domain;

/// <summary>What people are asked by sessions.</summary>
public abstract record PeopleRequest;

/// <summary>Asks for a name. Answer to the person's session: <see cref="NameClaimed"/> or <see cref="Refused"/>.</summary>
/// <param name="Person">With the name that is wanted.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Password">Needed for a registered name only, and then whoever has the name at the moment loses it.</param>
public sealed record ClaimName(Person Person, ulong RequestId, string Password = "") : PeopleRequest;

/// <summary>
/// Asks for another name. Answer: <see cref="NameChanged"/> or <see cref="Refused"/>. The old name stays the person's until
/// <see cref="ReleaseName"/>: their rooms must have told of the change before anybody else can have it.
/// </summary>
public sealed record ChangeName(Person Person, ulong RequestId, string NewName, string Password = "") : PeopleRequest;

/// <summary>All rooms have told of the change, and the old name is free. No answer.</summary>
public sealed record ReleaseName(PID Session) : PeopleRequest;

/// <summary>The session has ended; its name is free when its rooms have told so. No answer; harmless if it has no name.</summary>
public sealed record FreeName(PID Session) : PeopleRequest;

/// <summary>
/// Says something to one person. Answer to the sender's session: <see cref="PrivateSent"/> or <see cref="Refused"/>; the other's
/// session gets <see cref="PrivateMessage"/>.
/// </summary>
public sealed record SendPrivate(Person From, ulong RequestId, string To, string Text, MessageKind Kind = MessageKind.Text) : PeopleRequest;

/// <summary>
/// Takes an invitation to somebody. Answer to the one who invites: <see cref="Done"/> or <see cref="Refused"/>; the other's session gets
/// <see cref="Invited"/>.
/// </summary>
/// <param name="Invitation">The room has nothing against it.</param>
public sealed record CarryInvitation(Invite Invitation) : PeopleRequest;

/// <summary>The person is away, and why; or back, with null. Answer: <see cref="Done"/>.</summary>
public sealed record SetAway(Person Person, ulong RequestId, string? Text) : PeopleRequest;

/// <summary>The session's person has just said something in a room. No answer.</summary>
public sealed record Spoke(PID Session) : PeopleRequest;

/// <summary>Asks about somebody. Answer: <see cref="PersonFound"/> or <see cref="Refused"/>.</summary>
public sealed record WhoIs(Person Person, ulong RequestId, string Name) : PeopleRequest;

/// <summary>Asks which of some names somebody has. Answer: <see cref="NamesFound"/>.</summary>
public sealed record FindNames(Person Person, ulong RequestId, IReadOnlyList<string> Names) : PeopleRequest;

/// <summary>Keeps the person's name for those who know the password. Answer: <see cref="Done"/> or <see cref="Refused"/>.</summary>
public sealed record Register(Person Person, ulong RequestId, string Password) : PeopleRequest;

/// <summary>Asks to be an operator. Answer: <see cref="OperatorGranted"/> or <see cref="Refused"/>.</summary>
/// <param name="Person">Who asks.</param>
/// <param name="RequestId">Comes back in the answer.</param>
/// <param name="Name">The operator's name in the options; it need not be the person's.</param>
/// <param name="Password">The operator's password.</param>
public sealed record BecomeOperator(Person Person, ulong RequestId, string Name, string Password) : PeopleRequest;

/// <summary>Ends somebody's connection; operators may. Answer: <see cref="Done"/> or <see cref="Refused"/>.</summary>
public sealed record Kill(Person Person, ulong RequestId, string Name, string Reason) : PeopleRequest;

/// <summary>Asks for everybody; operators may. Answer: <see cref="PeopleListed"/>.</summary>
public sealed record ListPeople(Person Person, ulong RequestId) : PeopleRequest;

/// <summary>The session has its name.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="Person">Who they are now.</param>
/// <param name="IsRegistered">The name is registered, and they gave its password.</param>
public sealed record NameClaimed(ulong RequestId, Person Person, bool IsRegistered = false);

/// <summary>The session has another name.</summary>
public sealed record NameChanged(ulong RequestId, Person Person, string OldName);

/// <summary>The session's person is an operator.</summary>
public sealed record OperatorGranted(ulong RequestId, Person Person);

/// <summary>The private message is on its way.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="To">The other's name as they spell it.</param>
/// <param name="Time">When.</param>
/// <param name="Away">Why the other is away; null if they are not.</param>
/// <param name="Id">As <see cref="PrivateMessage.Id"/>.</param>
public sealed record PrivateSent(ulong RequestId, string To, DateTimeOffset Time, string? Away = null, string Id = "");

/// <summary>Somebody said something to the session's person alone.</summary>
/// <param name="From">Who.</param>
/// <param name="Text">What.</param>
/// <param name="Time">When.</param>
/// <param name="Kind">How it is meant.</param>
/// <param name="Id">No other message has it, and both sides know it: letters and digits.</param>
public sealed record PrivateMessage(string From, string Text, DateTimeOffset Time, MessageKind Kind = MessageKind.Text, string Id = "");

/// <summary>Somebody asks the session's person into a room.</summary>
public sealed record Invited(string Room, string By);

/// <summary>The session must end. The door tells its client.</summary>
/// <param name="Reason">Why, for the client.</param>
/// <param name="ForOthers">Why, for those who stay.</param>
public sealed record Disconnect(string Reason, string ForOthers);

/// <summary>Somebody who was asked about.</summary>
public sealed record PersonFound(ulong RequestId, PersonDetails Details);

/// <summary>Those of the names that somebody has, as they spell them.</summary>
public sealed record NamesFound(ulong RequestId, IReadOnlyList<string> Names);

/// <summary>Everybody who has a name, in the order of the names.</summary>
public sealed record PeopleListed(ulong RequestId, IReadOnlyList<PersonDetails> People);

/// <summary>What is known of somebody.</summary>
/// <param name="Name">As they spell it.</param>
/// <param name="Since">When they came.</param>
/// <param name="Away">Why they are away; null if they are not.</param>
/// <param name="IsOperator">They may moderate.</param>
/// <param name="IsRegistered">The name is registered, and they gave its password.</param>
/// <param name="Door">The door that they came in by.</param>
/// <param name="Address">Where from; empty for those who may not know.</param>
public sealed record PersonDetails(
    string Name, DateTimeOffset Since, string? Away, bool IsOperator, bool IsRegistered, string Door, string Address)
{
    /// <summary>How long ago they said something last, or came if they have not.</summary>
    public TimeSpan Idle { get; init; }

    /// <summary>The rooms that they are in, in order; for a question about one person only.</summary>
    public IReadOnlyList<string> Rooms { get; init; } = [];
}
