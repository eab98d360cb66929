using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>The path that a Unix domain socket is bound to: replaced when nobody listens on it, removed when its socket closes.</summary>
/// <remarks>
/// bind(2) never replaces anything, so a server that was killed leaves a path that stops its successor. Whether somebody listens there only an
/// attempt to connect tells. Between that and the removal another starter may have put a living socket there, and one that is bound but does
/// not listen yet looks dead: so whoever looks, removes, binds and listens does all of it under an exclusive lock of the folder. It binds
/// only those who take it, which all listeners of one backend do; nothing is left in the folder.
/// </remarks>
internal abstract class UnixPath
{
    /// <summary>How long the folder's lock is waited for: others hold it for the length of a few system calls, and who holds it longer is not one of us.</summary>
    private protected static readonly TimeSpan LockTime = TimeSpan.FromSeconds(1);

    /// <param name="path">Absolute: the process's folder does not move it any more.</param>
    private protected UnixPath(string path) => FullPath = path;

    private protected string FullPath { get; }

    private protected string Folder => Path.GetDirectoryName(FullPath)!;

    /// <summary>Keeps others of this library from the paths of the folder until it is disposed, on the same thread.</summary>
    /// <returns>Null when the folder cannot be locked: then nothing may be replaced.</returns>
    internal abstract IDisposable? Lock();

    /// <summary>The path is ours from here on: bound just now.</summary>
    internal abstract void Own();

    /// <summary>Removes the path if it still is ours. Before the socket is closed, so that nobody finds it dead and replaces it meanwhile.</summary>
    internal abstract void RemoveOwn();

    /// <summary>Removes what is at the path if it is a socket on which nobody listens. Under the lock.</summary>
    /// <param name="endPoint">The end point of the path.</param>
    /// <param name="isLocked">Whether the lock is held.</param>
    /// <exception cref="IOException">It may not be removed: the message tells why.</exception>
    internal void RemoveStale(UnixDomainSocketEndPoint endPoint, bool isLocked)
    {
        if (!Exists(out string? otherKind))
        {
            return;
        }

        if (otherKind is not null)
        {
            throw InUse($"there is {otherKind}, which is never replaced");
        }

        if (!isLocked)
        {
            throw InUse("there is a socket, and its folder could not be locked to find out whether somebody listens on it");
        }

        IoResult probe = ProbeListener(endPoint);
        if (probe.NativeError != Errno.ECONNREFUSED)
        {
            throw InUse(probe.IsSuccess || probe.WouldBlock ? "somebody listens there" : $"there is a socket that cannot be tried ({probe})");
        }

        if (Remove() is { } failure)
        {
            throw InUse($"nobody listens on the socket that is there, but it cannot be removed ({failure})");
        }
    }

    /// <summary>Whether anything is at the path.</summary>
    /// <param name="otherKind">What it is if it is no socket.</param>
    /// <exception cref="IOException">That cannot be found out.</exception>
    private protected abstract bool Exists(out string? otherKind);

    /// <summary>Tries whether somebody listens, who sees a connection that ends at once: refused when not.</summary>
    private protected abstract IoResult ProbeListener(UnixDomainSocketEndPoint endPoint);

    /// <summary>Removes what is at the path.</summary>
    /// <returns>What kept it from that; null when nothing is there any more.</returns>
    private protected abstract string? Remove();

    private protected IOException InUse(string why) => new(
        $"listen on {FullPath}: {SocketError.AddressAlreadyInUse} (errno {Errno.EADDRINUSE}): {why}.", new SocketException((int)SocketError.AddressAlreadyInUse));
}
