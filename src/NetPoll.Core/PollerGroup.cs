using System.Globalization;
using Microsoft.Extensions.Logging;
using NetPoll.Core.Backends;
using NetPoll.Core.Diagnostics;

namespace NetPoll.Core;

/// <summary>The pollers of a process, one per core unless told otherwise.</summary>
/// <remarks>Go has one poller for the process and no thread for it; here each poller has its thread, and a descriptor lives on one of them.</remarks>
public sealed class PollerGroup : IAsyncDisposable
{
    private static readonly Lazy<PollerGroup> Shared = new(static () => new PollerGroup(new PollerOptions { Name = "default" }));

    private static int _unnamed;

    private readonly PollerOptions _options;
    private readonly ILogger _logger;

    /// <summary>Starting and stopping, one at a time. Go: <c>netpollInitLock</c>.</summary>
    private readonly Lock _gate = new();
    private Poller[] _pollers = [];
    private StallDetector? _stallDetector;
    private uint _next;
    private bool _isStarted;
    private bool _isStopped;

    /// <summary>A group that is not started yet.</summary>
    /// <param name="options">Null for the defaults. Not to be changed afterwards.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public PollerGroup(PollerOptions? options = null)
    {
        _options = options ?? new PollerOptions();
        _options.Validate();
        _logger = GuardedLogger.Of(_options.Logger);
        Name = _options.Name ?? string.Create(CultureInfo.InvariantCulture, $"group-{Interlocked.Increment(ref _unnamed)}");
    }

    /// <summary>The group of everything that names none; it starts by itself when it is first used and is never stopped.</summary>
    public static PollerGroup Default => Shared.Value;

    /// <summary>What tells it from other groups in figures and logs: <see cref="PollerOptions.Name"/>, or one of its own.</summary>
    public string Name { get; }

    /// <summary>Whether the pollers run. Any thread. Go: <c>netpollInited</c>, <c>netpollinited</c>.</summary>
    public bool IsStarted => Volatile.Read(ref _isStarted);

    /// <summary>The pollers; starts them if need be.</summary>
    public IReadOnlyList<Poller> Pollers
    {
        get
        {
            Start();
            return _pollers;
        }
    }

    internal PollPlatform Platform { get; private set; } = null!;

    /// <summary>Starts the threads; harmless when they run. Any thread.</summary>
    /// <remarks>Go: <c>netpollGenericInit</c>, <c>poll_runtime_pollServerInit</c>.</remarks>
    /// <exception cref="PlatformNotSupportedException">The backend that was asked for does not run on this system.</exception>
    /// <exception cref="ArgumentException">The environment variable <c>NETPOLL_BACKEND</c> names no backend.</exception>
    /// <exception cref="ObjectDisposedException">The group has been stopped.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">The system refused; nothing is left open, and starting may be tried again.</exception>
    public void Start()
    {
        if (IsStarted)
        {
            return;
        }

        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isStopped, this);
            if (_isStarted)
            {
                return;
            }

            Platform = _options.Platform ?? PlatformSelector.Select(_options.Backend);
            _pollers = CreatePollers();
            foreach (Poller poller in _pollers)
            {
                poller.Start();
            }

            if (_options.StallThreshold != Timeout.InfiniteTimeSpan)
            {
                _stallDetector = new StallDetector(_pollers, _options.StallThreshold, _logger);
            }

            // Only after every poller has a backend: a half-made group must never be visible.
            Volatile.Write(ref _isStarted, true);
        }

        if (Platform.DescriptorLimit is var limit and not long.MaxValue)
        {
            Log.GroupStarted(_logger, Name, _pollers.Length, _pollers[0].BackendName, limit);
        }
        else
        {
            Log.GroupStartedWithoutLimit(_logger, Name, _pollers.Length, _pollers[0].BackendName);
        }
    }

    /// <summary>
    /// The poller for the next newcomer, by <see cref="PollerOptions.Placement"/>; the current one if the caller runs on a poller of this
    /// group. One that has failed is passed over, unless all have. Any thread; starts the pollers if need be.
    /// </summary>
    public Poller Choose()
    {
        Start();
        if (Poller.Current is { IsEnding: false } current && Array.IndexOf(_pollers, current) >= 0)
        {
            return current;
        }

        return _options.Placement == PollerPlacement.LeastLoaded
            ? LeastLoaded(_pollers, static poller => poller.IsEnding ? int.MaxValue : poller.Monitored, Interlocked.Increment(ref _next))
            : NextInTurn(_pollers, static poller => !poller.IsEnding, ref _next);
    }

    /// <summary>The poller for everything that has this number, as the hash of a user or a room: always the same one. Any thread.</summary>
    /// <param name="hash">Any number.</param>
    /// <remarks>
    /// A poller that has failed is not passed over: what was posted to it before has its state there, and still runs one piece after the other, on
    /// the thread pool (<see cref="Poller.HasStopped"/>).
    /// </remarks>
    public Poller Choose(int hash)
    {
        Start();
        return _pollers[(uint)hash % (uint)_pollers.Length];
    }

    /// <summary>The figures of all pollers. Any thread; slow where there are many descriptors.</summary>
    public PollerGroupSnapshot Snapshot() => new([.. Pollers.Select(static poller => poller.Snapshot())]);

    /// <summary>Whether the number is an epoll or wake-up descriptor of a poller of this group. Go: <c>poll_runtime_isPollServerDescriptor</c>.</summary>
    public bool IsPollDescriptor(int fileDescriptor) => IsStarted && Array.Exists(_pollers, poller => poller.Owns(fileDescriptor));

    /// <summary>Stops the pollers: everything that waits ends as closed, and the threads end. Not to be awaited on one of them.</summary>
    public async ValueTask DisposeAsync()
    {
        Poller[] pollers;
        lock (_gate)
        {
            _isStopped = true;
            Volatile.Write(ref _isStarted, false);
            pollers = _pollers;
        }

        _stallDetector?.Dispose();
        foreach (Poller poller in pollers)
        {
            poller.Stop();
        }

        await Task.WhenAll(pollers.Select(static poller => poller.Stopped)).ConfigureAwait(false);
    }

    /// <summary>One after the other; one that takes no newcomers only where none does.</summary>
    internal static T NextInTurn<T>(T[] pollers, Func<T, bool> takesNewcomers, ref uint next)
    {
        T chosen;
        int tries = 0;
        do
        {
            chosen = pollers[Interlocked.Increment(ref next) % (uint)pollers.Length];
        }
        while (!takesNewcomers(chosen) && ++tries < pollers.Length);

        return chosen;
    }

    /// <summary>The candidate that has least. Any thread; what it sees may be a moment old.</summary>
    /// <param name="candidates">One at least.</param>
    /// <param name="load">What a candidate has.</param>
    /// <param name="start">Where to begin to look, so that those who have as many take turns.</param>
    internal static T LeastLoaded<T>(IReadOnlyList<T> candidates, Func<T, int> load, uint start)
    {
        T best = candidates[(int)(start % (uint)candidates.Count)];
        for (uint step = 1; step < candidates.Count; step++)
        {
            T other = candidates[(int)((start + step) % (uint)candidates.Count)];
            if (load(other) < load(best))
            {
                best = other;
            }
        }

        return best;
    }

    private Poller[] CreatePollers()
    {
        Poller[] pollers = new Poller[_options.PollerCount];
        int made = 0;
        try
        {
            for (; made < pollers.Length; made++)
            {
                pollers[made] = new Poller(made, Name, _options, Platform, _logger);
            }

            return pollers;
        }
        catch
        {
            for (int index = 0; index < made; index++)
            {
                pollers[index].Discard();
            }

            throw;
        }
    }
}
