using System.Buffers;
using NetPoll.Actors.Frames;

namespace NetPoll.Actors;

/// <summary>How a stream of bytes is cut into frames, and what stands around a frame so that the other side can cut it.</summary>
/// <remarks>
/// <para>
/// Immutable, and it keeps nothing between calls: one object serves any number of connections, on any thread. Whoever has the bytes asks for
/// the first frame in them (<see cref="TryFind"/>), takes it, and asks again about what is behind it; so another framing can go on at any
/// frame's end. <see cref="FramedConnectionActor"/> does that for a connection, <see cref="FrameReader"/> for bytes that come in pieces from
/// anywhere else.
/// </para>
/// <para>For a format that is not here, inherit: finding a frame is all that has to be written; sending needs the virtual members too.</para>
/// </remarks>
public abstract class Framing
{
    /// <summary>Bytes of the longest line that is taken, unless told otherwise.</summary>
    public const int DefaultMaxLineLength = 64 * 1024;

    /// <summary>Bytes of the longest other frame that is taken, unless told otherwise.</summary>
    public const int DefaultMaxLength = 1024 * 1024;

    private static readonly LineFraming DefaultLines = new(DefaultMaxLineLength);

    /// <summary>A framing with a limit.</summary>
    /// <param name="maxLength">Bytes of the longest frame that is taken; 1 or more.</param>
    protected Framing(int maxLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxLength);
        MaxLength = maxLength;
    }

    /// <summary>
    /// Bytes of the longest frame that is taken, what stands around it not counted. What is sent is not bounded by it: the two sides of a
    /// conversation may have different limits.
    /// </summary>
    public int MaxLength { get; }

    /// <summary>What every frame is followed by.</summary>
    protected internal virtual ReadOnlySpan<byte> Suffix => default;

    /// <summary>Lines that end with LF or CR LF; sent with LF.</summary>
    /// <param name="maxLength">Bytes of the longest line that is taken, its end not counted; 1 or more.</param>
    public static Framing Lines(int maxLength = DefaultMaxLineLength) => maxLength == DefaultMaxLineLength ? DefaultLines : new LineFraming(maxLength);

    /// <summary>Frames behind their length.</summary>
    /// <param name="prefix">How the length is written. <see cref="LengthPrefix.Varint"/> is what Protobuf calls delimited.</param>
    /// <param name="maxLength">Bytes of the longest frame that is taken; 1 or more. Beyond what the prefix can say it is that.</param>
    /// <param name="counts">What the length is the length of.</param>
    public static Framing LengthPrefixed(LengthPrefix prefix, int maxLength = DefaultMaxLength, LengthCounts counts = LengthCounts.Frame) =>
        new LengthPrefixFraming(prefix, maxLength, counts);

    /// <summary>Frames that end with the same bytes, which stand nowhere in a frame.</summary>
    /// <param name="delimiter">1 byte or more; copied.</param>
    /// <param name="maxLength">Bytes of the longest frame that is taken, the delimiter not counted; 1 or more.</param>
    public static Framing DelimitedBy(ReadOnlySpan<byte> delimiter, int maxLength = DefaultMaxLength) => new DelimiterFraming(delimiter, maxLength);

    /// <summary>Frames that all have the same size, one directly behind the other.</summary>
    /// <param name="size">Bytes of a frame; 1 or more.</param>
    public static Framing FixedSize(int size) => new FixedSizeFraming(size);

    /// <summary>Finds the first frame.</summary>
    /// <param name="bytes">What has come and was not taken yet.</param>
    /// <param name="frame">Where the frame is; only valid with the answer true.</param>
    /// <param name="searched">
    /// How many of the first bytes were there already when this was asked last and the answer was false; 0 when in doubt. A long frame
    /// that comes in small pieces is so searched once, not once a piece.
    /// </param>
    /// <returns>False when more bytes must come first.</returns>
    /// <exception cref="FrameTooLargeException">The frame is longer than <see cref="MaxLength"/>, as far as its length is known.</exception>
    /// <exception cref="InvalidDataException">The bytes are no beginning of a frame.</exception>
    public abstract bool TryFind(ReadOnlySpan<byte> bytes, out FrameBounds frame, int searched = 0);

    /// <summary>Bytes that a frame takes with what stands around it.</summary>
    /// <param name="length">Bytes of the frame; 0 or more.</param>
    /// <exception cref="ArgumentOutOfRangeException">No frame of this length can be sent.</exception>
    public int EncodedSize(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return checked(PrefixSize(length) + length + Suffix.Length);
    }

    /// <summary>Writes a frame with what stands around it.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="target">Room for <see cref="EncodedSize"/> bytes.</param>
    /// <returns>How many bytes were written.</returns>
    /// <exception cref="ArgumentException">The other side could not find the end of this frame, or the room is too small.</exception>
    public int Encode(ReadOnlySpan<byte> frame, Span<byte> target) =>
        Encode(frame.Length, frame, static (room, frame) => frame.CopyTo(room), target);

    /// <summary>Writes what stands around a frame, and lets the frame be written between.</summary>
    /// <param name="length">Bytes of the frame.</param>
    /// <param name="state">What <paramref name="write"/> needs.</param>
    /// <param name="write">Writes all bytes of the frame.</param>
    /// <param name="target">Room for <see cref="EncodedSize"/> bytes.</param>
    /// <returns>How many bytes were written.</returns>
    /// <exception cref="ArgumentException">The other side could not find the end of this frame, or the room is too small.</exception>
    public int Encode<TState>(int length, TState state, SpanAction<byte, TState> write, Span<byte> target)
        where TState : allows ref struct
    {
        ArgumentNullException.ThrowIfNull(write);
        int size = EncodedSize(length);
        if (target.Length < size)
        {
            throw new ArgumentException($"The frame takes {size} bytes; the room has {target.Length}.", nameof(target));
        }

        ReadOnlySpan<byte> suffix = Suffix;
        int prefix = size - suffix.Length - length;
        Span<byte> room = target.Slice(prefix, length);
        write(room, state);
        Check(room);
        WritePrefix(target[..prefix], length);
        suffix.CopyTo(target[(prefix + length)..]);
        return size;
    }

    /// <summary>Bytes that stand before a frame of this length. Unless overridden there are none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">No frame of this length can be sent.</exception>
    protected internal virtual int PrefixSize(int length) => 0;

    /// <summary>Writes what stands before a frame.</summary>
    /// <param name="prefix">Just as much room as <see cref="PrefixSize"/> asked for.</param>
    /// <param name="length">Bytes of the frame.</param>
    protected internal virtual void WritePrefix(Span<byte> prefix, int length)
    {
    }

    /// <summary>Throws an <see cref="ArgumentException"/> for bytes that the other side would take for something else than one frame.</summary>
    protected internal virtual void Check(ReadOnlySpan<byte> frame)
    {
    }
}
