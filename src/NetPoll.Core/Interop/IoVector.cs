using System.Buffers;
using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <summary><c>struct iovec</c>: one buffer of a vectored write.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IoVector
{
    internal byte* Start;
    internal nuint Length;

    /// <summary>Sends several buffers with one system call; pins them for its length.</summary>
    /// <param name="descriptor">A non-blocking socket.</param>
    /// <param name="buffers">Of those that are not empty, at most <see cref="Libc.IOV_MAX"/> are sent.</param>
    /// <returns>Bytes taken by the kernel, or the negative errno; 0 only when all buffers are empty.</returns>
    internal static int Send(int descriptor, ReadOnlySpan<ReadOnlyMemory<byte>> buffers)
    {
        // Small batches stay on the stack: the usual queue is a handful of segments.
        const int StackLimit = 16;
        if (buffers.Length <= StackLimit)
        {
            IoVector* vectors = stackalloc IoVector[StackLimit];
            PinBuffer pins = default;
            return Send(descriptor, buffers, vectors, pins, StackLimit);
        }

        int capacity = Math.Min(buffers.Length, Libc.IOV_MAX);
        IoVector[] rented = ArrayPool<IoVector>.Shared.Rent(capacity);
        MemoryHandle[] handles = ArrayPool<MemoryHandle>.Shared.Rent(capacity);
        try
        {
            fixed (IoVector* vectors = rented)
            {
                return Send(descriptor, buffers, vectors, handles, capacity);
            }
        }
        finally
        {
            ArrayPool<IoVector>.Shared.Return(rented);
            ArrayPool<MemoryHandle>.Shared.Return(handles, clearArray: true);
        }
    }

    private static int Send(
        int descriptor, ReadOnlySpan<ReadOnlyMemory<byte>> buffers, IoVector* vectors, Span<MemoryHandle> pins, int capacity)
    {
        int count = 0;
        try
        {
            foreach (ReadOnlyMemory<byte> buffer in buffers)
            {
                if (buffer.IsEmpty)
                {
                    continue;
                }

                if (count == capacity)
                {
                    break;
                }

                MemoryHandle pin = buffer.Pin();
                pins[count] = pin;
                vectors[count] = new IoVector { Start = (byte*)pin.Pointer, Length = (nuint)buffer.Length };
                count++;
            }

            return count == 0 ? 0 : Libc.SendVectored(descriptor, vectors, count);
        }
        finally
        {
            for (int index = 0; index < count; index++)
            {
                pins[index].Dispose();
            }
        }
    }

    [System.Runtime.CompilerServices.InlineArray(16)]
    private struct PinBuffer
    {
        private MemoryHandle _first;
    }
}

/// <summary><c>struct msghdr</c>, of which only the vectors are used.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MessageHeader
{
    internal void* Name;
    internal uint NameLength;
    internal IoVector* Vectors;
    internal nuint VectorCount;
    internal void* Control;
    internal nuint ControlLength;
    internal int Flags;
}
