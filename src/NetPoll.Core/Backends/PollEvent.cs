namespace NetPoll.Core.Backends;

/// <summary>What a wait reports about one descriptor.</summary>
/// <param name="Token">The token that the descriptor was opened with.</param>
/// <param name="Flags">What happened; the state machine knows these flags and no kernel's mask.</param>
internal readonly record struct PollEvent(PollToken Token, PollEventFlags Flags);

/// <summary>What a wait may report.</summary>
[Flags]
internal enum PollEventFlags
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A read, an accept or the peer's FIN will not block.</summary>
    Read = 1,

    /// <summary>A write will not block.</summary>
    Write = 2,

    /// <summary>Both directions are finished.</summary>
    Hangup = 4,

    /// <summary>The peer has shut down its sending side: its FIN is here, behind the bytes that are still unread.</summary>
    ReadHangup = 8,

    /// <summary>The socket holds an error.</summary>
    Error = 16,

    /// <summary>The error was all that the system reported: the descriptor is in a state that cannot be waited on.</summary>
    ErrorOnly = 32,

    /// <summary>TCP's urgent mark stands in the stream: a read stops short of it, whatever lies behind.</summary>
    Urgent = 64,
}
