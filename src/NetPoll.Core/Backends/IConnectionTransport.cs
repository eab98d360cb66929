using System.Net;

namespace NetPoll.Core.Backends;

/// <summary>What carries a connection's bytes: plain TCP, or whatever sits between it and the handler. Nothing here blocks.</summary>
/// <remarks>
/// Plain TCP is the socket itself: every idle connection would pay for an object in between, and every message for its cache line. The
/// connection's turn only, except the construction.
/// </remarks>
internal interface IConnectionTransport
{
    /// <summary>Our side's address; null once closed.</summary>
    EndPoint? LocalEndPoint { get; }

    /// <summary>The peer's address as it was when the connection was made.</summary>
    EndPoint? RemoteEndPoint { get; }

    /// <summary>What messages call it where it has no address; null where it has one.</summary>
    string? Name => null;

    /// <summary>The process on the other side; null where the system does not tell.</summary>
    PeerCredentials? PeerCredentials { get; }

    /// <summary>Reads what is there; 0 bytes are the end.</summary>
    IoResult TryRead(Span<byte> buffer);

    /// <summary>Writes what is taken.</summary>
    IoResult TryWrite(ReadOnlySpan<byte> buffer);

    /// <summary>Writes several buffers in order, as far as they are taken.</summary>
    IoResult TryWriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers);

    /// <summary>Whether there still is a peer: an error tells what ended the connection, though nobody reads or writes.</summary>
    IoResult CheckPeer();

    /// <summary>Tells the peer that no more comes.</summary>
    IoResult ShutdownWrite();

    /// <summary>Closes; with <paramref name="reset"/> what is unsent is thrown away and the peer sees a reset. Once.</summary>
    void Close(bool reset);
}
