using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NetPoll.Tests;

/// <summary>Both sides of a pseudo terminal, as a terminal program and a shell have them.</summary>
internal static unsafe partial class PseudoTerminal
{
    private const int O_RDWR = 2;
    private const int O_NOCTTY = 0x100;
    private const int O_CLOEXEC = 0x80000;
    private const nuint TIOCSPTLCK = 0x40045431;
    private const nuint TIOCGPTN = 0x80045430;

    internal static (SafeFileHandle Master, SafeFileHandle Slave) Open()
    {
        SafeFileHandle master = OpenFile("/dev/ptmx");
        int locked = 0;
        Assert.Equal(0, ioctl(master, TIOCSPTLCK, &locked));
        int number = 0;
        Assert.Equal(0, ioctl(master, TIOCGPTN, &number));
        return (master, OpenFile(string.Create(CultureInfo.InvariantCulture, $"/dev/pts/{number}")));
    }

    private static SafeFileHandle OpenFile(string path)
    {
        int descriptor = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
        Assert.True(descriptor >= 0, $"{path} cannot be opened.");
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc")]
    private static partial int ioctl(SafeFileHandle descriptor, nuint request, void* argument);
}
