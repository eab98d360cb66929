namespace Chat.Load;

/// <summary>How the program ended, for scripts.</summary>
internal enum ExitCode
{
    /// <summary>Everything arrived, once and in order.</summary>
    Success = 0,

    /// <summary>Something was lost, doubled, out of order or refused, or a connection ended.</summary>
    Failure = 1,

    /// <summary>The command line is wrong.</summary>
    Usage = 2,

    /// <summary>The server cannot be reached, or does not let the clients in.</summary>
    NotStarted = 3,
}
