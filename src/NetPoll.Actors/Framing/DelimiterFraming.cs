namespace NetPoll.Actors.Frames;

/// <summary>Frames that end with the same bytes.</summary>
internal sealed class DelimiterFraming : Framing
{
    private readonly byte[] _delimiter;

    // A frame that ends with so many of the delimiter's first bytes makes one begin too early, as CR LF does before CR LF CR LF.
    private readonly int[] _overlaps;

    internal DelimiterFraming(ReadOnlySpan<byte> delimiter, int maxLength)
        : base(maxLength)
    {
        if (delimiter.IsEmpty)
        {
            throw new ArgumentException("The delimiter is empty; expected 1 byte or more.", nameof(delimiter));
        }

        _delimiter = delimiter.ToArray();
        _overlaps = [.. Enumerable.Range(1, _delimiter.Length - 1).Where(begun => _delimiter.AsSpan(begun).SequenceEqual(_delimiter.AsSpan(0, _delimiter.Length - begun)))];
    }

    protected internal override ReadOnlySpan<byte> Suffix => _delimiter;

    public override bool TryFind(ReadOnlySpan<byte> bytes, out FrameBounds frame, int searched = 0)
    {
        // What was searched may end with the delimiter's beginning.
        int mayBeBegun = _delimiter.Length - 1;
        int from = Math.Max(0, searched - mayBeBegun);
        int found = bytes[from..].IndexOf(_delimiter);
        int length = found >= 0 ? from + found : bytes.Length - mayBeBegun;
        if (length > MaxLength)
        {
            throw new FrameTooLargeException(length, MaxLength);
        }

        frame = new FrameBounds(0, length, length + _delimiter.Length);
        return found >= 0;
    }

    protected internal override void Check(ReadOnlySpan<byte> frame)
    {
        int found = frame.IndexOf(_delimiter);
        foreach (int begun in _overlaps)
        {
            if (found < 0 && frame.EndsWith(_delimiter.AsSpan(0, begun)))
            {
                found = frame.Length - begun;
            }
        }

        if (found >= 0)
        {
            throw new ArgumentException($"In a frame of {frame.Length} bytes a delimiter begins at {found}: the other side would end it there.", nameof(frame));
        }
    }
}
