using Proto;

namespace Chat.Domain;

/// <summary>What people are asked by sessions.</summary>
public abstract record PeopleRequest;

/// <summary>Asks for a name. Answer to the person's session: <see cref="NameClaimed"/> or <see cref="Refused"/>.</summary>
public sealed record ClaimName(Person Person, ulong RequestId) : PeopleRequest;

/// <summary>The session has ended and its name is free. No answer; harmless if it has no name.</summary>
public sealed record FreeName(PID Session) : PeopleRequest;

/// <summary>
/// Says something to one person. Answer to the sender's session: <see cref="PrivateSent"/> or <see cref="Refused"/>; the other's
/// session gets <see cref="PrivateMessage"/>.
/// </summary>
public sealed record SendPrivate(Person From, ulong RequestId, string To, string Text) : PeopleRequest;

/// <summary>The session has its name.</summary>
public sealed record NameClaimed(ulong RequestId, Person Person);

/// <summary>The private message is on its way.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="To">The other's name as they spell it.</param>
/// <param name="Time">When.</param>
public sealed record PrivateSent(ulong RequestId, string To, DateTimeOffset Time);

/// <summary>Somebody said something to the session's person alone.</summary>
public sealed record PrivateMessage(string From, string Text, DateTimeOffset Time);
