using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>What a loop does after an error: one table for the house.</summary>
internal enum PollErrorClass
{
    /// <summary>No error.</summary>
    None,

    /// <summary>Repeat the call at once; never close(2) or connect(2).</summary>
    Interrupted,

    /// <summary>Park until the descriptor is ready.</summary>
    WouldBlock,

    /// <summary>The fault was the new connection's, which is gone: accept the next one at once.</summary>
    Transient,

    /// <summary>
    /// The process or the system ran out of something: try again after a while, by a timer. No edge will come for the connections
    /// that already wait.
    /// </summary>
    Resource,

    /// <summary>The connection is finished.</summary>
    Broken,

    /// <summary>The peer refused: a connection attempt failed; a connected datagram socket stays usable.</summary>
    Refused,

    /// <summary>A mistake in the program or an unknown error: report it and close the descriptor.</summary>
    Fatal,
}

/// <summary>Sorts the system's errors.</summary>
internal static class PollErrors
{
    /// <summary>The class of an error of a read, a write, a connect or an option.</summary>
    internal static PollErrorClass Classify(int error) => error switch
    {
        0 => PollErrorClass.None,
        Errno.EINTR => PollErrorClass.Interrupted,
        Errno.EAGAIN or Errno.EINPROGRESS or Errno.EALREADY => PollErrorClass.WouldBlock,
        Errno.EMFILE or Errno.ENFILE or Errno.ENOBUFS or Errno.ENOMEM or Errno.ENOSPC => PollErrorClass.Resource,
        Errno.ECONNRESET or Errno.ENETRESET or Errno.EPIPE or Errno.ESHUTDOWN or Errno.ETIMEDOUT or Errno.EHOSTUNREACH
            or Errno.ENETUNREACH => PollErrorClass.Broken,
        Errno.ECONNREFUSED => PollErrorClass.Refused,
        _ => PollErrorClass.Fatal,
    };

    /// <summary>The class of an error of accept(2), through which Linux also passes the errors of the new connection.</summary>
    internal static PollErrorClass ClassifyAccept(int error) => error switch
    {
        Errno.ECONNABORTED or Errno.ECONNRESET or Errno.EPROTO or Errno.ENETDOWN or Errno.EHOSTDOWN or Errno.EHOSTUNREACH
            or Errno.ENETUNREACH or Errno.ENONET or Errno.ENOPROTOOPT or Errno.EOPNOTSUPP => PollErrorClass.Transient,
        _ => Classify(error),
    };
}
