using NetPoll.Actors.Frames;

namespace NetPoll.Actors;

/// <summary>Takes bytes in pieces, as they come, and gives them out in frames.</summary>
/// <remarks>
/// For whoever is given bytes and is no <see cref="FramedConnectionActor"/>: an actor whose connection is another's, or a client. A frame
/// that lies in one piece is not copied; what is left of a piece is kept until the next one. One thread at a time.
/// </remarks>
public sealed class FrameReader
{
    private const int InitialSize = 256;

    private FrameScanner _scanner;

    // What is unread is either the last piece, or in a buffer of ours from _start to _end.
    private ReadOnlyMemory<byte> _piece;
    private byte[]? _kept;
    private int _start;
    private int _end;

    /// <summary>A reader that begins with a framing.</summary>
    public FrameReader(Framing framing) => _scanner = new FrameScanner(framing);

    /// <summary>How frames are cut. Another one cuts what is behind the frame that was read last.</summary>
    public Framing Framing
    {
        get => _scanner.Framing;
        set => _scanner.Framing = value;
    }

    /// <summary>Bytes that were appended and not read as frames yet.</summary>
    public int UnreadBytes => Unread.Length;

    private ReadOnlyMemory<byte> Unread => _kept is null ? _piece : _kept.AsMemory(_start, _end - _start);

    /// <summary>Adds what has come.</summary>
    /// <param name="piece">Lent until <see cref="TryRead"/> has answered false.</param>
    public void Append(ReadOnlyMemory<byte> piece)
    {
        if (UnreadBytes == 0)
        {
            _kept = null;
            _piece = piece;
            return;
        }

        Keep(room: piece.Length);
        piece.CopyTo(_kept.AsMemory(_end));
        _end += piece.Length;
    }

    /// <summary>Reads the next frame.</summary>
    /// <param name="frame">Lent until the next call of this reader.</param>
    /// <returns>False when more bytes must come first.</returns>
    /// <exception cref="FrameTooLargeException">The frame is longer than allowed. What was appended is thrown away.</exception>
    /// <exception cref="InvalidDataException">The bytes are no frame. What was appended is thrown away.</exception>
    public bool TryRead(out ReadOnlyMemory<byte> frame)
    {
        ReadOnlyMemory<byte> unread = Unread;
        FrameBounds found;
        try
        {
            if (!_scanner.TryFind(unread.Span, out found))
            {
                LetGoOfPiece();
                frame = default;
                return false;
            }
        }
        catch (Exception exception) when (exception is FrameTooLargeException or InvalidDataException)
        {
            _piece = default;
            _kept = null;
            throw;
        }

        frame = unread.Slice(found.Start, found.Length);
        if (_kept is null)
        {
            _piece = unread[found.Consumed..];
        }
        else
        {
            _start += found.Consumed;
        }

        return true;
    }

    private void LetGoOfPiece()
    {
        if (UnreadBytes == 0)
        {
            _piece = default;
            _kept = null;
        }
        else
        {
            Keep(room: 0);
        }
    }

    // Sees to it that what is unread is in a buffer of ours, with room behind it.
    private void Keep(int room)
    {
        if (_kept is not null && _kept.Length - _end >= room)
        {
            return;
        }

        ReadOnlyMemory<byte> unread = Unread;
        int needed = checked(unread.Length + room);
        byte[]? target = _kept;
        if (target is null || target.Length < 2 * (long)needed)
        {
            // At least as much room as is taken: a frame of n bytes in many pieces costs at most log n copies.
            target = GC.AllocateUninitializedArray<byte>((int)Math.Clamp(2 * (long)needed, InitialSize, Array.MaxLength));
        }

        unread.CopyTo(target);
        _kept = target;
        _piece = default;
        _start = 0;
        _end = unread.Length;
    }
}
