using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>What one operation on a socket reports: a count, or the system's error. An error never carries bytes, bytes no error.</summary>
internal readonly struct IoResult
{
    private readonly int _value;

    private IoResult(int value) => _value = value;

    /// <summary>Success with nothing to count.</summary>
    internal static IoResult Success => default;

    /// <summary>EAGAIN: nothing can be moved now.</summary>
    internal static IoResult TryAgain => new(-Errno.EAGAIN);

    /// <summary>Part was moved, and the rest is for another turn: no error of the system's, and nothing to wait for.</summary>
    internal static IoResult Unfinished => new(int.MinValue);

    /// <summary>ENOSPC: no room for another descriptor, which is a resource error.</summary>
    internal static IoResult NoRoom => new(-Errno.ENOSPC);

    /// <summary>EBADF: what the operation was about is gone.</summary>
    internal static IoResult Gone => new(-Errno.EBADF);

    /// <summary>ECONNREFUSED: nobody listens.</summary>
    internal static IoResult Refused => new(-Errno.ECONNREFUSED);

    /// <summary>Bytes moved; 0 after an error.</summary>
    internal int Count => Math.Max(_value, 0);

    /// <summary>The system's own number, 0 for success: some have no <see cref="SocketError"/>.</summary>
    internal int NativeError => _value < 0 ? -_value : 0;

    internal bool IsSuccess => _value >= 0;

    /// <summary>EMFILE, ENFILE: the process or the system may open no more descriptors.</summary>
    internal bool IsOutOfDescriptors => _value is -Errno.EMFILE or -Errno.ENFILE;

    /// <summary>EPERM of a registration: what is to be watched is never ready or not, as a regular file.</summary>
    internal bool IsNotPollable => _value == -Errno.EPERM;

    internal bool IsUnfinished => _value == int.MinValue;

    internal bool WouldBlock => _value == -Errno.EAGAIN;

    internal SocketError Error => Errno.ToSocketError(NativeError);

    internal static IoResult Bytes(int count) => new(count);

    /// <param name="error">A positive errno.</param>
    internal static IoResult Failure(int error) => new(-error);

    /// <param name="result">A count, or a negative errno: what the wrappers of system calls return.</param>
    internal static IoResult From(int result) => new(result);

    /// <summary>The exception that users get for a failure: the system's error inside, and both its names in the message.</summary>
    /// <param name="subject">What was done, and to whom.</param>
    internal IOException ToException(string subject) => new(Describe(subject), new SocketException((int)Error));

    /// <summary>As <see cref="ToException"/>, for a write that had moved so many bytes before.</summary>
    internal WriteFailedException ToWriteException(string subject, long bytesWritten) =>
        new(Describe(subject), new SocketException((int)Error)) { BytesTransferred = bytesWritten };

    /// <inheritdoc/>
    public override string ToString() => IsSuccess ? $"{Count} bytes" : $"{Error} (errno {NativeError})";

    private string Describe(string subject) => $"{subject}: {Error} (errno {NativeError}).";
}
