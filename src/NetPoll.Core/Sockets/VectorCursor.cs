using System.Buffers;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>How far a vectored write has come in a list of buffers. A mutable part of one operation: never copied.</summary>
/// <remarks>Go: <c>internal/poll.consume</c>.</remarks>
internal struct VectorCursor
{
    /// <summary>Buffers that one system call is given: IOV_MAX.</summary>
    internal const int MaxVectors = 1024;

    /// <summary>Bytes of one buffer that one system call is given.</summary>
    internal const int MaxBytesPerVector = 1 << 30;

    private readonly ReadOnlyMemory<ReadOnlyMemory<byte>> _buffers;
    private int _index;
    private int _offset;

    internal VectorCursor(ReadOnlyMemory<ReadOnlyMemory<byte>> buffers) => _buffers = buffers;

    /// <summary>Bytes consumed so far.</summary>
    internal long Consumed { get; private set; }

    /// <summary>The buffer that comes next.</summary>
    internal readonly int Index => _index;

    /// <summary>How much of it is consumed.</summary>
    internal readonly int Offset => _offset;

    /// <summary>Whether nothing is left but empty buffers.</summary>
    internal bool IsAtEnd
    {
        get
        {
            SkipEmpty();
            return _index == _buffers.Length;
        }
    }

    /// <summary>Gathers what the next system call is given.</summary>
    /// <returns>How many buffers were written to <paramref name="target"/>; 0 at the end.</returns>
    internal int Gather(Span<ReadOnlyMemory<byte>> target)
    {
        SkipEmpty();
        ReadOnlySpan<ReadOnlyMemory<byte>> buffers = _buffers.Span;
        int count = 0;
        int offset = _offset;
        for (int index = _index; index < buffers.Length && count < Math.Min(target.Length, MaxVectors); index++)
        {
            ReadOnlyMemory<byte> buffer = buffers[index][offset..];
            offset = 0;
            if (buffer.IsEmpty)
            {
                continue;
            }

            if (buffer.Length > MaxBytesPerVector)
            {
                // What follows must not overtake the rest of this one.
                target[count++] = buffer[..MaxBytesPerVector];
                break;
            }

            target[count++] = buffer;
        }

        return count;
    }

    /// <summary>Moves on by what the system took: within a buffer, to its end, or over several; empty ones in front go with it.</summary>
    internal void Consume(long count)
    {
        Consumed += count;
        while (count > 0)
        {
            int left = _buffers.Span[_index].Length - _offset;
            if (count < left)
            {
                _offset += (int)count;
                return;
            }

            count -= left;
            _index++;
            _offset = 0;
        }
    }

    /// <summary>Writes once. Nothing left is a success of 0 bytes.</summary>
    /// <exception cref="WriteFailedException">The system contradicts itself: it took more than it was offered, or nothing without an error.</exception>
    internal IoResult WriteOnce(PollableSocket socket)
    {
        ReadOnlyMemory<byte>[] vectors = ArrayPool<ReadOnlyMemory<byte>>.Shared.Rent(Math.Clamp(_buffers.Length - _index, 1, MaxVectors));
        int count = Gather(vectors);
        if (count == 0)
        {
            ArrayPool<ReadOnlyMemory<byte>>.Shared.Return(vectors);
            return IoResult.Success;
        }

        IoResult result;
        long offered = 0;
        try
        {
            foreach (ReadOnlyMemory<byte> vector in vectors.AsSpan(0, count))
            {
                offered += vector.Length;
            }

            result = socket.WriteVectored(vectors.AsSpan(0, count));
        }
        finally
        {
            vectors.AsSpan(0, count).Clear();
            ArrayPool<ReadOnlyMemory<byte>>.Shared.Return(vectors);
        }

        if (result.Count > offered)
        {
            throw WriteFailedException.TookTooMuch(result.Count, offered, Consumed);
        }

        if (result.IsSuccess && result.Count == 0)
        {
            throw WriteFailedException.TookNothing(Consumed);
        }

        Consume(result.Count);
        return result;
    }

    private void SkipEmpty()
    {
        ReadOnlySpan<ReadOnlyMemory<byte>> buffers = _buffers.Span;
        while (_index < buffers.Length && buffers[_index].Length == _offset)
        {
            _index++;
            _offset = 0;
        }
    }
}
