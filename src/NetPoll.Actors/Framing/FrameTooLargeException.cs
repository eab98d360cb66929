namespace NetPoll.Actors;

/// <summary>The peer sent, or announced, a frame that is longer than the limit.</summary>
public sealed class FrameTooLargeException : IOException
{
    /// <summary>An exception with a general message.</summary>
    public FrameTooLargeException()
        : this("A frame is longer than the limit.")
    {
    }

    /// <summary>An exception with a message.</summary>
    public FrameTooLargeException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a message and a cause.</summary>
    public FrameTooLargeException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>An exception that names both sizes.</summary>
    /// <param name="size">Bytes of the frame, or as many of them as have come when its end is unknown.</param>
    /// <param name="limit">Bytes allowed.</param>
    public FrameTooLargeException(long size, int limit)
        : base($"A frame of {size} bytes or more came; the limit is {limit} bytes.")
    {
        Size = size;
        Limit = limit;
    }

    /// <summary>Bytes of the frame, or as many of them as have come when its end is unknown.</summary>
    public long Size { get; }

    /// <summary>Bytes allowed.</summary>
    public int Limit { get; }
}
