namespace NetPoll.Actors;

/// <summary>A connection whose peer sends lines.</summary>
public abstract class LineConnectionActor : ConnectionActor
{
    /// <summary>Bytes of the longest line that is taken, unless told otherwise.</summary>
    public const int DefaultMaxLineLength = 64 * 1024;

    private readonly int _maxLineLength;

    /// <summary>A connection with a limit of its own.</summary>
    /// <param name="maxLineLength">Bytes of the longest line that is taken, its end not counted; 1 or more.</param>
    protected LineConnectionActor(int maxLineLength = DefaultMaxLineLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxLineLength);
        _maxLineLength = maxLineLength;
    }

    /// <inheritdoc/>
    private protected override bool TakesFrames => true;

    /// <inheritdoc/>
    protected sealed override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        int taken = 0;
        while (!MustStopTaking)
        {
            ReadOnlySpan<byte> rest = bytes[taken..];
            int end = rest.IndexOf((byte)'\n');
            int length = end < 0 ? rest.Length : end > 0 && rest[end - 1] == '\r' ? end - 1 : end;
            if (length > _maxLineLength + (end < 0 ? 1 : 0))
            {
                OnFrameError(new FrameTooLargeException(length, _maxLineLength));
                return bytes.Length;
            }

            if (end < 0)
            {
                break;
            }

            taken += end + 1;
            Await(OnLine(rest[..length]));
        }

        return taken;
    }

    /// <summary>A line has come.</summary>
    /// <param name="line">Without its end (LF, or CR LF). Lent: copy what outlives the call, or what is used after an await.</param>
    /// <returns>A task; until it ends the next line waits.</returns>
    protected abstract Task OnLine(ReadOnlySpan<byte> line);

    /// <summary>The peer sent what is no line, and nothing after it can be understood. Unless overridden this closes the connection.</summary>
    protected virtual void OnFrameError(Exception exception) => Close(CloseReason.Error);
}
