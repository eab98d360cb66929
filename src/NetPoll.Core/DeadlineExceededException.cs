namespace NetPoll.Core;

/// <summary>An operation met a deadline that has passed, or waited until it did. The connection is as usable as before.</summary>
/// <remarks>Go: <c>os.ErrDeadlineExceeded</c>.</remarks>
public sealed class DeadlineExceededException : TimeoutException
{
    /// <summary>An exception with a general message.</summary>
    public DeadlineExceededException()
        : this("The deadline has passed.")
    {
    }

    /// <summary>An exception with a message.</summary>
    public DeadlineExceededException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a message and a cause.</summary>
    public DeadlineExceededException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Bytes that had been written before the deadline; 0 for every other operation, which has consumed nothing.</summary>
    public long BytesTransferred { get; init; }

    /// <summary>Always true: after a new deadline the same operation may succeed. Go: <c>Temporary</c>.</summary>
    public bool IsTransient { get; } = true;
}
