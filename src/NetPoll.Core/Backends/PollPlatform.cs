using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NetPoll.Core.Backends;

/// <summary>A pair of backend and sockets that belong together.</summary>
internal abstract class PollPlatform
{
    /// <summary>As messages name it.</summary>
    internal virtual string Name => GetType().Name;

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

    /// <summary>Begins to connect a Unix domain socket. Parameters as for TCP.</summary>
    /// <returns>Success, would block with a socket for an attempt that goes on, and without one when the listener's queue is full; or the error.</returns>
    internal virtual IoResult ConnectUnix(UnixDomainSocketEndPoint remote, UnixDomainSocketEndPoint? local, out PollableSocket? socket) =>
        throw Unsupported("Unix domain sockets");

    /// <summary>Makes a listening Unix domain socket. A path that is a socket's and that nobody listens on is replaced.</summary>
    /// <exception cref="IOException">What is at the path may not be replaced: the message tells what it is.</exception>
    internal virtual IoResult ListenUnix(UnixDomainSocketEndPoint endPoint, int backlog, out PollableSocket? listener) =>
        throw Unsupported("Unix domain sockets");

    /// <summary>Makes a UDP socket, an <see cref="IDatagramSocket"/>.</summary>
    /// <param name="local">Where to bind it; null leaves that to the system. Not both are null.</param>
    /// <param name="remote">The only peer; null for any.</param>
    /// <param name="shareAddress">Whether others may bind the same address, as members of a multicast group do.</param>
    /// <param name="socket">The socket, unless the result is an error.</param>
    internal virtual IoResult OpenDatagram(IPEndPoint? local, IPEndPoint? remote, bool shareAddress, out PollableSocket? socket) =>
        throw Unsupported("datagram sockets");

    /// <summary>Takes over a descriptor of any kind: a pipe, a terminal, a device, a file. It may still block.</summary>
    /// <param name="handle">The platform's from here on, unless this throws.</param>
    /// <exception cref="ArgumentException">It is closed, or nothing is open under its number.</exception>
    /// <exception cref="IOException">The system refuses.</exception>
    internal virtual AdoptedFile AdoptFile(SafeHandle handle) => throw Unsupported("descriptors but sockets");

    /// <summary>Takes over a socket that somebody else has made.</summary>
    /// <param name="handle">The platform's from here on, unless this throws.</param>
    /// <param name="role">What it must be.</param>
    /// <exception cref="ArgumentException">It is closed, or something else; the message tells what.</exception>
    /// <exception cref="IOException">The system refuses.</exception>
    internal virtual PollableSocket AdoptSocket(SafeHandle handle, PollKind role) => throw Unsupported("adopted sockets");

    /// <summary>Takes over what carries a stream of bytes and can be watched: a socket that is connected, a pipe, a terminal. It blocks nobody.</summary>
    /// <param name="handle">The platform's from here on, unless this throws an <see cref="ArgumentException"/>.</param>
    /// <exception cref="ArgumentException">It is closed, or a socket that is not connected or carries no stream; the message tells what.</exception>
    /// <exception cref="IOException">The system refuses.</exception>
    internal virtual PollableSocket AdoptStream(SafeHandle handle) => throw Unsupported("adopted descriptors");

    /// <summary>Makes a pipe, both ends of which are polled.</summary>
    internal virtual IoResult CreatePipe(out AdoptedFile reader, out AdoptedFile writer) => throw Unsupported("pipes");

    /// <summary>A program that this process executes does not get the descriptor. The default does nothing: .NET has no call for it.</summary>
    internal virtual IoResult KeepFromPrograms(int descriptor) => IoResult.Success;

    /// <summary>Connects to whatever end point it is.</summary>
    /// <exception cref="ArgumentException">No kind of end point that can be connected to, or the two are of different kinds.</exception>
    internal IoResult ConnectStream(EndPoint remote, EndPoint? local, out PollableSocket? socket) => (remote, local) switch
    {
        (IPEndPoint ip, null or IPEndPoint) => Connect(ip, (IPEndPoint?)local, out socket),
        (UnixDomainSocketEndPoint unix, null or UnixDomainSocketEndPoint) => ConnectUnix(unix, (UnixDomainSocketEndPoint?)local, out socket),
        (IPEndPoint or UnixDomainSocketEndPoint, _) => throw new ArgumentException(
            $"{remote} cannot be reached from {local}, which is a {local!.GetType().Name}; expected a {remote.GetType().Name}.", nameof(local)),
        _ => throw UnknownKind(remote, nameof(remote)),
    };

    /// <summary>Listens on whatever end point it is, alone.</summary>
    /// <exception cref="ArgumentException">No kind of end point that can be listened on.</exception>
    internal IoResult ListenStream(EndPoint endPoint, int backlog, out PollableSocket? listener) => endPoint switch
    {
        IPEndPoint ip => Listen(ip, backlog, sharePort: false, out listener),
        UnixDomainSocketEndPoint unix => ListenUnix(unix, backlog, out listener),
        HandleEndPoint open => AdoptListener(open, out listener),
        _ => throw UnknownKind(endPoint, nameof(endPoint)),
    };

    /// <summary>What a platform that lacks something says.</summary>
    /// <param name="kind">What it lacks, in the plural.</param>
    protected PlatformNotSupportedException Unsupported(string kind) => new($"The backend '{Name}' has no {kind}.");

    private IoResult AdoptListener(HandleEndPoint endPoint, out PollableSocket? listener)
    {
        listener = AdoptSocket(endPoint.Handle, PollKind.Listener);
        return IoResult.Success;
    }

    private static ArgumentException UnknownKind(EndPoint endPoint, string parameter) =>
        new($"{endPoint} is a {endPoint.GetType().Name}; expected an IPEndPoint or a UnixDomainSocketEndPoint.", parameter);
}
