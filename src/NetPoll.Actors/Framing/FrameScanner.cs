namespace NetPoll.Actors.Frames;

/// <summary>A framing, and how far it has searched what is left: finds one frame after the other in bytes that come in pieces.</summary>
/// <remarks>A mutable part of one owner: never copied. The owner shows it all bytes that are left, from the first that was not taken.</remarks>
internal struct FrameScanner
{
    private Framing _framing;
    private int _searched;

    internal FrameScanner(Framing framing)
    {
        ArgumentNullException.ThrowIfNull(framing);
        _framing = framing;
    }

    /// <summary>Another one cuts what is behind the frame that was found last.</summary>
    internal Framing Framing
    {
        readonly get => _framing;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            _framing = value;
            _searched = 0;
        }
    }

    /// <summary>Finds the next frame; what <paramref name="frame"/> says is consumed is not to be shown again.</summary>
    /// <exception cref="FrameTooLargeException">See <see cref="Framing.TryFind"/>. What was shown is not to be shown again.</exception>
    /// <exception cref="InvalidDataException">See <see cref="Framing.TryFind"/>. What was shown is not to be shown again.</exception>
    internal bool TryFind(ReadOnlySpan<byte> bytes, out FrameBounds frame)
    {
        int searched = _searched;
        _searched = 0;
        if (!_framing.TryFind(bytes, out frame, searched))
        {
            _searched = bytes.Length;
            return false;
        }

        if (frame.Consumed <= 0)
        {
            // The same bytes would be found for ever.
            throw new InvalidOperationException($"{_framing.GetType().Name} found a frame that consumes {frame.Consumed} bytes; expected 1 or more.");
        }

        return true;
    }
}
