using System.Buffers;

namespace NetPoll.Actors.Connections;

/// <summary>Bytes that the handler was given and left: kept in one pooled buffer, which goes back when it is empty.</summary>
/// <remarks>
/// While something is left the next read lands behind it, so that the handler always sees one span. An idle connection holds no buffer. A
/// mutable part of one connection: never copied; the turn only.
/// </remarks>
internal struct ConnectionInput
{
    private const int InitialSize = 4096;

    private byte[]? _buffer;

    /// <summary>How many bytes are left.</summary>
    internal int Length { get; private set; }

    internal readonly bool IsEmpty => Length == 0;

    internal readonly ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, Length);

    /// <summary>Where the next read lands: the scratch while nothing is left, else behind what is left.</summary>
    internal Span<byte> ReadTarget(byte[] scratch)
    {
        if (Length == 0)
        {
            return scratch;
        }

        // At least as much room as is taken: a frame of n bytes costs at most log n copies.
        if (_buffer!.Length - Length < Math.Max(Length, InitialSize) && _buffer.Length - Length < scratch.Length)
        {
            Resize(_buffer.Length * 2);
        }

        return _buffer.AsSpan(Length);
    }

    /// <summary>Counts in what was read into <see cref="ReadTarget"/> behind what was left.</summary>
    internal void Extend(int count) => Length += count;

    /// <summary>Keeps what the handler left of bytes that were not ours yet.</summary>
    internal void Keep(ReadOnlySpan<byte> rest)
    {
        if (rest.IsEmpty)
        {
            return;
        }

        _buffer = ArrayPool<byte>.Shared.Rent(Math.Max(rest.Length, InitialSize));
        rest.CopyTo(_buffer);
        Length = rest.Length;
    }

    /// <summary>The handler took some of what is kept.</summary>
    internal void Consume(int count)
    {
        Length -= count;
        if (Length == 0)
        {
            Clear();
        }
        else if (count > 0)
        {
            _buffer.AsSpan(count, Length).CopyTo(_buffer);
        }
    }

    internal void Clear()
    {
        Length = 0;
        if (_buffer is { } buffer)
        {
            _buffer = null;
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Resize(int size)
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(size);
        Bytes.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer!);
        _buffer = larger;
    }
}
