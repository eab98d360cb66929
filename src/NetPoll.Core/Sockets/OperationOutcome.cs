using System.Net;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>How an operation of a <see cref="NetFd"/> ended: what the system said, or what kept it from being asked.</summary>
internal readonly record struct OperationOutcome(PollResult Poll, IoResult Io)
{
    private static readonly Exception CancelledMark = new OperationCanceledException();

    // What an attempt threw instead of answering, such as memory that its owner took away meanwhile: the awaiting code's business.
    internal Exception? Failure { get; init; }

    /// <summary>The wait's token was cancelled; nothing was moved.</summary>
    internal static OperationOutcome Cancelled { get; } = new(PollResult.Ready, IoResult.Success) { Failure = CancelledMark };

    internal bool IsCancelled => ReferenceEquals(Failure, CancelledMark);

    internal static OperationOutcome From(IoResult io) => new(PollResult.Ready, io);

    internal static OperationOutcome From(PollResult poll) => new(poll, default);

    internal static OperationOutcome From(Exception failure) => new(PollResult.Ready, IoResult.Gone) { Failure = failure };

    internal bool IsSuccess => Poll == PollResult.Ready && Io.IsSuccess && Failure is null;

    /// <summary>The exception of the awaitable surface.</summary>
    /// <param name="operation">A verb for the message: read, write, accept.</param>
    /// <param name="about">Whom the operation was about: an end point, or the name of a descriptor.</param>
    /// <param name="bytesWritten">Bytes that a write had moved before it ended; null for every other operation.</param>
    internal Exception ToException(string operation, object? about, long? bytesWritten = null)
    {
        if (Failure is not null)
        {
            return Failure;
        }

        string subject = about is null ? operation : $"{operation} {about}";
        return Poll switch
        {
            PollResult.Closing when about is null or EndPoint =>
                new ObjectDisposedException(nameof(NetConnection), $"{subject}: use of a closed network connection."),
            PollResult.Closing => new ObjectDisposedException(nameof(NetDescriptor), $"{subject}: use of a closed descriptor."),
            PollResult.DeadlineExceeded => new DeadlineExceededException($"{subject}: the deadline has passed.") { BytesTransferred = bytesWritten ?? 0 },
            PollResult.NotPollable => new IOException($"{subject}: the system reports a state that cannot be waited on."),
            _ => bytesWritten is { } count ? Io.ToWriteException(subject, count) : Io.ToException(subject),
        };
    }
}
