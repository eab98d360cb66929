using NetPoll.Core;

namespace NetPoll.Actors;

/// <summary>Asks a poller's PID for its figures; the answer is a <see cref="PollerSnapshot"/>.</summary>
public sealed record GetPollerSnapshot;
