namespace NetPoll.Actors;

/// <summary>Where a frame is in the bytes that were searched.</summary>
/// <param name="Start">Where the frame's bytes begin.</param>
/// <param name="Length">How many they are; 0 for an empty frame.</param>
/// <param name="Consumed">Bytes that are done with when the frame is taken, what stands around it counted; more than 0.</param>
public readonly record struct FrameBounds(int Start, int Length, int Consumed);
