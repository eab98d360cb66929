namespace NetPoll.Actors;

/// <summary>
/// Asks for the live connections: <see cref="NetPollExtension.ConnectionTable"/> for all of them, a poller's PID for its own. The answer is a
/// <see cref="ConnectionTable"/>.
/// </summary>
/// <remarks>
/// The pollers look at their connections a few at a time, between their other work, so the rows are not of one moment. Whoever looks often
/// at a hundred thousand connections pays for it: each row that is looked at costs about 250 bytes of garbage.
/// </remarks>
public sealed record GetConnections
{
    /// <summary>Which; null for all. Runs on the pollers' threads: it must not block, nor touch what is not safe to share.</summary>
    public Func<ConnectionInfo, bool>? Where { get; init; }

    /// <summary>What to sort by, the largest first.</summary>
    public ConnectionOrder OrderBy { get; init; }

    /// <summary>How many rows at most, 0 for the counts alone. Default: all.</summary>
    public int Limit { get; init; } = int.MaxValue;
}

/// <summary>The live connections that were asked for.</summary>
/// <param name="Connections">The rows, in order.</param>
/// <param name="Matched">How many met the condition, those left out by the limit included.</param>
/// <param name="Total">How many were looked at.</param>
/// <param name="Failure">What the condition threw. The other figures are incomplete then; null otherwise.</param>
public sealed record ConnectionTable(IReadOnlyList<ConnectionInfo> Connections, int Matched, int Total, Exception? Failure = null);

/// <summary>
/// Closes live connections: sent to <see cref="NetPollExtension.ConnectionTable"/>, or to a poller's PID for its own. The answer, if somebody
/// waits for it, is <see cref="ConnectionsClosing"/>.
/// </summary>
/// <param name="Where">Which. Runs on the pollers' threads: it must not block, nor touch what is not safe to share.</param>
public sealed record CloseConnections(Func<ConnectionInfo, bool> Where)
{
    /// <summary>What the connections' handlers are told.</summary>
    public CloseReason Reason { get; init; } = CloseReason.Shutdown;

    /// <summary>Whether to reset them at once, instead of sending first what waits. One that is closing already is only touched by a reset.</summary>
    public bool Abort { get; init; }
}

/// <summary>Connections were told to close; each ends as soon as what waits in it is sent.</summary>
/// <param name="Count">How many.</param>
/// <param name="Failure">What the condition threw; the poller on which it did went no further. Null otherwise.</param>
public sealed record ConnectionsClosing(int Count, Exception? Failure = null);
