using System.Runtime.CompilerServices;

namespace NetPoll.Core.Interop;

/// <summary>The part of one thread's stack that its loop works in, by which code can tell that it runs there.</summary>
/// <remarks>
/// Thread-local storage tells it, too, but on Linux each look at it is a call through three libraries. Where a system call empties the translation
/// buffers, as under page table isolation, their pages cost more than all the rest of what an echo does between two calls.
/// </remarks>
internal readonly unsafe struct StackSlice
{
    // Of the stack below the loop. Code that runs deeper is told from foreign code in another way. No thread that runs .NET has a smaller stack, so
    // all of the slice is the thread's own.
    private const nuint Bytes = 32 * 1024;

    private readonly nuint _top;

    private StackSlice(nuint top) => _top = top;

    /// <summary>The slice that begins with the caller's frame. Given up before that frame ends: the memory will be another thread's.</summary>
    internal static StackSlice Below
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        get => new(Here());
    }

    /// <summary>Whether the caller's frame lies in it: then it is the thread's own. Otherwise it may be, too, only deeper.</summary>
    internal bool IsHere
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _top - Here() < Bytes;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nuint Here()
    {
        byte local;
        return (nuint)(&local);
    }
}
