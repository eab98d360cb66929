namespace NetPoll.Core;

/// <summary>How a wait for readiness ended, or why an operation may not start.</summary>
/// <remarks>Go: <c>pollNoError</c>, <c>pollErrClosing</c>, <c>pollErrTimeout</c>, <c>pollErrNotPollable</c>.</remarks>
public enum PollResult
{
    /// <summary>Go on: the descriptor is ready, or nothing is in the way.</summary>
    Ready,

    /// <summary>The descriptor is being closed; before everything else.</summary>
    Closing,

    /// <summary>The direction's deadline has passed, and stays passed until another is set.</summary>
    DeadlineExceeded,

    /// <summary>The system reports nothing but an error: the descriptor cannot be waited on for reading.</summary>
    NotPollable,
}
