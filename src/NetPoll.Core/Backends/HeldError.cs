using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>An error that the system has told once, to a completion or behind a batch, and so forgotten: the next operation's. Never copied.</summary>
/// <remarks>Any thread. Who holds one replaces an older one; who takes it, by an exchange, is the only one to have it.</remarks>
internal struct HeldError
{
    // 0 for none, which is SocketError.Success.
    private int _error;

    internal bool IsHeld => Volatile.Read(ref _error) != 0;

    internal void Hold(SocketError error) => Interlocked.Exchange(ref _error, (int)error);

    /// <returns>False when there is none, or somebody else has just taken it.</returns>
    internal bool TryTake(out IoResult held)
    {
        SocketError error = IsHeld ? (SocketError)Interlocked.Exchange(ref _error, 0) : SocketError.Success;
        held = error == SocketError.Success ? default : PortableErrors.ToResult(error);
        return error != SocketError.Success;
    }
}
