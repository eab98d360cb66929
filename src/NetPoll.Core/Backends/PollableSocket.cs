using System.Net;

namespace NetPoll.Core.Backends;

/// <summary>The operations on one socket, none of which blocks: the second half of a backend.</summary>
/// <remarks>
/// An object and not a number, because only one of its kinds has a number: the portable one wraps a .NET socket, and a scripted or
/// simulated one can return a short count or any error. Operations are called by one owner per direction; <see cref="Close"/> once, by
/// the last user.
/// </remarks>
internal abstract class PollableSocket
{
    /// <summary>The system's number, or -1 where there is none. For diagnostics and for the backend of the same kind.</summary>
    internal abstract int Descriptor { get; }

    /// <summary>The address that the socket is bound to; null when it is not bound or closed.</summary>
    internal abstract IPEndPoint? LocalEndPoint { get; }

    /// <summary>The peer's address as it was when the connection was made; null on a listener.</summary>
    internal abstract IPEndPoint? RemoteEndPoint { get; }

    /// <summary>Reads what is there; 0 bytes are the end of the stream.</summary>
    internal abstract IoResult Read(Span<byte> buffer);

    /// <summary>Writes what the system takes, which may be less than all.</summary>
    internal abstract IoResult Write(ReadOnlySpan<byte> buffer);

    /// <summary>Writes several buffers in order, as far as the system takes them.</summary>
    internal abstract IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers);

    /// <summary>Takes one connection from the queue of a listener; it comes out non-blocking.</summary>
    internal abstract IoResult Accept(out PollableSocket? accepted);

    /// <summary>Ends one direction: <see cref="PollMode.Write"/> sends the FIN.</summary>
    internal abstract IoResult Shutdown(PollMode mode);

    /// <summary>Sets an option to a number whose unit is the option's.</summary>
    internal abstract IoResult SetOption(SocketSetting setting, int value);

    /// <summary>Closes the socket. Exactly once; never retried.</summary>
    internal abstract IoResult Close();
}

/// <summary>The options that this library sets.</summary>
internal enum SocketSetting
{
    /// <summary>1: small writes leave at once. 0: they are gathered (Nagle).</summary>
    NoDelay,

    /// <summary>1: the system probes an idle connection.</summary>
    KeepAlive,

    /// <summary>Milliseconds that sent bytes may stay unacknowledged before the system gives the connection up; 0 is its default.</summary>
    UserTimeoutMilliseconds,

    /// <summary>1: closing resets the connection and throws away what is unsent.</summary>
    ResetOnClose,
}
