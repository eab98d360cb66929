namespace NetPoll.Core;

/// <summary>The process on the other side of a Unix domain socket, as the system knew it when it connected, or began to listen.</summary>
/// <param name="ProcessId">Its number; 0 when it is in another namespace of processes. It may have ended since, and its number be another's.</param>
/// <param name="UserId">The user that it ran as.</param>
/// <param name="GroupId">The group that it ran as.</param>
/// <remarks>By SO_PEERCRED: the system vouches for it, the peer cannot choose it.</remarks>
public readonly record struct PeerCredentials(int ProcessId, uint UserId, uint GroupId);
