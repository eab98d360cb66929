using System.Buffers;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Connections;

/// <summary>Output that the system has not taken yet: segments in order, the first of them perhaps sent in part.</summary>
/// <remarks>
/// Small pieces are copied together into pooled segments; shared payloads are kept by reference. The poller's thread only.
/// </remarks>
internal class OutputQueue
{
    private const int SegmentSize = 16 * 1024;
    private const int InitialCapacity = 4;

    /// <summary>Buffers that one system call is given at most.</summary>
    private const int VectorLimit = 16;

    // A ring. Invariant: Bytes is the sum of what the segments hold, less what of the first was sent.
    private Segment[] _segments = new Segment[InitialCapacity];
    private int _first;
    private int _count;
    private int _sentOfFirst;

    /// <summary>Bytes that wait.</summary>
    internal long Bytes { get; private set; }

    internal bool IsEmpty => _count == 0;

    /// <summary>The stream that is to go on before anything else is sent; null when it is bytes that are first.</summary>
    internal OutputSource? FirstSource => _count == 0 ? null : _segments[_first].Source;

    /// <summary>Streams that wait.</summary>
    internal int Sources { get; private set; }

    /// <summary>When the oldest of these bytes was appended, to the segment; 0 without any.</summary>
    internal long OldestAt => _count == 0 ? 0 : _segments[_first].AppendedAt;

    /// <summary>Whether it once held so much that keeping it would be a waste.</summary>
    internal bool HasGrown => _segments.Length > 16 * InitialCapacity;

    /// <summary>Copies bytes to the end.</summary>
    internal void Append(ReadOnlySpan<byte> bytes, long now)
    {
        Bytes += bytes.Length;
        while (!bytes.IsEmpty)
        {
            if (_count == 0 || !TryFill(ref _segments[Index(_count - 1)], ref bytes))
            {
                byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(SegmentSize, Math.Min(bytes.Length, 1 << 20)));
                int length = Math.Min(bytes.Length, buffer.Length);
                bytes[..length].CopyTo(buffer);
                bytes = bytes[length..];
                Add(new Segment(buffer, payload: null, length, now));
            }
        }
    }

    /// <summary>Puts a payload at the end, and holds a reference to it until it is sent.</summary>
    internal void Append(SharedPayload payload, long now)
    {
        if (payload.Length > 0)
        {
            Bytes += payload.Length;
            Add(new Segment(buffer: null, payload.Share(), payload.Length, now));
        }
    }

    /// <summary>Puts a stream at the end.</summary>
    internal void Append(OutputSource source, long now)
    {
        Sources++;
        Add(new Segment(source, now));
    }

    /// <summary>Puts bytes before everything else, where a stream is first.</summary>
    /// <param name="buffer">Rented; the queue gives it back.</param>
    /// <param name="length">How much of it.</param>
    /// <param name="now">The poller's clock.</param>
    internal void InsertFirst(byte[] buffer, int length, long now)
    {
        if (_count == _segments.Length)
        {
            Grow();
        }

        _first = Index(_segments.Length - 1);
        _segments[_first] = new Segment(buffer, payload: null, length, now);
        _count++;
        Bytes += length;
    }

    /// <summary>The clock is another one from here on.</summary>
    internal void Shift(long nanoseconds)
    {
        for (int position = 0; position < _count; position++)
        {
            _segments[Index(position)].AppendedAt += nanoseconds;
        }
    }

    /// <summary>Takes a stream out.</summary>
    /// <param name="source">One that waits.</param>
    /// <param name="bytes">Bytes that wait before it.</param>
    /// <param name="sources">Streams that wait before it.</param>
    internal void Remove(OutputSource source, out long bytes, out int sources)
    {
        bytes = -_sentOfFirst;
        sources = 0;
        for (int position = 0; position < _count; position++)
        {
            ref Segment segment = ref _segments[Index(position)];
            if (ReferenceEquals(segment.Source, source))
            {
                Sources--;
                segment = default;
                Remove(position);
                return;
            }

            bytes += segment.Length;
            sources += segment.Source is null ? 0 : 1;
        }
    }

    /// <summary>Offers the first segments to the transport, with one call.</summary>
    internal IoResult WriteOnce(IConnectionTransport transport)
    {
        IoResult result;
        if (_count == 1)
        {
            result = transport.TryWrite(_segments[_first].Memory.Span[_sentOfFirst..]);
        }
        else
        {
            VectorBuffer vectors = default;
            int count = Math.Min(_count, VectorLimit);
            for (int index = 0; index < count; index++)
            {
                if (_segments[Index(index)].Source is not null)
                {
                    count = index;
                    break;
                }

                vectors[index] = _segments[Index(index)].Memory;
            }

            vectors[0] = vectors[0][_sentOfFirst..];
            result = transport.TryWriteVectored(((ReadOnlySpan<ReadOnlyMemory<byte>>)vectors)[..count]);
        }

        if (result.IsSuccess)
        {
            Consume(result.Count);
        }

        return result;
    }

    /// <summary>Offers no more than so many bytes of the first segment to the transport; what a limit allows is not much as a rule.</summary>
    internal IoResult WriteOnce(IConnectionTransport transport, long most)
    {
        ReadOnlySpan<byte> bytes = _segments[_first].Memory.Span[_sentOfFirst..];
        IoResult result = transport.TryWrite(most < bytes.Length ? bytes[..(int)most] : bytes);
        if (result.IsSuccess)
        {
            Consume(result.Count);
        }

        return result;
    }

    /// <summary>Throws away the oldest payload of which nothing was sent.</summary>
    /// <param name="before">Bytes that wait before it.</param>
    /// <param name="sources">Streams that wait before it.</param>
    /// <returns>Its length; 0 when there is none.</returns>
    internal int DropOldest(out long before, out int sources)
    {
        before = -_sentOfFirst;
        sources = 0;
        for (int position = 0; position < _count; position++)
        {
            if (IsWholePayload(position))
            {
                return Remove(position);
            }

            before += _segments[Index(position)].Length;
            sources += _segments[Index(position)].Source is null ? 0 : 1;
        }

        return 0;
    }

    /// <summary>Throws away the newest payload, if nothing of it was sent.</summary>
    /// <param name="before">Bytes that wait before it.</param>
    /// <param name="sources">Streams that wait before it.</param>
    /// <returns>Its length; 0 when there is none.</returns>
    internal int DropNewest(out long before, out int sources)
    {
        before = Bytes;
        sources = Sources;
        for (int position = _count - 1; position >= 0; position--)
        {
            before -= _segments[Index(position)].Length;
            sources -= _segments[Index(position)].Source is null ? 0 : 1;
            if (IsWholePayload(position))
            {
                return Remove(position);
            }
        }

        return 0;
    }

    /// <summary>Throws away what waits.</summary>
    internal void Clear()
    {
        while (_count > 0)
        {
            RemoveFirst();
        }

        Bytes = 0;
        Sources = 0;
    }

    private static bool TryFill(ref Segment segment, ref ReadOnlySpan<byte> bytes)
    {
        if (segment.Buffer is not { } buffer || segment.Length == buffer.Length)
        {
            return false;
        }

        int length = Math.Min(bytes.Length, buffer.Length - segment.Length);
        bytes[..length].CopyTo(buffer.AsSpan(segment.Length));
        segment.Length += length;
        bytes = bytes[length..];
        return true;
    }

    private void Consume(int count)
    {
        Bytes -= count;
        while (count > 0)
        {
            int left = _segments[_first].Length - _sentOfFirst;
            if (count < left)
            {
                _sentOfFirst += count;
                return;
            }

            count -= left;
            RemoveFirst();
        }
    }

    private void Add(Segment segment)
    {
        if (_count == _segments.Length)
        {
            Grow();
        }

        _segments[Index(_count)] = segment;
        _count++;
    }

    private void Grow()
    {
        Segment[] larger = new Segment[_count * 2];
        for (int index = 0; index < _count; index++)
        {
            larger[index] = _segments[Index(index)];
        }

        _segments = larger;
        _first = 0;
    }

    private void RemoveFirst()
    {
        ref Segment segment = ref _segments[_first];
        segment.Release();
        segment = default;
        _first = (_first + 1) % _segments.Length;
        _sentOfFirst = 0;
        _count--;
    }

    private bool IsWholePayload(int position) => _segments[Index(position)].Payload is not null && (position > 0 || _sentOfFirst == 0);

    // The shorter side moves: as a rule it is short, since the oldest or the newest is looked for.
    private int Remove(int removed)
    {
        Segment segment = _segments[Index(removed)];
        segment.Release();
        Bytes -= segment.Length;
        if (removed < _count / 2)
        {
            for (int position = removed; position > 0; position--)
            {
                _segments[Index(position)] = _segments[Index(position - 1)];
            }

            _segments[_first] = default;
            _first = Index(1);
        }
        else
        {
            for (int position = removed; position < _count - 1; position++)
            {
                _segments[Index(position)] = _segments[Index(position + 1)];
            }

            _segments[Index(_count - 1)] = default;
        }

        _count--;
        return segment.Length;
    }

    private int Index(int position) => (_first + position) % _segments.Length;

    private struct Segment
    {
        internal Segment(byte[]? buffer, SharedPayload? payload, int length, long appendedAt)
        {
            AppendedAt = appendedAt;
            Buffer = buffer;
            Payload = payload;
            Length = length;
        }

        internal Segment(OutputSource source, long appendedAt)
        {
            AppendedAt = appendedAt;
            Source = source;
        }

        internal long AppendedAt { get; set; }

        internal OutputSource? Source { get; }

        internal byte[]? Buffer { get; }

        internal SharedPayload? Payload { get; }

        internal int Length { get; set; }

        internal readonly ReadOnlyMemory<byte> Memory => Payload?.Memory ?? Buffer.AsMemory(0, Length);

        internal readonly void Release()
        {
            Payload?.Dispose();
            Source?.Lost();
            if (Buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(Buffer);
            }
        }
    }

    [System.Runtime.CompilerServices.InlineArray(VectorLimit)]
    private struct VectorBuffer
    {
        private ReadOnlyMemory<byte> _first;
    }
}
