using System.Net;
using Proto;

namespace NetPoll.Actors;

/// <summary>A listener that accepts.</summary>
/// <param name="Pid">Its actor: can be watched and stopped, and answers <see cref="GetListenerStatistics"/>.</param>
/// <param name="EndPoint">Where it listens, with the port that the system chose if none was given.</param>
public sealed record Listener(PID Pid, IPEndPoint EndPoint);

/// <summary>Asks a listener's PID for its figures; the answer is <see cref="ListenerStatistics"/>.</summary>
public sealed record GetListenerStatistics;

/// <summary>A listener's figures.</summary>
/// <param name="Accepted">Connections accepted since the start.</param>
/// <param name="Active">Connections that are open.</param>
public sealed record ListenerStatistics(long Accepted, long Active);
