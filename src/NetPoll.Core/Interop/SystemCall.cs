using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <summary>The system calls of every message and every turn, made without the detour that libc takes in a process with several threads.</summary>
/// <remarks>
/// recv(3), send(3) and epoll_wait(3) are cancellation points: with more than one thread libc marks the thread before and after each call, by
/// atomic instructions, which is 1% of an echo's processor time. syscall(2) is none. Its numbers are the kernel's contract per architecture;
/// where they are not known here, libc's functions serve.
/// <para>
/// A short call stays in the runtime's cooperative mode, which saves another percent: the garbage collector waits until it returns, which a
/// non-blocking call of at most <see cref="ShortLength"/> bytes or <see cref="FewEvents"/> events does within microseconds. What is longer lets
/// the collector in.
/// </para>
/// </remarks>
internal static unsafe partial class SystemCall
{
    /// <summary>Bytes up to which a call keeps the collector waiting: copying as many takes about 10 microseconds.</summary>
    private const int ShortLength = 64 * 1024;

    /// <summary>Events up to which a look keeps the collector waiting: an event costs about 100 nanoseconds.</summary>
    private const int FewEvents = 256;

    // A pointer, and not an import: of an import the compiler makes a stub, which on the way to the call and back touches five pages more. Null where
    // the numbers are not known.
    private static readonly delegate* unmanaged[SuppressGCTransition]<nint, nint, byte*, nuint, nint, nint, nint, nint> ShortCall = FindShortCall();

    private static readonly nint ReceiveFromNumber = ShortNumber(x64: 45, arm64: 207);
    private static readonly nint SendToNumber = ShortNumber(x64: 44, arm64: 206);

    // The one with a signal mask, which is left out: newer architectures have no other.
    private static readonly nint EpollWaitNumber = ShortNumber(x64: 281, arm64: 22);

    /// <summary>recvfrom(2) without an address: recv(2). Blocks only on a blocking socket, which this library has none of.</summary>
    /// <returns>Bytes received, 0 at the end of the stream, or -1 with errno.</returns>
    internal static nint Receive(int descriptor, byte* buffer, nuint length) =>
        ReceiveFromNumber != 0 ? Call(ReceiveFromNumber, descriptor, buffer, length, 0) : recv(descriptor, buffer, length, 0);

    /// <summary>sendto(2) without an address: send(2). Blocks only on a blocking socket, which this library has none of.</summary>
    /// <returns>Bytes taken by the kernel, or -1 with errno.</returns>
    internal static nint Send(int descriptor, byte* buffer, nuint length, int flags) =>
        SendToNumber != 0 ? Call(SendToNumber, descriptor, buffer, length, flags) : send(descriptor, buffer, length, flags);

    /// <summary>epoll_wait(2). With a timeout of zero it never blocks.</summary>
    /// <returns>Events written, or -1 with errno.</returns>
    internal static int EpollWait(int epoll, EpollEvent* events, int capacity, int timeoutMilliseconds) =>
        timeoutMilliseconds == 0 && capacity <= FewEvents && EpollWaitNumber != 0
            ? (int)ShortCall(EpollWaitNumber, epoll, (byte*)events, (nuint)capacity, 0, 0, 0)
            : epoll_wait(epoll, events, capacity, timeoutMilliseconds);

    private static nint Call(nint number, nint descriptor, byte* buffer, nuint length, nint flags) => length <= ShortLength
        ? ShortCall(number, descriptor, buffer, length, flags, 0, 0)
        : CallWithTransition(number, descriptor, buffer, length, flags);

    private static delegate* unmanaged[SuppressGCTransition]<nint, nint, byte*, nuint, nint, nint, nint, nint> FindShortCall()
    {
        // Asked for our own id first, by the import: whoever watches what is bound sees this one, too, and an answer shows that the numbers are right.
        nint getpid = Number(x64: 39, arm64: 172);
        return getpid != 0
            && syscall_with_transition(getpid, 0, null, 0, 0, 0, 0) == Environment.ProcessId
            && NativeLibrary.TryLoad("libc", typeof(SystemCall).Assembly, null, out nint libc)
            && NativeLibrary.TryGetExport(libc, "syscall", out nint address)
            ? (delegate* unmanaged[SuppressGCTransition]<nint, nint, byte*, nuint, nint, nint, nint, nint>)address
            : null;
    }

    private static nint ShortNumber(nint x64, nint arm64) => ShortCall is null ? 0 : Number(x64, arm64);

    // Not inlined, or the short call would pay for the frame that lets the collector in.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint CallWithTransition(nint number, nint descriptor, byte* buffer, nuint length, nint flags) =>
        syscall_with_transition(number, descriptor, buffer, length, flags, 0, 0);

    /// <summary>The number of a call on this architecture; 0 where it is not known here.</summary>
    internal static nint Number(nint x64, nint arm64) => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => x64,
        Architecture.Arm64 => arm64,
        _ => 0,
    };

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint syscall_with_transition(
        nint number, nint descriptor, byte* buffer, nuint length, nint flags, nint address, nint addressLength);

    [LibraryImport("libc", EntryPoint = "epoll_wait")]
    private static partial int epoll_wait(int epoll, EpollEvent* events, int capacity, int timeout);

    [LibraryImport("libc", EntryPoint = "recv")]
    private static partial nint recv(int descriptor, byte* buffer, nuint count, int flags);

    [LibraryImport("libc", EntryPoint = "send")]
    private static partial nint send(int descriptor, byte* buffer, nuint count, int flags);
}
