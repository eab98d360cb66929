using System.Runtime.CompilerServices;

namespace NetPoll.Core.Interop;

/// <summary>A part of one thread's stack: from the frame that marks it downwards.</summary>
internal readonly unsafe struct StackSlice
{
    // No thread that runs .NET has a smaller stack, so all of it is the thread's own.
    private const nuint Bytes = 32 * 1024;

    // The frame that marks it belongs to it, as do those between it and the thread's first, which take more than this.
    private const nuint Above = 1024;

    private readonly nuint _top;

    private StackSlice(nuint top) => _top = top;

    /// <summary>The slice of the caller.</summary>
    internal static StackSlice Mark()
    {
        byte local;
        return new StackSlice((nuint)(&local) + Above);
    }

    /// <summary>Whether the caller's frame lies in it.</summary>
    internal bool HoldsCaller
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            byte local;
            return _top - (nuint)(&local) < Bytes;
        }
    }
}
