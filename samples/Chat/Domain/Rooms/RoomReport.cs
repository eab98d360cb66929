using Proto;

namespace Chat.Domain;

/// <summary>What a room tells <see cref="RoomsActor"/> when its size or topic changes, and while it is empty.</summary>
/// <param name="Room">The room's name.</param>
/// <param name="Sender">The room that reports: by now another may have the name.</param>
/// <param name="Members">How many are in it.</param>
/// <param name="RequestsTaken">How many requests it has answered since it began.</param>
/// <param name="Topic">What it is about; empty for nothing.</param>
internal sealed record RoomReport(string Room, PID Sender, int Members, long RequestsTaken, string Topic);
