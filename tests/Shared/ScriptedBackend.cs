using NetPoll.Core;
using NetPoll.Core.Backends;

namespace NetPoll.Tests;

/// <summary>Readiness by script: nothing happens but what the test injects, stale, spurious or out of order as it likes.</summary>
internal sealed class ScriptedBackend : IPollBackend
{
    public const int OwnDescriptor = 1_000_001;

    private readonly Lock _gate = new();
    private readonly AutoResetEvent _signal = new(initialState: false);
    private readonly Queue<PollEvent> _pending = new();
    private readonly Dictionary<PollableSocket, PollToken> _tokens = [];
    private readonly Queue<int> _openErrors = new();
    private Exception? _failure;
    private bool _isWoken;
    private bool _isInterrupted;
    private bool _isWaiting;
    private int _wakeups;
    private int _waits;

    public string Name => "scripted";

    public bool IsDisposed { get; private set; }

    /// <summary>Whether the poller's thread blocks here, with nothing on its way.</summary>
    public bool IsAsleep
    {
        get
        {
            lock (_gate)
            {
                return _isWaiting && _pending.Count == 0 && !_isWoken && !_isInterrupted;
            }
        }
    }

    public int Wakeups => Volatile.Read(ref _wakeups);

    /// <summary>Runs on the thread that wakes the poller, when it has done so.</summary>
    public Action? AfterWake { get; set; }

    public int Waits => Volatile.Read(ref _waits);

    /// <summary>Sockets that are watched.</summary>
    public int Watched
    {
        get
        {
            lock (_gate)
            {
                return _tokens.Count;
            }
        }
    }

    /// <summary>Runs on the poller's thread with the timeout that it asked for, before each wait.</summary>
    public Action<int>? OnWait { get; set; }

    /// <summary>Makes coming <see cref="Open"/> calls fail, one errno each.</summary>
    public void FailOpen(params ReadOnlySpan<int> errors)
    {
        lock (_gate)
        {
            foreach (int error in errors)
            {
                _openErrors.Enqueue(error);
            }
        }
    }

    /// <summary>Makes the current or next wait throw.</summary>
    public void FailWait(Exception failure)
    {
        lock (_gate)
        {
            _failure = failure;
            _signal.Set();
        }
    }

    /// <summary>Ends the current or next wait with nothing, as a signal does.</summary>
    public void Interrupt()
    {
        lock (_gate)
        {
            _isInterrupted = true;
            _signal.Set();
        }
    }

    /// <summary>The token that a watched socket was opened with.</summary>
    public PollToken TokenOf(PollableSocket socket)
    {
        lock (_gate)
        {
            return _tokens[socket];
        }
    }

    public void Inject(PollableSocket socket, PollEventFlags flags) => Inject(new PollEvent(TokenOf(socket), flags));

    /// <summary>Events that come out of the next wait, together and in order.</summary>
    public void Inject(params ReadOnlySpan<PollEvent> events)
    {
        lock (_gate)
        {
            foreach (PollEvent happened in events)
            {
                _pending.Enqueue(happened);
            }

            _signal.Set();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            IsDisposed = true;
        }

        _signal.Dispose();
    }

    /// <summary>Runs in the opener's call, before the socket is watched.</summary>
    public Action? OnOpen { get; set; }

    public IoResult Open(PollableSocket socket, PollToken token)
    {
        OnOpen?.Invoke();
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            if (_openErrors.TryDequeue(out int error))
            {
                return IoResult.Failure(error);
            }

            _tokens.Add(socket, token);
            return IoResult.Success;
        }
    }

    public IoResult Close(PollableSocket socket, PollToken token)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            return _tokens.Remove(socket) ? IoResult.Success : IoResult.Failure(2);
        }
    }

    public void Arm(PollableSocket socket, PollToken token, PollMode mode)
    {
        // Edges come by script.
    }

    public int Wait(Span<PollEvent> events, int timeoutMilliseconds)
    {
        OnWait?.Invoke(timeoutMilliseconds);
        long end = Environment.TickCount64 + timeoutMilliseconds;
        bool isFirstLook = true;
        while (true)
        {
            int left = timeoutMilliseconds < 0 ? Timeout.Infinite : (int)Math.Max(0, end - Environment.TickCount64);
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(IsDisposed, this);
                _waits += isFirstLook ? 1 : 0;
                isFirstLook = false;
                if (_failure is { } failure)
                {
                    throw failure;
                }

                if (_pending.Count > 0 || _isWoken || _isInterrupted || left == 0)
                {
                    _isWaiting = false;
                    _isWoken = false;
                    _isInterrupted = false;
                    return Collect(events);
                }

                _isWaiting = true;
            }

            _signal.WaitOne(left);
        }
    }

    public void Wake()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            _wakeups++;
            _isWoken = true;
            _signal.Set();
        }

        AfterWake?.Invoke();
    }

    public bool Owns(int fileDescriptor) => fileDescriptor == OwnDescriptor;

    private int Collect(Span<PollEvent> events)
    {
        int count = 0;
        while (count < events.Length && _pending.TryDequeue(out PollEvent happened))
        {
            events[count++] = happened;
        }

        return count;
    }
}
