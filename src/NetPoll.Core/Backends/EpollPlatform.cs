using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
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

    internal override IoResult OpenDatagram(IPEndPoint? local, IPEndPoint? remote, bool shareAddress, out PollableSocket? socket) =>
        UdpSocket.Open(local, remote, shareAddress, out socket);

    internal override AdoptedFile AdoptFile(SafeHandle handle) => LibcFile.Adopt(handle);

    internal override PollableSocket AdoptSocket(SafeHandle handle, PollKind role) => AdoptedSocket.Adopt(handle, role);

    internal override PollableSocket AdoptStream(SafeHandle handle) =>
        AdoptedHandle.IsSocket(handle) ? AdoptedSocket.Adopt(handle, PollKind.Socket) : LibcFile.AdoptStream(handle);

    internal override IoResult CreatePipe(out AdoptedFile reader, out AdoptedFile writer) => LibcFile.CreatePipe(out reader, out writer);

    internal override IoResult KeepFromPrograms(int descriptor) => IoResult.From(Libc.SetCloseOnExec(descriptor));

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
