using System.Net;

namespace NetPoll.Core.Backends;

/// <summary>A pair of backend and sockets that belong together.</summary>
internal abstract class PollPlatform
{
    /// <summary>Makes the backend of one poller. Throws when the system refuses, with nothing left open.</summary>
    /// <param name="eventsPerWait">The most events that one wait returns.</param>
    internal abstract IPollBackend CreateBackend(int eventsPerWait);

    /// <summary>Whether several sockets may listen on one address, each with a queue of its own, so that every poller has its own.</summary>
    internal virtual bool CanSharePort => true;

    /// <summary>Confines the calling thread to one core. The default: not supported.</summary>
    /// <param name="index">Which of the cores that the process may use, counted round.</param>
    /// <param name="core">The core's number, on success.</param>
    internal virtual IoResult PinCurrentThread(int index, out int core)
    {
        core = -1;
        return IoResult.Failure(Interop.Errno.EOPNOTSUPP);
    }

    /// <summary>How many descriptors this process may have open; <see cref="long.MaxValue"/> where there is no limit or it cannot be known.</summary>
    internal abstract long DescriptorLimit { get; }

    /// <summary>Begins to connect a TCP socket.</summary>
    /// <param name="remote">Whom to connect to.</param>
    /// <param name="local">The address to come from; null lets the system choose.</param>
    /// <param name="socket">The socket, on success and while the attempt goes on.</param>
    /// <returns>Success, would block for an attempt that goes on, or the error.</returns>
    internal abstract IoResult Connect(IPEndPoint remote, IPEndPoint? local, out PollableSocket? socket);

    /// <summary>Opens a descriptor that is good for nothing but to be closed; null when there is none to be had.</summary>
    internal abstract IDisposable? ReserveDescriptor();

    /// <summary>Makes a listening TCP socket.</summary>
    /// <param name="endPoint">Where to listen; port 0 lets the system choose.</param>
    /// <param name="backlog">How many connections may wait to be accepted.</param>
    /// <param name="sharePort">Whether other sockets of this platform may listen on the same address, each with a queue of its own.</param>
    /// <param name="listener">The socket, unless the result is an error.</param>
    internal abstract IoResult Listen(IPEndPoint endPoint, int backlog, bool sharePort, out PollableSocket? listener);
}
