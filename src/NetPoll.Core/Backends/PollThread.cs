using System.Runtime.CompilerServices;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>The thread of one poller, by which it knows whether it is called there. A part of its poller: never copied.</summary>
/// <remarks>
/// A thread is known by its stack, and deep in its stack by a thread-local value. That alone would do, but on Linux each look at it is a call through
/// three libraries, and where a system call empties the translation buffers their pages cost more than all the rest of what an echo does in between.
/// </remarks>
internal struct PollThread
{
    [ThreadStatic]
    private static Poller? _poller;

    private StackSlice _slice;
    // Word     the part of the stack that the thread works in; nothing before it begins and when it has ended.
    // Writers  the thread, when it begins and before it ends.
    // Race     another thread that looks meanwhile, or that got the memory of this one's stack.
    // Order    none is needed: to another thread the old value and the new one say the same. Who got the memory began after this thread ended, so he
    //          sees that it left.
    // Proof    PollerCurrentTests.

    /// <summary>Whose thread the caller's is; null on every other.</summary>
    internal static Poller? Current => _poller;

    /// <summary>Begins, in the frame of the thread's loop.</summary>
    internal void Enter(Poller poller)
    {
        _poller = poller;
        _slice = StackSlice.Mark();
    }

    /// <summary>Ends.</summary>
    internal void Leave()
    {
        _slice = default;
        _poller = null;
    }

    /// <summary>Whether the caller runs on the thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal readonly bool IsCurrent(Poller poller) => _slice.HoldsCaller || ReferenceEquals(_poller, poller);
}
