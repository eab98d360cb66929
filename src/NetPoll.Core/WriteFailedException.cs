namespace NetPoll.Core;

/// <summary>A write ended with an error; part of the bytes may have left before. The inner exception has the system's error, if it told one.</summary>
/// <remarks>What a deadline ends is a <see cref="DeadlineExceededException"/>, which has the same figure. Go: the count that <c>FD.Write</c> returns beside its error.</remarks>
public sealed class WriteFailedException : IOException
{
    /// <summary>An exception with a general message.</summary>
    public WriteFailedException()
        : this("The write failed.")
    {
    }

    /// <summary>An exception with a message.</summary>
    public WriteFailedException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a message and a cause.</summary>
    public WriteFailedException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>
    /// Bytes that the system had taken before the error, counted over all buffers of a vectored write. Whether the peer has received them
    /// nobody knows.
    /// </summary>
    public long BytesTransferred { get; init; }

    // The system contradicts itself: it claims more bytes than there were.
    internal static WriteFailedException TookTooMuch(long count, long offered, long before) =>
        new($"The system took {count} bytes where {offered} were offered.") { BytesTransferred = before };

    // The same: it took none, and told no reason.
    internal static WriteFailedException TookNothing(long before) =>
        new($"The system took no more after {before} bytes, and told no error.", new EndOfStreamException()) { BytesTransferred = before };
}
