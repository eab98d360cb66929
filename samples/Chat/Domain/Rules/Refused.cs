namespace Chat.Domain;

/// <summary>The answer to a request that was not granted.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="Reason">For programs.</param>
/// <param name="Text">For people: names the value that was refused and the limit, if there is one.</param>
/// <param name="Room">The room that the request was about, if any.</param>
/// <param name="RetryAfter">How long to wait before the same request can be granted; zero when waiting does not help by itself.</param>
public sealed record Refused(
    ulong RequestId, RefusalReason Reason, string Text, string? Room = null, TimeSpan RetryAfter = default);

/// <summary>Why a request was not granted.</summary>
public enum RefusalReason
{
    /// <summary>A request that needs a name came before the session had one.</summary>
    NameFirst,

    /// <summary>The session has its name, or has asked for it, already.</summary>
    AlreadyNamed,

    /// <summary>A person's name breaks the rules for names.</summary>
    InvalidName,

    /// <summary>Somebody else has the name.</summary>
    NameTaken,

    /// <summary>A room's name breaks the rules for names.</summary>
    InvalidRoom,

    /// <summary>A text is empty, too long, or has control characters.</summary>
    InvalidText,

    /// <summary>The person is not in the room.</summary>
    NotInRoom,

    /// <summary>The person is in the room already, or the one that they invite is.</summary>
    AlreadyInRoom,

    /// <summary>Nobody has that name.</summary>
    NoSuchPerson,

    /// <summary>Nobody is in a room of that name.</summary>
    NoSuchRoom,

    /// <summary>The session is in as many rooms as it may be.</summary>
    TooManyRooms,

    /// <summary>The room is full, or there are as many rooms as there may be.</summary>
    Full,

    /// <summary>The session says too much; <see cref="Refused.RetryAfter"/> tells when it may go on.</summary>
    TooFast,

    /// <summary>The room bans the person.</summary>
    Banned,

    /// <summary>The room lets the person listen only.</summary>
    Muted,

    /// <summary>Only operators may.</summary>
    OperatorsOnly,

    /// <summary>The name is registered, and no password was given.</summary>
    PasswordRequired,

    /// <summary>The password is wrong, or there is no such operator.</summary>
    WrongPassword,

    /// <summary>A password breaks the rules for passwords.</summary>
    InvalidPassword,

    /// <summary>Somebody else has registered the name.</summary>
    AlreadyRegistered,

    /// <summary>The sender's id for the message is that of another message of theirs.</summary>
    MessageIdTaken,

    /// <summary>The sender's id for the message breaks the rules for ids.</summary>
    InvalidMessageId,

    /// <summary>The store failed.</summary>
    Unavailable,

    /// <summary>Too much waits already.</summary>
    Busy,
}
