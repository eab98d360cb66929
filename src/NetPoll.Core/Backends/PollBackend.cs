namespace NetPoll.Core;

/// <summary>How the pollers learn from the operating system what is ready.</summary>
public enum PollBackend
{
    /// <summary>
    /// What the environment variable <c>NETPOLL_BACKEND</c> says (<c>epoll</c> or <c>portable</c>); where it says nothing, epoll on Linux and
    /// the portable one elsewhere.
    /// </summary>
    Auto,

    /// <summary>epoll(7) and the system's own calls: the fastest. Linux only.</summary>
    Epoll,

    /// <summary>.NET's sockets alone, with no native call of this library's: wherever .NET runs.</summary>
    Portable,
}
