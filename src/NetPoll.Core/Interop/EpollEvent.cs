using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <summary>A buffer of <c>struct epoll_event</c> in the layout of the running machine.</summary>
/// <remarks>The kernel packs the struct to 12 bytes on x86-64 and lets every other architecture align it to 16.</remarks>
internal static unsafe class EpollEventLayout
{
    /// <summary>Bytes from one event to the next.</summary>
    internal static int Size { get; } = SizeOn(RuntimeInformation.ProcessArchitecture);

    /// <summary>Where the user data lies in an event.</summary>
    internal static int DataOffset { get; } = DataOffsetOn(RuntimeInformation.ProcessArchitecture);

    internal const int PackedSize = 12;
    internal const int AlignedSize = 16;

    internal static int SizeOn(Architecture architecture) => architecture is Architecture.X64 ? PackedSize : AlignedSize;

    internal static int DataOffsetOn(Architecture architecture) => architecture is Architecture.X64 ? 4 : 8;

    /// <summary>Reads the event at <paramref name="index"/> of an array that epoll_wait filled.</summary>
    internal static void Read(EpollEvent* events, int index, out uint mask, out ulong data)
    {
        byte* start = (byte*)events + (index * Size);
        mask = *(uint*)start;
        data = *(ulong*)(start + DataOffset);
    }

    /// <summary>Writes one event for epoll_ctl.</summary>
    internal static void Write(EpollEvent* target, uint mask, ulong data)
    {
        *(uint*)target = mask;
        *(ulong*)((byte*)target + DataOffset) = data;
    }
}

/// <summary>Room for one <c>struct epoll_event</c> in either layout; its fields are reached through <see cref="EpollEventLayout"/>.</summary>
[StructLayout(LayoutKind.Sequential, Size = EpollEventLayout.AlignedSize)]
internal struct EpollEvent
{
}
