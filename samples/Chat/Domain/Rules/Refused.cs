namespace Chat.Domain;

/// <summary>The answer to a request that was not granted.</summary>
/// <param name="RequestId">The request's id.</param>
/// <param name="Reason">For programs.</param>
/// <param name="Text">For people: names the value that was refused and the limit, if there is one.</param>
/// <param name="Room">The room that the request was about, if any.</param>
public sealed record Refused(ulong RequestId, RefusalReason Reason, string Text, string? Room = null);

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

    /// <summary>The person is in the room already.</summary>
    AlreadyInRoom,

    /// <summary>Nobody has that name.</summary>
    NoSuchPerson,

    /// <summary>Nobody is in a room of that name.</summary>
    NoSuchRoom,

    /// <summary>The session is in as many rooms as it may be.</summary>
    TooManyRooms,

    /// <summary>The room is full, or there are as many rooms as there may be.</summary>
    Full,
}
