using System.Net;
using Proto;

namespace NetPoll.Actors;

/// <summary>A listener that accepts.</summary>
/// <param name="Pid">
/// Its actor: can be watched and stopped, and takes <see cref="GetListenerStatistics"/>, <see cref="PauseAccepting"/> and
/// <see cref="ResumeAccepting"/>. Stopping it frees the address; its connections live on.
/// </param>
/// <param name="EndPoint">
/// Where it listens: an <see cref="IPEndPoint"/>, with the port that the system chose if none was given, or a
/// <see cref="System.Net.Sockets.UnixDomainSocketEndPoint"/>.
/// </param>
public sealed record Listener(PID Pid, EndPoint EndPoint);

/// <summary>Asks a listener's PID for its figures; the answer is <see cref="ListenerStatistics"/>.</summary>
public sealed record GetListenerStatistics;

/// <summary>A listener's figures.</summary>
/// <param name="Accepted">Connections that an actor was made for, since the start.</param>
/// <param name="Active">Connections that are open.</param>
public sealed record ListenerStatistics(long Accepted, long Active)
{
    /// <summary>Connections that were taken and not served, since the start.</summary>
    public RefusalCounts Refused { get; init; } = RefusalCounts.None;

    /// <summary>Whether accepting is paused.</summary>
    public bool IsPaused { get; init; }
}

/// <summary>
/// Tells a listener's PID to accept nothing until <see cref="ResumeAccepting"/>; the answer, if somebody waits for it, is
/// <see cref="AcceptingPaused"/>. Meanwhile newcomers wait in the system's queue, up to <see cref="ListenerOptions.Backlog"/> for each poller.
/// </summary>
public sealed record PauseAccepting;

/// <summary>Nothing is accepted from here on.</summary>
public sealed record AcceptingPaused;

/// <summary>
/// Tells a listener's PID to accept again; the answer, if somebody waits for it, is <see cref="AcceptingResumed"/>. Harmless when it is not
/// paused.
/// </summary>
public sealed record ResumeAccepting;

/// <summary>The listener accepts.</summary>
public sealed record AcceptingResumed;
