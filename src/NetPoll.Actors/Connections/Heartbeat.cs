namespace NetPoll.Actors;

/// <summary>Asks a quiet peer whether it is still there, and ends the connection with <see cref="CloseReason.HeartbeatMissed"/> if it does not answer.</summary>
/// <remarks>
/// Where an answer has not come for <paramref name="Interval"/>, <paramref name="Ping"/> is sent; when <see cref="MaxMissed"/> of them have gone
/// unanswered for an interval each, the connection is reset. While the connection reads nothing, because its handler awaits or has suspended
/// it or the peer takes too little, pings go on and none counts: the answer may be there unread. Immutable: one object for all connections.
/// </remarks>
/// <param name="Interval">Above 0.</param>
/// <param name="Ping">What is sent, with whatever frames it; not empty. Not to be changed afterwards. Left out while other output waits.</param>
public sealed record Heartbeat(TimeSpan Interval, ReadOnlyMemory<byte> Ping)
{
    /// <summary>How many pings may go unanswered, 1 or more. Default 2.</summary>
    public int MaxMissed { get; init; } = 2;

    /// <summary>What counts as an answer. Default <see cref="HeartbeatAnswer.AnyBytes"/>.</summary>
    public HeartbeatAnswer Answer { get; init; }

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Require(Interval > TimeSpan.Zero, nameof(Interval), Interval, "more than 0");
        Require(!Ping.IsEmpty, nameof(Ping), "empty", "1 byte or more");
        Require(MaxMissed > 0, nameof(MaxMissed), MaxMissed, "1 or more");
        Require(Enum.IsDefined(Answer), nameof(Answer), Answer, string.Join(", ", Enum.GetNames<HeartbeatAnswer>()));
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(Heartbeat)}.{name} is {value}; expected {expected}.", name);
        }
    }
}

/// <summary>What counts as an answer to a heartbeat.</summary>
public enum HeartbeatAnswer
{
    /// <summary>Whatever is received: a peer that talks is alive, and is not asked.</summary>
    AnyBytes,

    /// <summary>Only what the handler says is one, by <c>HeartbeatAnswered()</c> or the message <see cref="Actors.HeartbeatAnswered"/>.</summary>
    Explicit,
}
