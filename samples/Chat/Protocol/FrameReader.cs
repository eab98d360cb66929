using Google.Protobuf;

namespace Chat.Protocol;

/// <summary>Reads varint-delimited frames of one type from a stream, for those who wait for a frame: clients and tests.</summary>
/// <remarks>One caller at a time. The stream stays the caller's.</remarks>
public sealed class FrameReader<T>
    where T : IMessage<T>
{
    private readonly Stream _stream;
    private readonly MessageParser<T> _parser;
    private readonly int _maxFrameBytes;
    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    public FrameReader(Stream stream, MessageParser<T> parser, int maxFrameBytes)
    {
        _stream = stream;
        _parser = parser;
        _maxFrameBytes = maxFrameBytes;
    }

    /// <summary>The next frame, or null when the stream ended between two frames.</summary>
    /// <exception cref="EndOfStreamException">The stream ended within a frame.</exception>
    /// <exception cref="InvalidDataException">The bytes are no frame, or one longer than the limit.</exception>
    public async ValueTask<T?> ReadAsync(CancellationToken cancellation)
    {
        int length;
        while (!TryTakeLength(out length))
        {
            if (!await FillAsync(cancellation))
            {
                return _start == _end ? default : throw EndedWithin("the length of a frame");
            }
        }

        if (length > _maxFrameBytes)
        {
            throw new InvalidDataException($"a frame of {length} bytes exceeds the limit of {_maxFrameBytes}");
        }

        while (_end - _start < length)
        {
            if (!await FillAsync(cancellation))
            {
                throw EndedWithin($"a frame, after {_end - _start} of its {length} bytes");
            }
        }

        int start = _start;
        _start += length;
        try
        {
            return _parser.ParseFrom(_buffer, start, length);
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new InvalidDataException($"a frame of {length} bytes is no {typeof(T).Name}: {exception.Message}", exception);
        }
    }

    private static EndOfStreamException EndedWithin(string what) => new($"the stream ended within {what}");

    /// <summary>Takes the varint in front if all of it is here; takes nothing otherwise.</summary>
    private bool TryTakeLength(out int length)
    {
        ulong value = 0;
        for (int index = 0; index < 5; index++)
        {
            if (_start + index == _end)
            {
                length = 0;
                return false;
            }

            byte next = _buffer[_start + index];
            value |= (ulong)(next & 0x7f) << (7 * index);
            if (next < 0x80)
            {
                _start += index + 1;
                length = (int)Math.Min(value, int.MaxValue);
                return true;
            }
        }

        throw new InvalidDataException("the length of a frame is longer than 5 bytes");
    }

    private async ValueTask<bool> FillAsync(CancellationToken cancellation)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            // Doubling instead of taking the announced length at once: a length that is a lie costs its sender the bytes.
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        int count = await _stream.ReadAsync(_buffer.AsMemory(_end), cancellation);
        _end += count;
        return count > 0;
    }
}
