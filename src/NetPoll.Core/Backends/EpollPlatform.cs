using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>Linux: epoll for readiness, libc for the operations.</summary>
internal sealed class EpollPlatform : PollPlatform
{
    internal static EpollPlatform Instance { get; } = new();

    internal override string Name => "epoll";

    internal override long DescriptorLimit => Libc.DescriptorLimit();

    internal override IoResult PinCurrentThread(int index, out int core) => IoResult.From(ThreadAffinity.PinCurrentThread(index, out core));

    internal override IoResult Connect(IPEndPoint remote, IPEndPoint? local, out PollableSocket? socket) =>
        TcpSocket.Connect(remote, local, out socket);

    internal override IoResult ConnectUnix(UnixDomainSocketEndPoint remote, UnixDomainSocketEndPoint? local, out PollableSocket? socket) =>
        UnixSocket.Connect(remote, local, out socket);

    internal override IDisposable? ReserveDescriptor()
    {
        int descriptor = Libc.EventDescriptor();
        return descriptor < 0 ? null : new FileDescriptorHandle(descriptor);
    }

    internal override IPollBackend CreateBackend(int eventsPerWait) => new EpollBackend(eventsPerWait);

    internal override IoResult Listen(IPEndPoint endPoint, int backlog, bool sharePort, out PollableSocket? listener) =>
        TcpSocket.Listen(endPoint, backlog, sharePort, out listener);

    internal override IoResult ListenUnix(UnixDomainSocketEndPoint endPoint, int backlog, out PollableSocket? listener) =>
        UnixSocket.Listen(endPoint, backlog, out listener);
}
