using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <content>Descriptors of any kind, as somebody else opened them: what they are, and how they are made ours.</content>
internal static unsafe partial class Libc
{
    // bits/stat.h, there with S_ before the name.
    internal const int IFIFO = 0x1000;

    // fcntl.h: the access mode of an open file.
    internal const int O_ACCMODE = 3;
    internal const int O_RDONLY = 0;
    internal const int O_WRONLY = 1;

    internal const short POLLERR = 0x008;

    private const int O_NOCTTY = 0x100;
    private const int O_NONBLOCK = 0x800;
    private const int F_SETFD = 2;
    private const int F_GETFL = 3;
    private const int F_SETFL = 4;
    private const int F_DUPFD_CLOEXEC = 1030;
    private const int FD_CLOEXEC = 1;
    private const int AT_EMPTY_PATH = 0x1000;
    private const nuint TIOCGPTN = 0x80045430;

    /// <summary>fcntl(2), F_DUPFD_CLOEXEC: another number, close-on-exec, of the same open file. EBADF, EMFILE.</summary>
    /// <returns>The number, or the negative errno.</returns>
    internal static int Duplicate(int descriptor) => Result(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));

    /// <summary>fcntl(2), F_SETFD: a program that is executed does not get the descriptor.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int SetCloseOnExec(int descriptor) => Result(fcntl(descriptor, F_SETFD, FD_CLOEXEC));

    /// <summary>fcntl(2), F_GETFL: the flags of the open file, <see cref="O_ACCMODE"/> among them.</summary>
    /// <returns>The flags, or the negative errno.</returns>
    internal static int GetFileFlags(int descriptor) => Result(fcntl(descriptor, F_GETFL, 0));

    /// <summary>fcntl(2), F_SETFL: the open file blocks nobody any more, whoever else has it.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int SetNonBlocking(int descriptor)
    {
        int flags = GetFileFlags(descriptor);
        return flags < 0 || (flags & O_NONBLOCK) != 0 ? Math.Min(flags, 0) : Result(fcntl(descriptor, F_SETFL, flags | O_NONBLOCK));
    }

    /// <summary>statx(2) of an open file.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Identify(int descriptor, out FileIdentity identity)
    {
        FileStatus status = default;
        int result = StatxNumber != 0
            ? Result((int)syscall(StatxNumber, descriptor, string.Empty, AT_EMPTY_PATH, STATX_BASIC_STATS, &status))
            : Result(statx(descriptor, string.Empty, AT_EMPTY_PATH, STATX_BASIC_STATS, &status));
        identity = new FileIdentity(((ulong)status.DeviceMajor << 32) | status.DeviceMinor, status.Inode, status.Mode);
        return result;
    }

    /// <summary>isatty(3), and an ioctl(2) that only the master of a pseudo terminal knows (TIOCGPTN).</summary>
    /// <param name="descriptor">Any.</param>
    /// <param name="isMaster">Whether it is the side that holds the terminal instead of using it.</param>
    internal static bool IsTerminal(int descriptor, out bool isMaster)
    {
        uint number = 0;
        isMaster = isatty(descriptor) == 1 && ioctl(descriptor, TIOCGPTN, &number) == 0;
        return isatty(descriptor) == 1;
    }

    /// <summary>open(2) of what a descriptor is open on, non-blocking and close-on-exec: an open file of its own. ENXIO, EACCES.</summary>
    /// <param name="descriptor">Of this process.</param>
    /// <param name="accessMode">One of <see cref="O_ACCMODE"/>.</param>
    /// <returns>The number, or the negative errno.</returns>
    internal static int Reopen(int descriptor, int accessMode) =>
        Result(open($"/proc/self/fd/{descriptor}", accessMode | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0));

    /// <summary>pipe2(2), non-blocking and close-on-exec at both ends.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Pipe(out int reader, out int writer)
    {
        int* ends = stackalloc int[2] { -1, -1 };
        int result = Result(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
        reader = ends[0];
        writer = ends[1];
        return result;
    }

    /// <summary>poll(2) of one descriptor without waiting.</summary>
    /// <returns>What has happened, <see cref="POLLERR"/> unasked; 0 for nothing; or the negative errno.</returns>
    internal static int PollEvents(int descriptor, short events)
    {
        PollEntry entry = new() { Descriptor = descriptor, Events = events };
        int result = Result(poll(&entry, 1, 0));
        return result > 0 ? entry.Returned : result;
    }

    /// <summary>getsockopt(2), SO_LINGER.</summary>
    /// <param name="descriptor">A socket.</param>
    /// <param name="seconds">What it is set to; -1 where it is off.</param>
    /// <returns>0, or the negative errno.</returns>
    internal static int GetLinger(int descriptor, out int seconds)
    {
        int* linger = stackalloc int[2];
        uint length = 2 * sizeof(int);
        int result = Result(getsockopt(descriptor, SOL_SOCKET, SO_LINGER, linger, &length));
        seconds = linger[0] == 0 ? -1 : linger[1];
        return result;
    }

    // Variadic in C; on the architectures of Linux that .NET runs on such a call is as any other.
    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int fcntl(int descriptor, int operation, nint argument);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int ioctl(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "isatty")]
    private static partial int isatty(int descriptor);

    [LibraryImport("libc", EntryPoint = "pipe2")]
    private static partial int pipe2(int* ends, int flags);
}
