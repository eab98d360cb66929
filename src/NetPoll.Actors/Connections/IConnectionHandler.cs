namespace NetPoll.Actors.Connections;

/// <summary>Whom a connection tells what happens to it; always in one of its turns, on its poller's thread.</summary>
internal interface IConnectionHandler
{
    /// <summary>Whether it tells by <see cref="Connection.CountMessage"/> what counts as a message; if not, each delivery of bytes is one.</summary>
    bool CountsMessages { get; }

    /// <summary>Whether what it does with bytes may end in an await.</summary>
    bool MayAwaitBytes { get; }

    /// <summary>Bytes came, or are offered again.</summary>
    /// <returns>How many of them are done with; the rest is kept.</returns>
    int Received(ReadOnlySpan<byte> bytes);

    /// <summary>The peer has ended its side.</summary>
    void PeerClosed();

    /// <summary>The peer has ended its side, behind bytes that may be unread, while reading is held back. Once.</summary>
    void PeerHungUp();

    /// <summary>A deadline has passed.</summary>
    void DeadlinePassed(DeadlineKind kind);

    /// <summary>More output waits than the high watermark allows. Ends with <see cref="WritesResumed"/>, or with the connection.</summary>
    void WritesSuspended();

    /// <summary>No more output waits than the low watermark allows. Only ever after <see cref="WritesSuspended"/>.</summary>
    void WritesResumed();

    /// <summary>Payloads were dropped since this was last told.</summary>
    void OutputDropped(DroppedOutput dropped);

    /// <summary>It lives on another poller from here on.</summary>
    void Moved()
    {
    }

    /// <summary>The server stops.</summary>
    void ShutdownRequested();

    /// <summary>The handler threw, at once or after an await; the connection is stopped next. Must not throw.</summary>
    /// <param name="exception">What it threw.</param>
    /// <param name="message">What it handled.</param>
    void Failed(Exception exception, object? message);

    /// <summary>The descriptor is gone. Exactly once; must not throw.</summary>
    void Closed(ConnectionClosed closed);
}
