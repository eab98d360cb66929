using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>The path that a Unix domain socket is bound to: replaced when nobody listens on it, removed when its socket closes.</summary>
/// <remarks>
/// bind(2) never replaces anything, so a server that was killed leaves a path that stops its successor. Whether somebody listens there only an
/// attempt to connect tells. Between that and the removal another starter may have put a living socket there, and one that is bound but does
/// not listen yet looks dead: so whoever looks, removes, binds and listens does all of it under an exclusive flock(2) of the folder. It binds
/// only those who take it, which all listeners of this library do; nothing is left on the disk.
/// </remarks>
internal sealed class UnixPath
{
    private static readonly TimeSpan LockTime = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private FileIdentity _identity;

    private UnixPath(string path) => _path = path;

    /// <summary>The path of an end point, which the process's folder does not move any more; null for an abstract name.</summary>
    internal static UnixPath? Of(UnixDomainSocketEndPoint endPoint)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxUnixSize];
        return SocketAddressLayout.Write(endPoint, address) > 2 && address[2] != 0 ? new UnixPath(Path.GetFullPath(endPoint.ToString())) : null;
    }

    /// <summary>Keeps others of this library from the paths of the folder until it is disposed.</summary>
    /// <returns>Null when the folder cannot be locked: then nothing may be replaced.</returns>
    internal FileDescriptorHandle? Lock()
    {
        int folder = Libc.OpenFolder(Path.GetDirectoryName(_path)!);
        if (folder < 0)
        {
            return null;
        }

        FileDescriptorHandle handle = new(folder);

        // Others hold it for the length of a few system calls; who holds it longer is not one of us.
        if (SpinWait.SpinUntil(() => Libc.TryLock(folder) >= 0, LockTime))
        {
            return handle;
        }

        handle.Dispose();
        return null;
    }

    /// <summary>Removes what is at the path if it is a socket on which nobody listens. Under the lock.</summary>
    /// <param name="endPoint">The end point of the path.</param>
    /// <param name="isLocked">Whether the lock is held.</param>
    /// <exception cref="IOException">It may not be removed: the message tells why.</exception>
    internal void RemoveStale(UnixDomainSocketEndPoint endPoint, bool isLocked)
    {
        int result = Libc.Identify(_path, out FileIdentity identity);
        if (result == -Errno.ENOENT)
        {
            return;
        }

        if (result < 0)
        {
            throw InUse($"what is there cannot be looked at ({IoResult.From(result)})");
        }

        if (identity.Kind != Libc.IFSOCK)
        {
            throw InUse($"there is {Describe(identity.Kind)}, which is never replaced");
        }

        if (!isLocked)
        {
            throw InUse("there is a socket, and its folder could not be locked to find out whether somebody listens on it");
        }

        IoResult probe = UnixSocket.ProbeListener(endPoint);
        if (probe.NativeError != Errno.ECONNREFUSED)
        {
            throw InUse(probe.IsSuccess || probe.WouldBlock ? "somebody listens there" : $"there is a socket that cannot be tried ({probe})");
        }

        result = Libc.Unlink(_path);
        if (result < 0 && result != -Errno.ENOENT)
        {
            throw InUse($"nobody listens on the socket that is there, but it cannot be removed ({IoResult.From(result)})");
        }
    }

    /// <summary>The path is ours from here on: bound just now.</summary>
    internal void Own() => _ = Libc.Identify(_path, out _identity);

    /// <summary>Removes the path if it still is ours. Before the socket is closed, so that nobody finds it dead and replaces it meanwhile.</summary>
    internal void RemoveOwn()
    {
        // While our socket is open no other file can have its inode.
        if (_identity.Inode != 0 && Libc.Identify(_path, out FileIdentity found) >= 0 && found.Inode == _identity.Inode && found.Device == _identity.Device)
        {
            _ = Libc.Unlink(_path);
        }
    }

    private static string Describe(int kind) => kind switch
    {
        Libc.IFREG => "a regular file",
        Libc.IFDIR => "a folder",
        _ => "no socket",
    };

    private IOException InUse(string why) => new(
        $"listen on {_path}: {SocketError.AddressAlreadyInUse} (errno {Errno.EADDRINUSE}): {why}.", new SocketException((int)SocketError.AddressAlreadyInUse));
}
