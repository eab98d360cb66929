using System.Collections.Concurrent;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>Readiness by the completions of System.Net.Sockets, wherever .NET runs. One-shot: what is armed is told once.</summary>
/// <remarks>
/// A read is armed by a zero-byte receive, which completes when there is something to read, and takes nothing. Completions come on threads
/// of the thread pool; each queues its news here and wakes the poller. The queue is one stretch of memory, read in order: a chain through
/// the sockets' own objects was a cache miss for each of thousands. A pool that is short of threads delays news and loses none. Nothing is
/// latched for what is not armed, which is right: arming looks at the present state, and no peer can queue more than what was armed. What
/// is armed again just as it is told may be told twice, also in one wait: the second finds nothing, and is harmless. Room to write, and a
/// reset behind unread bytes, are looked for instead (<see cref="PortableLooks"/>).
/// </remarks>
internal sealed class PortableBackend : IPollBackend
{
    private const int LongestWriteLook = 64;
    private const int ResetLook = 256;

    // Monitor and not a Lock: it is waited on.
    private readonly object _gate = new();
    private readonly PortableLooks _writeLooks = new(SelectMode.SelectWrite, PortableNews.Write, firstMilliseconds: 1, LongestWriteLook);
    private readonly PortableLooks _resetLooks =
        new(SelectMode.SelectError, PortableNews.Read | PortableNews.Write | PortableNews.Error, ResetLook, ResetLook);

    private readonly ConcurrentQueue<Report> _reports = new();
    private bool _isWoken;
    private int _isAsleep;
    private bool _isRoused;
    // Words    the queue; whether Wake was called; whether the poller blocks or is about to; whether it was told to get up.
    // Writers  any thread queues and wakes; the poller's thread takes, and announces its sleep (Exchange). _isRoused is the gate's.
    // Race     news or a wake-up that come between the poller's last look and its sleep.
    // Order    poller: exchange _isAsleep in, then look at the two words before it. others: write one of them, a full fence, then look at
    //          _isAsleep. At least one side sees the other; who takes _isAsleep out rouses the poller, under the gate. A poller that has
    //          got up by itself meanwhile finds the call at its next sleep, which ends at once: spurious, and harmless.
    // Proof    PortableBackendTests.

    public string Name => "portable";

    /// <inheritdoc/>
    public bool NeedsArming => true;

    /// <summary>The clock of the waits and the looks: always the system's, since no other one moves its sockets.</summary>
    internal static long Microseconds => TimeProvider.System.GetElapsedTime(0).Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>How many sockets are looked at from time to time. The poller's thread.</summary>
    internal int LookCount => _writeLooks.Count + _resetLooks.Count;

    private long NextLook => Math.Min(_writeLooks.NextDue, _resetLooks.NextDue);

    public void Dispose()
    {
        // Nothing of the system's is held. What still completes is queued for nobody.
    }

    public IoResult Open(PollableSocket socket, PollToken token)
    {
        PortableHandle handle = (PortableHandle)socket;
        handle.Attach(new PortableWatch(this, handle, token));
        return IoResult.Success;
    }

    public IoResult Close(PollableSocket socket, PollToken token)
    {
        ((PortableHandle)socket).Detach(this);
        return IoResult.Success;
    }

    public void Arm(PollableSocket socket, PollToken token, PollMode mode) => ((PortableHandle)socket).Arm(mode);

    /// <inheritdoc/>
    public void Disarm(PollableSocket socket, PollToken token, PollMode mode) => ((PortableHandle)socket).Disarm(mode);

    /// <inheritdoc/>
    public void ArmHangup(PollableSocket socket, PollToken token) => ((PortableHandle)socket).ArmHangup();

    public int Wait(Span<PollEvent> events, int timeoutMilliseconds)
    {
        int count = Collect(events);
        if (count > 0 || TakeWake() || timeoutMilliseconds == 0)
        {
            return count;
        }

        long end = timeoutMilliseconds < 0 ? long.MaxValue : Microseconds + (timeoutMilliseconds * 1000L);
        while (true)
        {
            long until = Math.Min(end, NextLook);

            // Rounded up: the last millisecond must not become a busy loop.
            Sleep(until == long.MaxValue ? Timeout.Infinite : (int)((Math.Max(0, until - Microseconds) + 999) / 1000));
            count = Collect(events);
            if (count > 0 || TakeWake() || (end != long.MaxValue && Microseconds >= end))
            {
                return count;
            }
        }
    }

    public void Wake()
    {
        Volatile.Write(ref _isWoken, true);
        Interlocked.MemoryBarrier();
        Rouse();
    }

    public bool Owns(int fileDescriptor) => false;

    /// <summary>Queues what happened to a socket, and wakes the poller. Any thread.</summary>
    internal void Push(PortableWatch watch, PortableNews news)
    {
        _reports.Enqueue(new Report(watch, watch.Token, news));
        Interlocked.MemoryBarrier();
        Rouse();
    }

    private void Rouse()
    {
        if (Volatile.Read(ref _isAsleep) != 0 && Interlocked.Exchange(ref _isAsleep, 0) != 0)
        {
            lock (_gate)
            {
                _isRoused = true;
                Monitor.Pulse(_gate);
            }
        }
    }

    private void Sleep(int milliseconds)
    {
        Interlocked.Exchange(ref _isAsleep, 1);
        if (_reports.IsEmpty && !Volatile.Read(ref _isWoken))
        {
            lock (_gate)
            {
                // Without a loop: who gets up for nothing looks and comes again.
                if (!_isRoused)
                {
                    Monitor.Wait(_gate, milliseconds);
                }

                _isRoused = false;
            }
        }

        Interlocked.Exchange(ref _isAsleep, 0);
    }

    private bool TakeWake()
    {
        if (!Volatile.Read(ref _isWoken))
        {
            return false;
        }

        Interlocked.Exchange(ref _isWoken, false);
        return true;
    }

    private int Collect(Span<PollEvent> events)
    {
        if (NextLook != long.MaxValue)
        {
            long now = Microseconds;
            _writeLooks.Run(now);
            _resetLooks.Run(now);
        }

        int count = 0;
        while (count < events.Length && _reports.TryDequeue(out Report report))
        {
            PortableNews news = report.News;
            if ((news & PortableNews.LookFor) != 0)
            {
                news = Look(report.Watch, news);
            }

            if ((news & PortableNews.Events) != 0)
            {
                events[count++] = new PollEvent(report.Token, (PollEventFlags)(news & PortableNews.Events));
            }
        }

        return count;
    }

    private PortableNews Look(PortableWatch watch, PortableNews news)
    {
        if (watch.IsClosed)
        {
            return PortableNews.None;
        }

        if ((news & PortableNews.LookForRoom) != 0 && _writeLooks.Add(watch, Microseconds))
        {
            news |= PortableNews.Write;
        }

        if ((news & PortableNews.LookForReset) != 0 && _resetLooks.Add(watch, Microseconds))
        {
            news |= PortableNews.Read | PortableNews.Write | PortableNews.Error;
        }

        return news;
    }

    // The token again, so that telling an event touches no object of its socket. What a closed socket still told carries the old one.
    private readonly record struct Report(PortableWatch Watch, PollToken Token, PortableNews News);
}
