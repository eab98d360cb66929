using System.ComponentModel;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>Readiness by epoll(7), edge-triggered, with an eventfd to wake up.</summary>
/// <remarks>Go: <c>runtime/netpoll_epoll.go</c>.</remarks>
internal sealed class EpollBackend : IPollBackend
{
    // PRI, which Go does not ask for: a short read stands for an empty socket here, and an urgent mark makes reads short.
    private const uint Interest = Libc.EPOLLIN | Libc.EPOLLPRI | Libc.EPOLLOUT | Libc.EPOLLRDHUP | Libc.EPOLLET;

    private readonly EpollEventBuffer _buffer;
    private readonly int _epoll;
    private readonly int _wake;

    /// <summary>Go: <c>netpollinit</c>.</summary>
    internal EpollBackend(int eventsPerWait)
    {
        _buffer = new EpollEventBuffer(eventsPerWait);
        _epoll = Check(Libc.EpollCreate(), "epoll_create1");
        _wake = Libc.EventDescriptor();
        if (_wake < 0)
        {
            _ = Libc.Close(_epoll);
            Check(_wake, "eventfd");
        }

        // Level-triggered: a wake-up that was written but not read makes the next wait return at once, whatever came between.
        int added = EpollEventBuffer.Control(_epoll, Libc.EPOLL_CTL_ADD, _wake, Libc.EPOLLIN, PollToken.Wake.Value);
        if (added < 0)
        {
            Dispose();
            Check(added, "epoll_ctl");
        }
    }

    public string Name => "epoll";

    public void Dispose()
    {
        _ = Libc.Close(_wake);
        _ = Libc.Close(_epoll);
    }

    public int Wait(Span<PollEvent> events, int timeoutMilliseconds)
    {
        int count = _buffer.Wait(_epoll, events.Length, timeoutMilliseconds);
        if (count < 0)
        {
            // A signal: the caller works out the rest of its timeout and comes back.
            return count == -Errno.EINTR ? 0 : throw new Win32Exception(-count, $"epoll_wait failed with errno {-count}; this poller cannot go on.");
        }

        int written = 0;
        for (int index = 0; index < count; index++)
        {
            _buffer.Read(index, out uint mask, out ulong data);
            if (data == PollToken.Wake.Value)
            {
                // Read before the poller clears its sleep state and drains its inbox: that order is why no wake-up is lost.
                _ = Libc.EventConsume(_wake);
                continue;
            }

            PollEventFlags flags = Translate(mask);
            if (flags != PollEventFlags.None)
            {
                events[written++] = new PollEvent(PollToken.FromValue(data), flags);
            }
        }

        return written;
    }

    public void Wake()
    {
        // EAGAIN means that the counter is full, so a wake-up is pending anyway.
        int result = Libc.EventSignal(_wake);
        if (result < 0 && result != -Errno.EAGAIN)
        {
            throw new Win32Exception(-result, $"Writing the wake-up eventfd failed with errno {-result}.");
        }
    }

    public IoResult Open(PollableSocket socket, PollToken token) =>
        IoResult.From(EpollEventBuffer.Control(_epoll, Libc.EPOLL_CTL_ADD, socket.Descriptor, Interest, token.Value));

    public IoResult Close(PollableSocket socket, PollToken token) =>
        IoResult.From(EpollEventBuffer.Control(_epoll, Libc.EPOLL_CTL_DEL, socket.Descriptor, 0, 0));

    public void Arm(PollableSocket socket, PollToken token, PollMode mode)
    {
        // Edges come by themselves.
    }

    public bool Owns(int fileDescriptor) => fileDescriptor == _epoll || fileDescriptor == _wake;

    /// <summary>The kernel's mask in the state machine's words.</summary>
    internal static PollEventFlags Translate(uint mask)
    {
        PollEventFlags flags = PollEventFlags.None;
        if ((mask & Libc.EPOLLIN) != 0)
        {
            flags |= PollEventFlags.Read;
        }

        if ((mask & Libc.EPOLLPRI) != 0)
        {
            flags |= PollEventFlags.Urgent;
        }

        if ((mask & Libc.EPOLLOUT) != 0)
        {
            flags |= PollEventFlags.Write;
        }

        if ((mask & Libc.EPOLLRDHUP) != 0)
        {
            flags |= PollEventFlags.Read | PollEventFlags.ReadHangup;
        }

        if ((mask & Libc.EPOLLHUP) != 0)
        {
            flags |= PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Hangup;
        }

        if ((mask & Libc.EPOLLERR) != 0)
        {
            flags |= PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error;
            if (mask == Libc.EPOLLERR)
            {
                flags |= PollEventFlags.ErrorOnly;
            }
        }

        return flags;
    }

    private static int Check(int result, string call) =>
        result >= 0 ? result : throw new Win32Exception(-result, $"{call} failed with errno {-result}; no poller was made.");
}
