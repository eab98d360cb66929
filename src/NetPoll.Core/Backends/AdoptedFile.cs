namespace NetPoll.Core.Backends;

/// <summary>A descriptor that is no socket of ours, and may still block.</summary>
/// <param name="File">What reads and writes it.</param>
/// <param name="Access">What it was opened for.</param>
internal readonly record struct AdoptedFile(PollableSocket File, FileAccess Access);
