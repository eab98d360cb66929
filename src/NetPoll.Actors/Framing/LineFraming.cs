namespace NetPoll.Actors.Frames;

/// <summary>Lines: LF ends one, and a CR before it belongs to the end.</summary>
internal sealed class LineFraming : Framing
{
    internal LineFraming(int maxLength)
        : base(maxLength)
    {
    }

    protected internal override ReadOnlySpan<byte> Suffix => "\n"u8;

    public override bool TryFind(ReadOnlySpan<byte> bytes, out FrameBounds frame, int searched = 0)
    {
        int end = bytes[searched..].IndexOf((byte)'\n');
        if (end < 0)
        {
            // One byte more than the limit may still be the CR of a line that fits.
            if (bytes.Length - 1 > MaxLength)
            {
                throw new FrameTooLargeException(bytes.Length, MaxLength);
            }

            frame = default;
            return false;
        }

        end += searched;
        int length = end > 0 && bytes[end - 1] == '\r' ? end - 1 : end;
        if (length > MaxLength)
        {
            throw new FrameTooLargeException(length, MaxLength);
        }

        frame = new FrameBounds(0, length, end + 1);
        return true;
    }

    protected internal override void Check(ReadOnlySpan<byte> frame)
    {
        int end = frame.IndexOf((byte)'\n');
        if (end >= 0)
        {
            throw new ArgumentException($"A line cannot hold its own end: a line of {frame.Length} bytes has LF at {end}.", nameof(frame));
        }

        if (!frame.IsEmpty && frame[^1] == '\r')
        {
            throw new ArgumentException($"A line of {frame.Length} bytes ends with CR, which would be taken for a part of its end.", nameof(frame));
        }
    }
}
