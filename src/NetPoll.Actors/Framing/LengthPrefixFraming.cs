using System.Buffers.Binary;
using System.Diagnostics;

namespace NetPoll.Actors.Frames;

/// <summary>Frames behind their length.</summary>
internal sealed class LengthPrefixFraming : Framing
{
    private readonly LengthPrefix _prefix;
    private readonly bool _countsItself;

    // Bytes of the longest frame whose length can be written.
    private readonly int _capacity;

    internal LengthPrefixFraming(LengthPrefix prefix, int maxLength, LengthCounts counts)
        : base(Math.Min(maxLength, Capacity(prefix, counts)))
    {
        _prefix = prefix;
        _countsItself = counts == LengthCounts.PrefixAndFrame;
        _capacity = Capacity(prefix, counts);
    }

    public override bool TryFind(ReadOnlySpan<byte> bytes, out FrameBounds frame, int searched = 0)
    {
        frame = default;
        if (!TryRead(bytes, out long length, out int prefix))
        {
            return false;
        }

        if (_countsItself)
        {
            length -= prefix;
            if (length < 0)
            {
                throw new InvalidDataException($"A frame begins with a length of {length + prefix}, which should count its own {prefix} bytes too.");
            }
        }

        if (length > MaxLength)
        {
            throw new FrameTooLargeException(length, MaxLength);
        }

        if (bytes.Length - prefix < length)
        {
            return false;
        }

        frame = new FrameBounds(prefix, (int)length, prefix + (int)length);
        return true;
    }

    protected internal override int PrefixSize(int length)
    {
        if (length > _capacity)
        {
            throw new ArgumentOutOfRangeException(nameof(length), length, $"The length of a frame of {length} bytes cannot be written as {_prefix}; at most {_capacity} bytes can.");
        }

        return _prefix switch
        {
            LengthPrefix.OneByte => 1,
            LengthPrefix.BigEndian16 or LengthPrefix.LittleEndian16 => 2,
            LengthPrefix.BigEndian32 or LengthPrefix.LittleEndian32 => 4,
            _ => VarintSize(length),
        };
    }

    protected internal override void WritePrefix(Span<byte> prefix, int length)
    {
        uint value = (uint)length + (_countsItself ? (uint)prefix.Length : 0);
        switch (_prefix)
        {
            case LengthPrefix.OneByte:
                prefix[0] = (byte)value;
                break;
            case LengthPrefix.BigEndian16:
                BinaryPrimitives.WriteUInt16BigEndian(prefix, (ushort)value);
                break;
            case LengthPrefix.LittleEndian16:
                BinaryPrimitives.WriteUInt16LittleEndian(prefix, (ushort)value);
                break;
            case LengthPrefix.BigEndian32:
                BinaryPrimitives.WriteUInt32BigEndian(prefix, value);
                break;
            case LengthPrefix.LittleEndian32:
                BinaryPrimitives.WriteUInt32LittleEndian(prefix, value);
                break;
            default:
                int written = Varint.Write(value, prefix);
                Debug.Assert(written == prefix.Length, "The prefix takes just the room that it asked for.");
                break;
        }
    }

    private static int Capacity(LengthPrefix prefix, LengthCounts counts)
    {
        (long most, int size) = prefix switch
        {
            LengthPrefix.OneByte => (byte.MaxValue, 1),
            LengthPrefix.BigEndian16 or LengthPrefix.LittleEndian16 => (ushort.MaxValue, 2),
            LengthPrefix.BigEndian32 or LengthPrefix.LittleEndian32 => (uint.MaxValue, 4),
            LengthPrefix.Varint => (uint.MaxValue, Varint.MaxSize),
            _ => throw new ArgumentOutOfRangeException(nameof(prefix), prefix, $"Expected a {nameof(LengthPrefix)}."),
        };
        return counts switch
        {
            LengthCounts.Frame => (int)Math.Min(most, int.MaxValue),
            LengthCounts.PrefixAndFrame => (int)Math.Min(most - size, int.MaxValue),
            _ => throw new ArgumentOutOfRangeException(nameof(counts), counts, $"Expected {nameof(LengthCounts)}."),
        };
    }

    private bool TryRead(ReadOnlySpan<byte> bytes, out long length, out int prefix)
    {
        if (_prefix == LengthPrefix.Varint)
        {
            return Varint.TryRead(bytes, out length, out prefix);
        }

        prefix = PrefixSize(0);
        if (bytes.Length < prefix)
        {
            length = 0;
            return false;
        }

        length = _prefix switch
        {
            LengthPrefix.OneByte => bytes[0],
            LengthPrefix.BigEndian16 => BinaryPrimitives.ReadUInt16BigEndian(bytes),
            LengthPrefix.LittleEndian16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            LengthPrefix.BigEndian32 => BinaryPrimitives.ReadUInt32BigEndian(bytes),
            _ => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        };
        return true;
    }

    // Counting itself, a length may need a byte more than the frame's own.
    private int VarintSize(int length)
    {
        int size = Varint.Size((uint)length);
        return _countsItself ? Varint.Size((uint)(length + size)) : size;
    }
}
