namespace NetPoll.Actors;

/// <summary>A connection whose peer sends lines, which end with LF or CR LF.</summary>
public abstract class LineConnectionActor : FramedConnectionActor
{
    /// <summary>Bytes of the longest line that is taken, unless told otherwise.</summary>
    public const int DefaultMaxLineLength = Framing.DefaultMaxLineLength;

    /// <summary>A connection with a limit of its own.</summary>
    /// <param name="maxLineLength">Bytes of the longest line that is taken, its end not counted; 1 or more.</param>
    protected LineConnectionActor(int maxLineLength = DefaultMaxLineLength)
        : base(Framing.Lines(maxLineLength))
    {
    }

    /// <inheritdoc/>
    protected sealed override Task OnFrame(ReadOnlySpan<byte> frame) => OnLine(frame);

    /// <summary>A line has come.</summary>
    /// <param name="line">Without its end. Lent: copy what outlives the call, or what is used after an await.</param>
    /// <returns>A task; until it ends the next line waits.</returns>
    protected abstract Task OnLine(ReadOnlySpan<byte> line);
}
