using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A socket's path by libc: flock(2) of the folder, and the inode as what tells ours from another's.</summary>
internal sealed class LibcUnixPath : UnixPath
{
    private FileIdentity _identity;

    private LibcUnixPath(string path)
        : base(path)
    {
    }

    /// <summary>The path of an end point; null for an abstract name.</summary>
    internal static LibcUnixPath? Of(UnixDomainSocketEndPoint endPoint)
    {
        Span<byte> address = stackalloc byte[SocketAddressLayout.MaxUnixSize];
        return SocketAddressLayout.Write(endPoint, address) > 2 && address[2] != 0 ? new LibcUnixPath(Path.GetFullPath(endPoint.ToString())) : null;
    }

    /// <inheritdoc/>
    internal override IDisposable? Lock()
    {
        int folder = Libc.OpenFolder(Folder);
        if (folder < 0)
        {
            return null;
        }

        FileDescriptorHandle handle = new(folder);
        if (SpinWait.SpinUntil(() => Libc.TryLock(folder) >= 0, LockTime))
        {
            return handle;
        }

        handle.Dispose();
        return null;
    }

    /// <inheritdoc/>
    internal override void Own() => _ = Libc.Identify(FullPath, out _identity);

    /// <inheritdoc/>
    internal override void RemoveOwn()
    {
        // While our socket is open no other file can have its inode.
        if (_identity.Inode != 0 && Libc.Identify(FullPath, out FileIdentity found) >= 0 && found.Inode == _identity.Inode && found.Device == _identity.Device)
        {
            _ = Libc.Unlink(FullPath);
        }
    }

    private protected override bool Exists(out string? otherKind)
    {
        int result = Libc.Identify(FullPath, out FileIdentity identity);
        if (result < 0 && result != -Errno.ENOENT)
        {
            throw InUse($"what is there cannot be looked at ({IoResult.From(result)})");
        }

        otherKind = identity.Kind switch
        {
            Libc.IFSOCK => null,
            Libc.IFREG => "a regular file",
            Libc.IFDIR => "a folder",
            _ => "no socket",
        };
        return result >= 0;
    }

    private protected override IoResult ProbeListener(UnixDomainSocketEndPoint endPoint) => UnixSocket.ProbeListener(endPoint);

    private protected override string? Remove()
    {
        int result = Libc.Unlink(FullPath);
        return result < 0 && result != -Errno.ENOENT ? $"{IoResult.From(result)}" : null;
    }
}
