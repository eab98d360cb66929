namespace NetPoll.Actors;

/// <summary>What becomes of output for which there is no room, because the peer takes too little of it.</summary>
/// <remarks>
/// Only whole <see cref="SharedPayload"/>s are ever dropped, be they from a group or from <c>Send(payload)</c>, and never one of which a part
/// was sent: where they are dropped, a payload must hold whole frames. Bytes of <c>Send(span)</c> are never dropped, and payloads give way to
/// them; where that makes no room either, the connection is closed. Payloads of less than 4 KiB count as such bytes until the peer is behind.
/// </remarks>
public enum SlowConsumerPolicy
{
    /// <summary>The connection is reset, with <see cref="CloseReason.SlowConsumer"/>.</summary>
    Close,

    /// <summary>The payload for which there is no room is dropped; where bytes need the room, the payloads that were sent last.</summary>
    DropNewest,

    /// <summary>The payloads that have waited longest are dropped, until there is room.</summary>
    DropOldest,
}

/// <summary>What a connection did not send because its peer took too little; see <see cref="SlowConsumerPolicy"/>.</summary>
/// <param name="Payloads">How many payloads.</param>
/// <param name="Bytes">How many bytes.</param>
public readonly record struct DroppedOutput(long Payloads, long Bytes);
