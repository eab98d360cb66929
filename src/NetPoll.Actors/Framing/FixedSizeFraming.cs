namespace NetPoll.Actors.Frames;

/// <summary>Frames that all have the same size.</summary>
internal sealed class FixedSizeFraming : Framing
{
    internal FixedSizeFraming(int size)
        : base(size)
    {
    }

    public override bool TryFind(ReadOnlySpan<byte> bytes, out FrameBounds frame, int searched = 0)
    {
        frame = new FrameBounds(0, MaxLength, MaxLength);
        return bytes.Length >= MaxLength;
    }

    protected internal override int PrefixSize(int length) => length == MaxLength
        ? 0
        : throw new ArgumentOutOfRangeException(nameof(length), length, $"Frames of this framing have {MaxLength} bytes each.");
}
