using System.Numerics;
using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <summary>On which cores a thread may run: sched_setaffinity(2), whose process id 0 is the calling thread.</summary>
internal static unsafe partial class ThreadAffinity
{
    // 8,192 cores: more than the kernel can be built for. It refuses a shorter set than its own.
    private const int Words = 128;

    /// <summary>Confines the calling thread to one of the cores that it may use.</summary>
    /// <param name="index">Which of them, from 0; after the last comes the first again.</param>
    /// <param name="core">The core's number, on success.</param>
    /// <returns>0, or the negative errno.</returns>
    internal static int PinCurrentThread(int index, out int core)
    {
        core = -1;
        ulong* allowed = stackalloc ulong[Words];
        new Span<ulong>(allowed, Words).Clear();
        if (sched_getaffinity(0, Words * sizeof(ulong), allowed) < 0)
        {
            return -Marshal.GetLastSystemError();
        }

        core = CoreAt(new ReadOnlySpan<ulong>(allowed, Words), index);
        ulong* wanted = stackalloc ulong[Words];
        new Span<ulong>(wanted, Words).Clear();
        wanted[core / 64] = 1UL << (core % 64);
        return sched_setaffinity(0, Words * sizeof(ulong), wanted) < 0 ? -Marshal.GetLastSystemError() : 0;
    }

    /// <summary>The number of the set bit at a place among the set bits, counted round; -1 when none is set.</summary>
    internal static int CoreAt(ReadOnlySpan<ulong> allowed, int index)
    {
        int count = 0;
        foreach (ulong word in allowed)
        {
            count += BitOperations.PopCount(word);
        }

        for (int core = 0, left = count == 0 ? -1 : index % count; left >= 0; core++)
        {
            if ((allowed[core / 64] & (1UL << (core % 64))) != 0 && left-- == 0)
            {
                return core;
            }
        }

        return -1;
    }

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int sched_getaffinity(int thread, nuint size, ulong* set);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int sched_setaffinity(int thread, nuint size, ulong* set);
}
