using Proto;

namespace Chat.Domain;

/// <summary>What the history is asked; the answer goes to whoever asked.</summary>
/// <param name="Asker">Who gets the answer.</param>
public abstract record HistoryRequest(PID Asker);

/// <summary>Stores a message. Answers come in the order of the requests of one asker: <see cref="Appended"/>.</summary>
public sealed record AppendMessage(PID Asker, NewMessage Message) : HistoryRequest(Asker);

/// <summary>Asks for what is kept of a room. Answer: <see cref="RoomLoaded"/>.</summary>
public sealed record LoadRoom(PID Asker, string Room, int Limit) : HistoryRequest(Asker);

/// <summary>Asks for messages. Answer: <see cref="HistoryPage"/>, or <see cref="Refused"/>.</summary>
public sealed record ReadMessages(PID Asker, ulong RequestId, string Room, long After, int Limit) : HistoryRequest(Asker);

/// <summary>Keeps a topic. No answer.</summary>
public sealed record SaveTopic(PID Asker, string Room, Topic Topic) : HistoryRequest(Asker);

/// <summary>Keeps or forgets a ban or a mute. No answer.</summary>
public sealed record SaveRestriction(PID Asker, string Room, RestrictionKind Kind, string Target, bool Holds) : HistoryRequest(Asker);

/// <summary>Keeps an account. Answer: <see cref="AccountSaved"/>.</summary>
public sealed record SaveAccount(PID Asker, Account Account) : HistoryRequest(Asker);

/// <summary>Asks for the accounts. Answer: <see cref="AccountsLoaded"/>.</summary>
public sealed record LoadAccounts(PID Asker) : HistoryRequest(Asker);

/// <summary>What became of a message.</summary>
/// <param name="Message">The message.</param>
/// <param name="Result">Its number, if it is stored.</param>
/// <param name="Error">Why the store failed; null when it did not.</param>
public sealed record Appended(NewMessage Message, StoreResult Result, string? Error);

/// <summary>What is kept of a room; null when the store failed.</summary>
public sealed record RoomLoaded(StoredRoom? Room, string? Error);

/// <summary>The accounts; empty when the store failed.</summary>
public sealed record AccountsLoaded(IReadOnlyList<Account> Accounts, string? Error);

/// <summary>The account is kept, or why not.</summary>
public sealed record AccountSaved(Account Account, string? Error);
