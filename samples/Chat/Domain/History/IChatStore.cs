namespace Chat.Domain;

/// <summary>Where the chat keeps what must survive: messages, topics, bans, accounts.</summary>
/// <remarks>
/// It is used by <see cref="HistoryActor"/> on a thread of its own, and may block there. What a method that changes something was given
/// is kept for good when it returns. Every method throws <see cref="IOException"/> when the store fails; nothing is changed then.
/// </remarks>
public interface IChatStore : IDisposable
{
    /// <summary>Stores messages, all or none, and gives each the next number of its room.</summary>
    /// <returns>What became of each, in their order.</returns>
    IReadOnlyList<StoreResult> Append(IReadOnlyList<NewMessage> messages);

    /// <summary>What is kept of a room; of one that nobody spoke in, nothing.</summary>
    /// <param name="room">The room's name.</param>
    /// <param name="limit">How many of its last messages are wanted.</param>
    StoredRoom LoadRoom(string room, int limit);

    /// <summary>The messages of a room after one, oldest first.</summary>
    IReadOnlyList<RoomMessage> Read(string room, long after, int limit);

    /// <summary>Keeps a room's topic; one with an empty text is none.</summary>
    void SaveTopic(string room, Topic topic);

    /// <summary>Keeps or forgets that a room bans or mutes somebody.</summary>
    /// <param name="room">The room's name.</param>
    /// <param name="kind">Which of the two.</param>
    /// <param name="target">Whom, as <see cref="ChatRules.NameKey"/> spells it.</param>
    /// <param name="holds">Keep or forget.</param>
    void SaveRestriction(string room, RestrictionKind kind, string target, bool holds);

    /// <summary>Every registered name and the hash of its password.</summary>
    IReadOnlyList<Account> LoadAccounts();

    /// <summary>Keeps a registered name, or its new password.</summary>
    void SaveAccount(Account account);

    /// <summary>Forgets the messages that are older. The numbers of a room go on where they were.</summary>
    /// <returns>How many those were.</returns>
    int Prune(DateTimeOffset before);
}

/// <summary>A message that has no number yet.</summary>
/// <param name="Room">Where.</param>
/// <param name="From">The sender's name.</param>
/// <param name="MessageId">The sender's own id for it; empty for none.</param>
/// <param name="Kind">How it is meant.</param>
/// <param name="Text">What.</param>
/// <param name="Time">When the room took it.</param>
public sealed record NewMessage(string Room, string From, string MessageId, MessageKind Kind, string Text, DateTimeOffset Time)
{
    /// <summary>The message with its number and the time that it has for good.</summary>
    public RoomMessage Numbered(long sequence, DateTimeOffset time) => new(Room, sequence, From, Text, time, Kind);
}

/// <summary>What became of a message.</summary>
/// <param name="Outcome">Whether it is stored, and since when.</param>
/// <param name="Sequence">Its number, or that of the message that has its id.</param>
/// <param name="Time">When that was said.</param>
public readonly record struct StoreResult(StoreOutcome Outcome, long Sequence, DateTimeOffset Time);

/// <summary>Whether a message is stored, and since when.</summary>
public enum StoreOutcome
{
    /// <summary>It is stored now.</summary>
    Stored,

    /// <summary>It was stored before: the same sender, id and text.</summary>
    Repetition,

    /// <summary>It is not stored: its sender used the id for another text.</summary>
    IdTaken,
}

/// <summary>What is kept of a room.</summary>
/// <param name="Sequence">The number of its last message; 0 if there was none.</param>
/// <param name="Messages">The last ones, oldest first.</param>
/// <param name="Topic">Its topic, if any.</param>
/// <param name="Banned">Whom it bans.</param>
/// <param name="Muted">Whom it mutes.</param>
public sealed record StoredRoom(
    long Sequence, IReadOnlyList<RoomMessage> Messages, Topic? Topic, IReadOnlyList<string> Banned, IReadOnlyList<string> Muted);

/// <summary>What a room may keep somebody from.</summary>
public enum RestrictionKind
{
    /// <summary>Being there.</summary>
    Ban,

    /// <summary>Speaking.</summary>
    Mute,
}

/// <summary>A registered name.</summary>
/// <param name="Name">As its owner spells it.</param>
/// <param name="PasswordHash">As <see cref="PasswordHash"/> makes it.</param>
public sealed record Account(string Name, string PasswordHash);
