namespace Chat.Client;

/// <summary>How the program ended, for scripts.</summary>
internal enum ExitCode
{
    /// <summary>Everything that was sent was accepted, and the client has left.</summary>
    Success = 0,

    /// <summary>The server cannot be reached, the connection was lost, or an answer did not come in time.</summary>
    ConnectionFailed = 1,

    /// <summary>The command line is wrong.</summary>
    Usage = 2,

    /// <summary>The server refused the name.</summary>
    NameRefused = 3,

    /// <summary>Plain mode: the client has left in order, but at least one line was refused.</summary>
    SomethingRefused = 4,
}
