using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace NetPoll.Core.Backends;

/// <summary>A socket's path by what .NET has: a named mutex for the folder, and the time of the last change as what tells ours from another's.</summary>
internal sealed class PortableUnixPath : UnixPath
{
    // What open(2) says of a socket: Linux and FreeBSD, and macOS. .NET hands the number on.
    private const int NoSuchDevice = 6;
    private const int NotSupportedOnSocket = 102;

    // What we have set it to when we bound, as the file system keeps it.
    private DateTime _mark;

    private PortableUnixPath(string path)
        : base(path)
    {
    }

    /// <summary>The path of an end point; null for an abstract name.</summary>
    /// <exception cref="PlatformNotSupportedException">An abstract name where the system has none.</exception>
    internal static PortableUnixPath? Of(UnixDomainSocketEndPoint endPoint)
    {
        System.Net.SocketAddress address = endPoint.Serialize();
        if (address.Size > 2 && address[2] != 0)
        {
            return new PortableUnixPath(Path.GetFullPath(endPoint.ToString()));
        }

        return OperatingSystem.IsLinux()
            ? null
            : throw new PlatformNotSupportedException($"{endPoint} is an abstract name, which only Linux has; expected a path.");
    }

    /// <inheritdoc/>
    internal override IDisposable? Lock()
    {
        try
        {
            byte[] folder = SHA256.HashData(Encoding.UTF8.GetBytes(Folder));
            Mutex mutex = new(initiallyOwned: false, $"NetPoll-{Convert.ToHexString(folder.AsSpan(0, 16))}");
            try
            {
                if (!mutex.WaitOne(LockTime))
                {
                    mutex.Dispose();
                    return null;
                }
            }
            catch (AbandonedMutexException)
            {
                // Its owner died in the middle; it is ours, and what he left is looked at anyway.
            }

            return new Held(mutex);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or WaitHandleCannotBeOpenedException or PlatformNotSupportedException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    /// <remarks>.NET tells no inode. A time that nobody else would set does as well, to the 100 ns that .NET knows.</remarks>
    internal override void Own()
    {
        try
        {
            File.SetLastWriteTimeUtc(FullPath, TimeProvider.System.GetUtcNow().UtcDateTime - TimeSpan.FromTicks(Random.Shared.NextInt64(TimeSpan.TicksPerSecond)));
            _mark = File.GetLastWriteTimeUtc(FullPath);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Gone already, or not to be marked: then it is left alone.
        }
    }

    /// <inheritdoc/>
    internal override void RemoveOwn()
    {
        try
        {
            if (_mark != default && File.GetLastWriteTimeUtc(FullPath) == _mark)
            {
                File.Delete(FullPath);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Whoever comes next finds it stale.
        }
    }

    private protected override bool Exists(out string? otherKind)
    {
        otherKind = null;
        FileInfo file = new(FullPath);
        try
        {
            FileAttributes attributes = file.Attributes;
            if ((int)attributes == -1)
            {
                return false;
            }

            otherKind = file.LinkTarget is not null ? "no socket"
                : (attributes & FileAttributes.Directory) != 0 ? "a folder"
                : OperatingSystem.IsWindows() && (attributes & FileAttributes.ReparsePoint) != 0 ? null
                : KindByOpening();
            return true;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw InUse($"what is there cannot be looked at ({exception.Message})");
        }
    }

    private protected override IoResult ProbeListener(UnixDomainSocketEndPoint endPoint)
    {
        IoResult result = PortableSocket.ConnectUnix(endPoint, local: null, out PollableSocket? socket);
        _ = socket?.Close();
        return result;
    }

    private protected override string? Remove()
    {
        try
        {
            File.Delete(FullPath);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception.Message;
        }
    }

    // A socket cannot be opened, and .NET tells its kind in no other way. For both directions: so that a named pipe does not wait for its other end.
    private string? KindByOpening()
    {
        try
        {
            using FileStream opened = new(FullPath, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            return opened.CanSeek ? "a regular file" : "no socket";
        }
        catch (IOException exception) when (exception.HResult is NoSuchDevice or NotSupportedOnSocket)
        {
            return null;
        }
    }

    private sealed class Held(Mutex mutex) : IDisposable
    {
        public void Dispose()
        {
            mutex.ReleaseMutex();
            mutex.Dispose();
        }
    }
}
