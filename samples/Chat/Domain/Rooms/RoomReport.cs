using Proto;

namespace Chat.Domain;

/// <summary>What a room tells <see cref="RoomsActor"/> when its size or topic changes, and while it is empty.</summary>
/// <param name="Room">The room's name.</param>
/// <param name="Sender">The room that reports: by now another may have the name.</param>
/// <param name="Members">How many are in it.</param>
/// <param name="RequestsTaken">How many requests it has answered since it began.</param>
/// <param name="Topic">What it is about; empty for nothing.</param>
internal sealed record RoomReport(string Room, PID Sender, int Members, long RequestsTaken, string Topic);

/// <summary>Somebody has come, or gone.</summary>
internal sealed record MemberMoved(string Room, PID Sender, PID Session, bool IsIn);

/// <summary>Answer to <see cref="MakeChange"/>.</summary>
/// <param name="Sender">The room.</param>
/// <param name="Session">Who.</param>
/// <param name="WasMember">They were in it before, so there is something to tell.</param>
internal sealed record ChangeMade(PID Sender, PID Session, bool WasMember);

/// <summary>Answer to <see cref="TellChange"/>: the others have been told.</summary>
/// <param name="Sender">The room.</param>
/// <param name="Session">Of whom.</param>
/// <param name="To">Who has been told; empty if nobody needs to know.</param>
internal sealed record ChangeTold(PID Sender, PID Session, IReadOnlySet<PID> To);

/// <summary>A member's session has ended, and perhaps without a word to anybody.</summary>
internal sealed record SessionLost(Person Person, string Room);
