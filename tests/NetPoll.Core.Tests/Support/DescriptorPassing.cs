using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NetPoll.Core.Tests.Support;

/// <summary>Sends bytes together with a descriptor (SCM_RIGHTS), which .NET cannot.</summary>
internal static unsafe partial class DescriptorPassing
{
    internal static void Send(Socket socket, ReadOnlySpan<byte> bytes, int descriptor)
    {
        // struct cmsghdr { size_t len; int level = SOL_SOCKET; int type = SCM_RIGHTS; } and the number.
        byte* control = stackalloc byte[24];
        new Span<byte>(control, 24).Clear();
        *(nuint*)control = 20;
        *(int*)(control + 8) = 1;
        *(int*)(control + 12) = 1;
        *(int*)(control + 16) = descriptor;
        fixed (byte* start = bytes)
        {
            nuint* vector = stackalloc nuint[2] { (nuint)start, (nuint)bytes.Length };
            nuint* header = stackalloc nuint[7] { 0, 0, (nuint)vector, 1, (nuint)control, 24, 0 };
            Assert.Equal(bytes.Length, (int)sendmsg((int)socket.Handle, header, 0));
        }
    }

    [LibraryImport("libc")]
    private static partial nint sendmsg(int descriptor, void* message, int flags);
}
