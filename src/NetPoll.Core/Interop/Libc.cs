using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NetPoll.Core.Interop;

/// <summary>The system calls that the poller makes, with their contract in a line each, and the constants they take.</summary>
/// <remarks>
/// No call asks the marshaller to keep the error number: the wrappers read it themselves, and only after a failure. The runtime
/// preserves errno across the return from native code, so reading it right after the call is as safe and costs nothing on success.
/// EINTR is retried here, once for everybody; close(2) and connect(2) are never retried.
/// </remarks>
internal static unsafe partial class Libc
{
    // epoll_ctl operations and event bits: sys/epoll.h.
    internal const int EPOLL_CTL_ADD = 1;
    internal const int EPOLL_CTL_DEL = 2;
    internal const uint EPOLLIN = 0x001;
    internal const uint EPOLLPRI = 0x002;
    internal const uint EPOLLOUT = 0x004;
    internal const uint EPOLLERR = 0x008;
    internal const uint EPOLLHUP = 0x010;
    internal const uint EPOLLRDHUP = 0x2000;
    internal const uint EPOLLET = 1u << 31;

    // Socket constants: bits/socket.h, asm-generic/socket.h, netinet/tcp.h.
    internal const int AF_UNIX = 1;
    internal const int AF_INET = 2;
    internal const int AF_INET6 = 10;
    internal const int SOCK_STREAM = 1;
    internal const int SOCK_NONBLOCK = 0x800;
    internal const int SOCK_CLOEXEC = 0x80000;
    internal const int MSG_NOSIGNAL = 0x4000;
    internal const int SHUT_RD = 0;
    internal const int SHUT_WR = 1;
    internal const int SHUT_RDWR = 2;
    internal const int SOL_SOCKET = 1;
    internal const int SO_REUSEADDR = 2;
    internal const int SO_TYPE = 3;
    internal const int SO_ERROR = 4;
    internal const int SO_SNDBUF = 7;
    internal const int SO_RCVBUF = 8;
    internal const int SO_KEEPALIVE = 9;
    internal const int SO_LINGER = 13;
    internal const int SO_REUSEPORT = 15;
    internal const int SO_PEERCRED = 17;
    internal const int SO_ACCEPTCONN = 30;
    internal const int SO_DOMAIN = 39;
    internal const int IPPROTO_TCP = 6;
    internal const int TCP_NODELAY = 1;
    internal const int TCP_KEEPIDLE = 4;
    internal const int TCP_KEEPINTVL = 5;
    internal const int TCP_KEEPCNT = 6;
    internal const int TCP_USER_TIMEOUT = 18;
    internal const int IPPROTO_IPV6 = 41;
    internal const int IPV6_V6ONLY = 26;

    // poll(2): poll.h.
    internal const short POLLIN = 0x001;
    internal const short POLLOUT = 0x004;

    /// <summary>The most vectors that one writev(2) takes: UIO_MAXIOV.</summary>
    internal const int IOV_MAX = 1024;

    private const int EPOLL_CLOEXEC = 0x80000;
    private const int EFD_NONBLOCK = 0x800;
    private const int EFD_CLOEXEC = 0x80000;
    private const int RLIMIT_NOFILE = 7;

    /// <summary>epoll_create1(2), close-on-exec.</summary>
    /// <returns>The number, or the negative errno.</returns>
    internal static int EpollCreate() => Result(epoll_create1(EPOLL_CLOEXEC));

    /// <summary>epoll_ctl(2): never blocks. ENOENT and EBADF on DEL, EEXIST, EPERM, ENOSPC on ADD.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int EpollControl(int epoll, int operation, int descriptor, EpollEvent* change) =>
        Result(epoll_ctl(epoll, operation, descriptor, change));

    /// <summary>epoll_wait(2): blocks until an event, a signal or the timeout; -1 waits for ever. EINTR is not retried.</summary>
    /// <returns>Events written, 0 on timeout, or the negative errno.</returns>
    internal static int EpollWait(int epoll, EpollEvent* events, int capacity, int timeoutMilliseconds) =>
        Result(SystemCall.EpollWait(epoll, events, capacity, timeoutMilliseconds));

    /// <summary>eventfd(2), non-blocking and close-on-exec.</summary>
    /// <returns>The number, or the negative errno.</returns>
    internal static int EventDescriptor() => Result(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

    /// <summary>Adds one to an eventfd. EAGAIN: the counter is full.</summary>
    /// <returns>8, or the negative errno.</returns>
    internal static int EventSignal(int descriptor)
    {
        ulong one = 1;
        return Write(descriptor, new ReadOnlySpan<byte>(&one, sizeof(ulong)));
    }

    /// <summary>Reads an eventfd back to zero. EAGAIN: it was zero.</summary>
    /// <returns>8, or the negative errno.</returns>
    internal static int EventConsume(int descriptor)
    {
        ulong value;
        return Read(descriptor, new Span<byte>(&value, sizeof(ulong)));
    }

    /// <summary>read(2) on a descriptor known to be non-blocking.</summary>
    /// <returns>Bytes read, 0 at the end of the stream, or the negative errno.</returns>
    internal static int Read(int descriptor, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                nint count = read(descriptor, start, (nuint)buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                int error = Marshal.GetLastSystemError();
                if (error != Errno.EINTR)
                {
                    return -error;
                }
            }
        }
    }

    /// <summary>write(2) on a descriptor known to be non-blocking and not a socket (which could raise SIGPIPE).</summary>
    /// <returns>Bytes written, or the negative errno.</returns>
    internal static int Write(int descriptor, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                nint count = write(descriptor, start, (nuint)buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                int error = Marshal.GetLastSystemError();
                if (error != Errno.EINTR)
                {
                    return -error;
                }
            }
        }
    }

    /// <summary>recv(2) on a non-blocking socket.</summary>
    /// <returns>Bytes received, 0 at the end of the stream, or the negative errno.</returns>
    /// <remarks>
    /// A part of its caller, so that the call returns there: after a system call a processor has forgotten where else to return, and each further
    /// return waits. Of a caller that is no part of a method with a <c>try</c>: there the compiler makes a stub of the call.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int Receive(int descriptor, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                nint count = SystemCall.Receive(descriptor, start, (nuint)buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                int error = Marshal.GetLastSystemError();
                if (error != Errno.EINTR)
                {
                    return -error;
                }
            }
        }
    }

    /// <summary>send(2) with MSG_NOSIGNAL on a non-blocking socket: a closed peer is EPIPE, never a signal.</summary>
    /// <returns>Bytes taken by the kernel, or the negative errno.</returns>
    /// <inheritdoc cref="Receive" path="/remarks"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int Send(int descriptor, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                nint count = SystemCall.Send(descriptor, start, (nuint)buffer.Length, MSG_NOSIGNAL);
                if (count >= 0)
                {
                    return (int)count;
                }

                int error = Marshal.GetLastSystemError();
                if (error != Errno.EINTR)
                {
                    return -error;
                }
            }
        }
    }

    /// <summary>sendmsg(2) with MSG_NOSIGNAL: writev for sockets.</summary>
    /// <returns>Bytes taken by the kernel, or the negative errno.</returns>
    internal static int SendVectored(int descriptor, IoVector* vectors, int count)
    {
        MessageHeader header = default;
        header.Vectors = vectors;
        header.VectorCount = (nuint)count;
        while (true)
        {
            nint sent = sendmsg(descriptor, &header, MSG_NOSIGNAL);
            if (sent >= 0)
            {
                return (int)sent;
            }

            int error = Marshal.GetLastSystemError();
            if (error != Errno.EINTR)
            {
                return -error;
            }
        }
    }

    /// <summary>accept4(2), the new socket non-blocking and close-on-exec; the peer's address into <paramref name="address"/>.</summary>
    /// <returns>The new number, or the negative errno.</returns>
    internal static int Accept(int descriptor, Span<byte> address, out int addressLength)
    {
        fixed (byte* start = address)
        {
            while (true)
            {
                uint length = (uint)address.Length;
                int accepted = accept4(descriptor, start, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (accepted >= 0)
                {
                    addressLength = (int)length;
                    return accepted;
                }

                int error = Marshal.GetLastSystemError();
                if (error != Errno.EINTR)
                {
                    addressLength = 0;
                    return -error;
                }
            }
        }
    }

    /// <summary>socket(2): a stream socket, non-blocking and close-on-exec.</summary>
    /// <returns>The number, or the negative errno.</returns>
    internal static int StreamSocket(int family) => Result(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));

    /// <summary>bind(2). EADDRINUSE, EADDRNOTAVAIL, EACCES.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Bind(int descriptor, ReadOnlySpan<byte> address)
    {
        fixed (byte* start = address)
        {
            return Result(bind(descriptor, start, (uint)address.Length));
        }
    }

    /// <summary>listen(2). EADDRINUSE when somebody else listens there.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Listen(int descriptor, int backlog) => Result(listen(descriptor, backlog));

    /// <summary>connect(2) on a non-blocking socket: EINPROGRESS is the usual answer. Never retried, not even after EINTR.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Connect(int descriptor, ReadOnlySpan<byte> address)
    {
        fixed (byte* start = address)
        {
            return Result(connect(descriptor, start, (uint)address.Length));
        }
    }

    /// <summary>poll(2) of one descriptor without waiting.</summary>
    /// <returns>Above 0 when it is ready (an error and a hang-up count), 0 when not, or the negative errno.</returns>
    internal static int PollNow(int descriptor, short events)
    {
        PollEntry entry = new() { Descriptor = descriptor, Events = events };
        return Result(poll(&entry, 1, 0));
    }

    /// <summary>shutdown(2). ENOTCONN after a reset.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Shutdown(int descriptor, int how) => Result(shutdown(descriptor, how));

    /// <summary>close(2): never retried, since Linux has released the number even when it says EINTR.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Close(int descriptor) => Result(close(descriptor));

    /// <summary>getsockname(2).</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int LocalAddress(int descriptor, Span<byte> address, out int addressLength)
    {
        fixed (byte* start = address)
        {
            uint length = (uint)address.Length;
            int result = Result(getsockname(descriptor, start, &length));
            addressLength = (int)length;
            return result;
        }
    }

    /// <summary>getpeername(2). ENOTCONN: no peer yet, or no longer.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int PeerAddress(int descriptor, Span<byte> address, out int addressLength)
    {
        fixed (byte* start = address)
        {
            uint length = (uint)address.Length;
            int result = Result(getpeername(descriptor, start, &length));
            addressLength = (int)length;
            return result;
        }
    }

    /// <summary>setsockopt(2) with an int.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int SetOption(int descriptor, int level, int option, int value) =>
        Result(setsockopt(descriptor, level, option, &value, sizeof(int)));

    /// <summary>getsockopt(2) of an int.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int GetOption(int descriptor, int level, int option, out int value)
    {
        int read = 0;
        uint length = sizeof(int);
        int result = Result(getsockopt(descriptor, level, option, &read, &length));
        value = read;
        return result;
    }

    /// <summary>getsockopt(2), SO_PEERCRED: the process, user and group of the peer of a Unix domain socket.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int GetPeerCredentials(int descriptor, out int process, out uint user, out uint group)
    {
        // struct ucred: three fields of four bytes.
        uint* credentials = stackalloc uint[3];
        uint length = 3 * sizeof(uint);
        int result = Result(getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, &length));
        process = (int)credentials[0];
        user = credentials[1];
        group = credentials[2];
        return result;
    }

    /// <summary>setsockopt(2), SO_LINGER: with 0 seconds, close(2) resets the connection.</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int SetLinger(int descriptor, bool on, int seconds)
    {
        int* linger = stackalloc int[2] { on ? 1 : 0, seconds };
        return Result(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, linger, 2 * sizeof(int)));
    }

    /// <summary>getrlimit(2), RLIMIT_NOFILE: how many descriptors this process may have open.</summary>
    /// <returns>The soft limit, or <see cref="long.MaxValue"/> when there is none or it is unknown.</returns>
    internal static long DescriptorLimit()
    {
        ulong* limits = stackalloc ulong[2];
        return getrlimit(RLIMIT_NOFILE, limits) == 0 && limits[0] <= long.MaxValue ? (long)limits[0] : long.MaxValue;
    }

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastSystemError();

    [LibraryImport("libc", EntryPoint = "epoll_create1")]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl")]
    private static partial int epoll_ctl(int epoll, int operation, int descriptor, EpollEvent* change);

    [LibraryImport("libc", EntryPoint = "eventfd")]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint read(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint write(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "sendmsg")]
    private static partial nint sendmsg(int descriptor, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "accept4")]
    private static partial int accept4(int descriptor, byte* address, uint* length, int flags);

    [LibraryImport("libc", EntryPoint = "socket")]
    private static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind")]
    private static partial int bind(int descriptor, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "listen")]
    private static partial int listen(int descriptor, int backlog);

    [LibraryImport("libc", EntryPoint = "connect")]
    private static partial int connect(int descriptor, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int poll(PollEntry* entries, nuint count, int timeout);

    [LibraryImport("libc", EntryPoint = "shutdown")]
    private static partial int shutdown(int descriptor, int how);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int close(int descriptor);

    [LibraryImport("libc", EntryPoint = "getsockname")]
    private static partial int getsockname(int descriptor, byte* address, uint* length);

    [LibraryImport("libc", EntryPoint = "getpeername")]
    private static partial int getpeername(int descriptor, byte* address, uint* length);

    [LibraryImport("libc", EntryPoint = "setsockopt")]
    private static partial int setsockopt(int descriptor, int level, int option, void* value, uint length);

    [LibraryImport("libc", EntryPoint = "getsockopt")]
    private static partial int getsockopt(int descriptor, int level, int option, void* value, uint* length);

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int getrlimit(int resource, ulong* limits);
}
