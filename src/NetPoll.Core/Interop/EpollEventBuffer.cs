namespace NetPoll.Core.Interop;

/// <summary>The memory that epoll_wait fills, kept for the life of a poller.</summary>
internal sealed unsafe class EpollEventBuffer
{
    // Pinned for good, so that no wait has to pin it.
    private readonly EpollEvent[] _events;
    private readonly EpollEvent* _start;

    internal EpollEventBuffer(int capacity)
    {
        _events = GC.AllocateArray<EpollEvent>(capacity, pinned: true);
        _start = (EpollEvent*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _events[0]);
    }

    /// <summary>epoll_wait(2).</summary>
    /// <returns>Events collected, 0 on timeout, or the negative errno.</returns>
    internal int Wait(int epoll, int capacity, int timeoutMilliseconds) =>
        Libc.EpollWait(epoll, _start, Math.Min(capacity, _events.Length), timeoutMilliseconds);

    internal void Read(int index, out uint mask, out ulong data) => EpollEventLayout.Read(_start, index, out mask, out data);

    /// <summary>epoll_ctl(2).</summary>
    /// <returns>0, or the negative errno.</returns>
    internal static int Control(int epoll, int operation, int descriptor, uint mask, ulong data)
    {
        EpollEvent change;
        EpollEventLayout.Write(&change, mask, data);
        return Libc.EpollControl(epoll, operation, descriptor, &change);
    }
}
