using System.Net;
using System.Runtime.CompilerServices;

namespace NetPoll.Core.Backends;

/// <summary>The operations on one socket, none of which blocks: the second half of a backend.</summary>
/// <remarks>
/// An object and not a number, because only one of its kinds has a number: the portable one wraps a .NET socket, and a scripted or
/// simulated one can return a short count or any error. An error is a result and never an exception. Operations are called by one owner
/// per direction; <see cref="Close"/> once, by the last user.
/// </remarks>
internal abstract class PollableSocket : IConnectionTransport
{
    /// <summary>The system's number, or -1 where there is none. For diagnostics and for the backend of the same kind.</summary>
    internal abstract int Descriptor { get; }

    /// <summary>The address that the socket is bound to; null when it is not bound or closed.</summary>
    internal abstract EndPoint? LocalEndPoint { get; }

    /// <summary>The peer's address as it was when the connection was made; null on a listener. A new object each time.</summary>
    internal abstract EndPoint? RemoteEndPoint { get; }

    /// <summary>The process on the other side; null where the system does not tell.</summary>
    internal virtual PeerCredentials? PeerCredentials => null;

    /// <summary>What messages call it where it has no address; null where it has one.</summary>
    internal virtual string? Name => null;

    /// <summary>Whether a short read may leave something behind on it: then only one that would block proves that nothing is left.</summary>
    internal virtual bool MayReadShort => false;

    /// <summary>The peer is another one than it seems: from here on <see cref="RemoteEndPoint"/> is what a proxy told of it.</summary>
    internal abstract void SetRemoteEndPoint(IPEndPoint endPoint);

    /// <summary>What it is, for diagnostics.</summary>
    internal virtual PollKind Kind => RemoteEndPoint is null ? PollKind.Listener : PollKind.Socket;

    /// <summary>Reads what is there; 0 bytes are the end of the stream.</summary>
    internal abstract IoResult Read(Span<byte> buffer);

    /// <summary>Writes what the system takes, which may be less than all.</summary>
    internal abstract IoResult Write(ReadOnlySpan<byte> buffer);

    /// <summary>Writes several buffers in order, as far as the system takes them.</summary>
    internal abstract IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers);

    /// <summary>Takes one connection from the queue of a listener; it comes out non-blocking.</summary>
    internal abstract IoResult Accept(out PollableSocket? accepted);

    /// <summary>
    /// A listener that closes has found its queue empty: whether nothing more can come out of it. False where a connection may be on its way
    /// out of the queue still; then a readiness tells when it is worth looking again. From the first call on no wait begins such an accept.
    /// </summary>
    internal virtual bool FinishAccepting() => true;

    /// <summary>Ends one direction: <see cref="PollMode.Write"/> sends the FIN.</summary>
    internal abstract IoResult Shutdown(PollMode mode);

    /// <summary>Looks at a connection attempt in progress: done, still going on (would block), or failed.</summary>
    /// <remarks>A wake-up proves nothing, so success means that there is a peer. Go: the loop of <c>netFD.connect</c>.</remarks>
    internal abstract IoResult FinishConnect();

    /// <summary>Whether a direction is ready now: success or would block. Errors count as ready: the operation will tell.</summary>
    internal abstract IoResult Probe(PollMode mode);

    /// <summary>Reads an option.</summary>
    internal abstract IoResult GetOption(SocketSetting setting, out int value);

    /// <summary>Sets an option to a number whose unit is the option's.</summary>
    internal abstract IoResult SetOption(SocketSetting setting, int value);

    /// <summary>From here on no operation blocks. For what somebody else has opened; the rest begins so.</summary>
    internal virtual IoResult SetNonBlocking() => IoResult.Success;

    /// <summary>
    /// Whether closing would block, until the peer has everything or a linger time is over: not for the caller's thread if others need that. The
    /// system is asked only where somebody may have set such a time.
    /// </summary>
    internal virtual bool CloseBlocks => false;

    /// <summary>Somebody else has its number, or had it: he may have set a linger time that nobody told us of.</summary>
    internal virtual void MayLinger()
    {
    }

    /// <summary>Closes the socket. Exactly once; never retried. On a poller's thread it never blocks, and may be over later.</summary>
    internal abstract IoResult Close();

    /// <inheritdoc/>
    EndPoint? IConnectionTransport.LocalEndPoint => LocalEndPoint;

    /// <inheritdoc/>
    EndPoint? IConnectionTransport.RemoteEndPoint => RemoteEndPoint;

    /// <inheritdoc/>
    string? IConnectionTransport.Name => Name;

    /// <inheritdoc/>
    PeerCredentials? IConnectionTransport.PeerCredentials => PeerCredentials;

    /// <inheritdoc/>
    IoResult IConnectionTransport.TryRead(Span<byte> buffer) => Read(buffer);

    // Not a part of its callers, who for their part belong to a loop with a handler for exceptions: Libc.Receive tells why.

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.NoInlining)]
    IoResult IConnectionTransport.TryWrite(ReadOnlySpan<byte> buffer) => Write(buffer);

    /// <inheritdoc/>
    IoResult IConnectionTransport.TryWriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => WriteVectored(buffers);

    // The same two questions that end a connection attempt: the error that the socket holds, and whether it has a peer.

    /// <inheritdoc/>
    IoResult IConnectionTransport.CheckPeer() => FinishConnect();

    /// <inheritdoc/>
    IoResult IConnectionTransport.ShutdownWrite() => Shutdown(PollMode.Write);

    /// <inheritdoc/>
    void IConnectionTransport.Close(bool reset)
    {
        if (reset)
        {
            _ = SetOption(SocketSetting.LingerSeconds, 0);
        }

        _ = Close();
    }
}

/// <summary>What is polled. Go: <c>pdType</c>.</summary>
internal enum PollKind
{
    /// <summary>A connection, or an attempt at one.</summary>
    Socket,

    /// <summary>A socket that listens.</summary>
    Listener,

    /// <summary>A socket for datagrams.</summary>
    Datagram,

    /// <summary>One end of a pipe, or a FIFO.</summary>
    Pipe,

    /// <summary>A terminal, or the master of a pseudo terminal.</summary>
    Terminal,

    /// <summary>An eventfd.</summary>
    Event,

    /// <summary>Anything else that somebody opened: a device, a timer, a file.</summary>
    Other,
}

/// <summary>The options that this library sets.</summary>
internal enum SocketSetting
{
    /// <summary>1: small writes leave at once. 0: they are gathered (Nagle).</summary>
    NoDelay,

    /// <summary>1: the system probes an idle connection.</summary>
    KeepAlive,

    /// <summary>Seconds of silence before the first probe.</summary>
    KeepAliveTimeSeconds,

    /// <summary>Seconds between probes.</summary>
    KeepAliveIntervalSeconds,

    /// <summary>Probes without an answer before the system gives the connection up.</summary>
    KeepAliveProbes,

    /// <summary>Bytes of the system's send buffer; Linux doubles what is asked for.</summary>
    SendBufferBytes,

    /// <summary>Bytes of the system's receive buffer; Linux doubles what is asked for.</summary>
    ReceiveBufferBytes,

    /// <summary>Milliseconds that sent bytes may stay unacknowledged before the system gives the connection up; 0 is its default.</summary>
    UserTimeoutMilliseconds,

    /// <summary>
    /// Below 0: closing returns at once and the system sends the rest. 0: closing resets the connection and throws away what is unsent. Above
    /// 0: closing blocks, on a non-blocking socket as well, until all is sent and acknowledged or so many seconds are over.
    /// </summary>
    LingerSeconds,
}
