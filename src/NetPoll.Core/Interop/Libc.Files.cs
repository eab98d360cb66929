using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <content>The file system, as far as the paths of Unix domain sockets need it.</content>
internal static unsafe partial class Libc
{
    // bits/stat.h, there with S_ before the name.
    internal const int IFMT = 0xF000;
    internal const int IFSOCK = 0xC000;
    internal const int IFREG = 0x8000;
    internal const int IFDIR = 0x4000;

    private const int AT_FDCWD = -100;
    private const int AT_SYMLINK_NOFOLLOW = 0x100;
    private const uint STATX_BASIC_STATS = 0x7FF;
    private const int LOCK_EX = 2;
    private const int LOCK_NB = 4;
    private const int O_CLOEXEC = 0x80000;

    // libc's own function is younger than the oldest systems that .NET runs on.
    private static readonly nint StatxNumber = SystemCall.Number(x64: 332, arm64: 291);

    /// <summary>statx(2) of a path, symbolic links not followed. ENOENT, EACCES.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Identify(string path, out FileIdentity identity)
    {
        FileStatus status = default;
        int result = StatxNumber != 0
            ? Result((int)syscall(StatxNumber, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status))
            : Result(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status));
        identity = new FileIdentity(((ulong)status.DeviceMajor << 32) | status.DeviceMinor, status.Inode, status.Mode);
        return result;
    }

    /// <summary>unlink(2).</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Unlink(string path) => Result(unlink(path));

    /// <summary>open(2) of a folder for reading, close-on-exec.</summary>
    /// <returns>The number, or the negative errno.</returns>
    internal static int OpenFolder(string path) => Result(open(path, O_CLOEXEC, 0));

    /// <summary>flock(2), exclusive, without waiting: held until the descriptor is closed. EAGAIN when somebody else holds it.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int TryLock(int descriptor)
    {
        int result;
        do
        {
            result = Result(flock(descriptor, LOCK_EX | LOCK_NB));
        }
        while (result == -Errno.EINTR);

        return result;
    }

    [LibraryImport("libc", EntryPoint = "syscall", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint syscall(nint number, nint folder, string path, nint flags, nuint mask, FileStatus* status);

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int folder, string path, int flags, uint mask, FileStatus* status);

    [LibraryImport("libc", EntryPoint = "unlink", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock")]
    private static partial int flock(int descriptor, int operation);
}

/// <summary>Which file it is, and of what kind.</summary>
/// <param name="Device">The file system.</param>
/// <param name="Inode">The file in it; another file's once this one is gone and nobody has it open.</param>
/// <param name="Mode">Kind and permissions.</param>
internal readonly record struct FileIdentity(ulong Device, ulong Inode, ushort Mode)
{
    internal int Kind => Mode & Libc.IFMT;
}

/// <summary><c>struct statx</c>, which is the same on every architecture: the fields that are read.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileStatus
{
    [FieldOffset(28)]
    internal ushort Mode;

    [FieldOffset(32)]
    internal ulong Inode;

    [FieldOffset(136)]
    internal uint DeviceMajor;

    [FieldOffset(140)]
    internal uint DeviceMinor;
}
