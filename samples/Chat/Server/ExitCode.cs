namespace Chat.Server;

/// <summary>How the program ended, for scripts.</summary>
internal enum ExitCode
{
    /// <summary>It was asked to stop, and has.</summary>
    Success = 0,

    /// <summary>The server could not start.</summary>
    StartFailed = 1,

    /// <summary>The command line is wrong.</summary>
    Usage = 2,
}
