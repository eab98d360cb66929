using System.Diagnostics;
using Microsoft.Extensions.Logging;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Diagnostics;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core;

/// <summary>One thread that waits for readiness and deadlines and runs what they free; also a place to post work to.</summary>
/// <remarks>
/// Owned by a <see cref="PollerGroup"/>. Code that runs here must not block: everything else of this poller waits for it. The code after
/// an <c>await</c> that began here comes back here.
/// </remarks>
public sealed partial class Poller
{
    // Between two looks at the clock while the run queue is worked off.
    private const int WorkPerClockLook = 16;

    // Waiters that run between two rounds of the run queue: enough for the caches, few enough that what the first of them has to send does
    // not wait long.
    private const int ReadyPerBatch = 64;

    // Deadlines that pass between two looks at the system: a hundred thousand at once do not keep the bytes of others waiting.
    private const int RemindersPerTurn = 1024;

    // Linux cuts longer waits; the poller just comes round and waits again.
    private const long MaxTimeoutMilliseconds = 1_000_000_000;

    // How many budgets of work a poller that stops still runs; what is runnable after that would go on for ever.
    private const int BudgetsAtClose = 1_000;

    private readonly PollerOptions _options;
    private readonly PollPlatform _platform;
    private readonly ILogger _logger;
    private readonly PollerClock _clock;
    private readonly long _runQueueBudget;
    private readonly long _stallThreshold;
    private readonly Thread _thread;
    private readonly PollerInbox _inbox = new();
    private readonly Lock _backendGate = new();
    private readonly bool _needsArming;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The poller's thread alone.
    private readonly IPollBackend _backend;

    /// <summary>This poller's descriptors. Go: the one <c>pollcache</c> of the process.</summary>
    private readonly PollCache _cache;
    private readonly TimingWheel _wheel;
    private readonly RunQueue _runQueue = new();
    private readonly ReadyList _ready = new();
    private readonly PollEvent[] _events;
    private readonly ITimer? _timer;

    // Whose deadlines were set in this turn and count from its end.
    private readonly List<PollDescriptor> _fromTurnEnd = [];
    private long _now;
    private long _turnStartedAt;
    private bool _isTurnMeasured;
    private object? _currentWork;
    private ExecutionContext? _executionContext;

    // Any thread.
    private PollThread _own;
    private SleepState _sleep;
    private bool _isStopping;
    private bool _isBackendGone;

    // Written by the poller's thread, read by snapshots; the last two written by any thread.
    private int _core = -1;
    private long _waits;
    private long _eventsReturned;
    private long _staleEvents;
    private long _spuriousWakeups;
    private long _longestTurn;
    private long _longTurnEndedAt;
    private long _busy;
    private long _wakeupsSent;
    private long _wakeupsCoalesced;

    internal Poller(int index, string group, PollerOptions options, PollPlatform platform, ILogger logger)
    {
        Index = index;
        Group = group;
        Name = $"poller-{index}";
        _options = options;
        _platform = platform;
        _logger = logger;
        _clock = new PollerClock(options.TimeProvider);
        _runQueueBudget = options.RunQueueBudget.Ticks * 100;
        _stallThreshold = options.StallThreshold == Timeout.InfiniteTimeSpan ? long.MaxValue : options.StallThreshold.Ticks * 100;
        _now = _clock.Nanoseconds;
        _wheel = new TimingWheel(_now);
        _cache = new PollCache(_wheel, options.MaxDescriptors);
        _events = new PollEvent[options.EventsPerWait];
        _backend = platform.CreateBackend(options.EventsPerWait);
        _needsArming = _backend.NeedsArming;
        if (options.TimeProvider != TimeProvider.System)
        {
            // A clock that somebody else moves is not noticed by a thread asleep in the kernel: its own timer must wake us. It lives as long as the
            // poller, and must not keep alive what its starter has in async-locals.
            using AsyncFlowControl flow = ExecutionContext.SuppressFlow();
            _timer = options.TimeProvider.CreateTimer(static state => ((Poller)state!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        _maxSpin = options.MaxSpin.Ticks * 100;
        Context = new PollerSynchronizationContext(this);
        _thread = new Thread(Run) { Name = $"netpoll-{index}", IsBackground = true };
    }

    /// <summary>The poller whose thread this is; null on every other thread.</summary>
    public static Poller? Current => PollThread.Current;

    /// <summary>The place in the group, from 0.</summary>
    public int Index { get; }

    /// <summary>The name of the group.</summary>
    public string Group { get; }

    /// <summary>For logs: <c>poller-</c> and the index. Unique in its group.</summary>
    public string Name { get; }

    /// <summary>Whether the caller runs on this poller's thread.</summary>
    public bool IsCurrent => _own.IsCurrent(this);

    /// <summary>The clock of this poller's deadlines.</summary>
    public TimeProvider TimeProvider => _options.TimeProvider;

    /// <summary>Whether the thread has ended, by a shutdown or a failure, so that posted work runs on the thread pool. Any thread.</summary>
    public bool HasStopped => Volatile.Read(ref _isBackendGone);

    /// <summary>Whether it ends or has ended, by a shutdown or a failure, so that it is no place for newcomers. Any thread.</summary>
    internal bool IsEnding => Volatile.Read(ref _isStopping);

    /// <summary>How long the turn that runs has lasted; zero while the poller waits for events, and after its end. Any thread.</summary>
    public TimeSpan HeldFor => TurnStartedAt is var start and not 0 ? TimeSpan.FromTicks(Math.Max(0, _clock.Nanoseconds - start) / 100) : TimeSpan.Zero;

    /// <summary>Completes when the thread has ended and everything that waited has been told.</summary>
    internal Task Stopped => _stopped.Task;

    /// <summary>How long ago a moment of this poller's clock was; never below zero. The poller's thread.</summary>
    internal TimeSpan Since(long moment) => TimeSpan.FromTicks(Math.Max(0, _now - moment) / 100);

    /// <summary>The clock as this iteration of the loop saw it, in nanoseconds. The poller's thread.</summary>
    internal long Now => _now;

    /// <summary>The wheel, for deadlines that are no descriptor's. The poller's thread.</summary>
    internal TimingWheel Wheel
    {
        get
        {
            AssertCurrent();
            return _wheel;
        }
    }

    /// <summary>Brings the code after an <c>await</c> back; the thread's own unless a layer above has put its own in place for a while.</summary>
    internal SynchronizationContext Context { get; }

    /// <summary>What a layer above keeps for this poller. Set once, before anything of that layer runs here.</summary>
    internal object? Layer { get; set; }

    internal PollerClock Clock => _clock;

    /// <summary>Where whoever lives here reports. It never throws.</summary>
    internal ILogger Logger => _logger;

    internal string BackendName => _backend.Name;

    /// <summary>For tests.</summary>
    internal IPollBackend Backend => _backend;

    /// <summary>Waiters parked in slots, which a snapshot tells apart. Any thread. Go: <c>netpollWaiters</c>.</summary>
    internal int ParkedCount => _cache.All().Sum(static descriptor => (descriptor.HasReader ? 1 : 0) + (descriptor.HasWriter ? 1 : 0));

    /// <summary>Queues a callback for the poller's thread. Any thread; never runs it inside the call; in order for each caller.</summary>
    /// <remarks>
    /// After the poller has stopped it runs on the thread pool, still one after the other and never two at once. An exception that it throws is
    /// logged; the poller goes on. It finds its async-locals empty: those of the caller do not come along, and what it sets there is seen by
    /// what it starts and awaits, and by nothing else that runs on the poller.
    /// </remarks>
    public void Post(Action callback)
    {
        ArgumentNullException.ThrowIfNull(callback);
        Post(static state => ((Action)state!)(), callback);
    }

    /// <summary>As <see cref="Post(Action)"/>, with a state, so that the callback can be static.</summary>
    public void Post(SendOrPostCallback callback, object? state)
    {
        ArgumentNullException.ThrowIfNull(callback);
        Post(new CallbackWork(callback, state));
    }

    /// <summary>The poller's figures. Any thread; walks the descriptors, so it costs about 5 ns for each that was ever open at once.</summary>
    public PollerSnapshot Snapshot()
    {
        int readers = 0;
        int writers = 0;
        int opening = 0;
        int closing = 0;
        int operations = 0;
        int deadlines = 0;
        foreach (PollDescriptor descriptor in _cache.All())
        {
            int parkedReaders = descriptor.HasReader ? 1 : 0;
            int parkedWriters = descriptor.HasWriter ? 1 : 0;
            readers += parkedReaders;
            writers += parkedWriters;
            deadlines += descriptor.ArmedDeadlines;

            // Each for itself: a mailbox, and who connects, parks without being an operation.
            operations += Math.Max(0, (descriptor.User?.OperationsInProgress ?? 0) - parkedReaders - parkedWriters);
            if (descriptor.Socket is not null)
            {
                closing += descriptor.Info.IsClosing ? 1 : 0;
                opening += descriptor.IsWatched || descriptor.Info.IsClosing ? 0 : 1;
            }
        }

        return new PollerSnapshot(
            Group,
            Name,
            _cache.Rented,
            opening,
            closing,
            operations,
            readers,
            writers,
            _runQueue.Count,
            deadlines,
            _wheel.Expired,
            Volatile.Read(ref _waits),
            Volatile.Read(ref _eventsReturned),
            Volatile.Read(ref _staleEvents),
            Volatile.Read(ref _spuriousWakeups),
            Volatile.Read(ref _wakeupsSent),
            Volatile.Read(ref _wakeupsCoalesced),
            TimeSpan.FromTicks(Volatile.Read(ref _longestTurn) / 100))
        {
            Core = Volatile.Read(ref _core) is var core and >= 0 ? core : null,
            Busy = Busy,
        };
    }

    /// <summary>How long it has done anything but wait since the start. Any thread, and cheap; the turn that runs is not in it yet.</summary>
    internal TimeSpan Busy => TimeSpan.FromTicks(Volatile.Read(ref _busy) / 100);

    /// <summary>Descriptors that are taken in. Any thread, and cheap.</summary>
    internal int Monitored => _cache.Rented;

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>A line for each descriptor on which somebody waits, for a developer who looks for what hangs. Any thread; slow.</summary>
    public IReadOnlyList<string> DumpWaiters() =>
    [
        .. _cache.All()
            .Where(static descriptor => descriptor.HasReader || descriptor.HasWriter)
            .Select(static descriptor => descriptor.ToString()),
    ];

    /// <summary>Whether the number is one of a socket that this poller watches. Any thread; slow.</summary>
    public bool Monitors(int fileDescriptor) =>
        _cache.All().Any(descriptor => descriptor.IsWatched && descriptor.Socket is { } socket && socket.Descriptor == fileDescriptor);

    internal void Start()
    {
        PollerMetrics.Add(this);

        // Without the starter's async-locals: the thread outlives the request, or the test, that happened to need the pollers first.
        _thread.UnsafeStart();
    }

    /// <summary>A wake-up after which the system had nothing. The poller's thread.</summary>
    internal void CountSpuriousWakeup() => _spuriousWakeups++;

    /// <summary>When the turn that runs has begun, in nanoseconds; 0 while the poller waits. Any thread.</summary>
    internal long TurnStartedAt => Volatile.Read(ref _turnStartedAt);

    /// <summary>When the last turn that was long enough to be a stall has ended, in nanoseconds; 0 before the first. Any thread.</summary>
    internal long LongTurnEndedAt => Volatile.Read(ref _longTurnEndedAt);

    /// <summary>What runs, for the one who asks what holds the thread. Any thread; perhaps over by now.</summary>
    internal object? CurrentWork => _ready.InHand ?? Volatile.Read(ref _currentWork);

    /// <summary>Ends the loop: everything that waits gets Closing. Any thread; <see cref="Stopped"/> tells when it is done.</summary>
    internal void Stop()
    {
        Volatile.Write(ref _isStopping, true);
        Interlocked.MemoryBarrier();
        Wake();
    }

    /// <summary>Releases a poller whose thread never started.</summary>
    internal void Discard()
    {
        _timer?.Dispose();
        _backend.Dispose();
    }

    /// <summary>Queues work. Any thread; allocates nothing. The work must not be in a queue already.</summary>
    internal void Post(IPollerWork work)
    {
        if (IsCurrent)
        {
            PostFromHere(work);
        }
        else if (_inbox.TryPush(work))
        {
            Wake();
        }
        else
        {
            PostAfterEnd(work);
        }
    }

    /// <summary>As <see cref="Post(IPollerWork)"/>, by one who knows that he is on the poller's thread, which takes as long to find out.</summary>
    internal void PostFromHere(IPollerWork work)
    {
        AssertCurrent();
        if (_hasEnded)
        {
            PostAfterEnd(work);
            return;
        }

        // What came from other threads before comes first, so that the order holds for a caller that changes threads, too.
        _inbox.DrainTo(_runQueue);
        _runQueue.Enqueue(work);
    }

    /// <summary>Lets the code after an await run when the waiters of this batch were resumed, of which the caller is the one that runs.</summary>
    /// <returns>False: it does not run as such.</returns>
    internal bool TryContinueInBatch(IPollWaiter waiter) => _ready.TryKeep(waiter);

    /// <summary>Takes a socket in. Any thread; the first event may arrive before this returns. Go: <c>poll_runtime_pollOpen</c>, <c>netpollOpenDescriptor</c>.</summary>
    internal IoResult Open(PollableSocket socket, out PollDescriptor? descriptor)
    {
        descriptor = _cache.Rent();
        if (descriptor is null)
        {
            return IoResult.NoRoom;
        }

        // Complete and published before the kernel knows it.
        descriptor.Open(socket);
        IoResult result;
        lock (_backendGate)
        {
            result = _isBackendGone ? IoResult.Gone : _backend.Open(socket, descriptor.Token);
        }

        if (result.IsSuccess)
        {
            descriptor.IsWatched = true;
            return result;
        }

        descriptor.Evict();
        descriptor.Release();
        _cache.Return(descriptor);
        descriptor = null;
        return result;
    }

    /// <summary>Frees whoever waits, with Closing. Any thread, once per descriptor. Go: <c>poll_runtime_pollUnblock</c>.</summary>
    internal void Evict(PollDescriptor descriptor) => Finish(descriptor, descriptor.Evict());

    /// <summary>Gives an evicted descriptor back, after its last user and before close(2). Any thread. Go: <c>poll_runtime_pollClose</c>.</summary>
    internal void Release(PollDescriptor descriptor)
    {
        lock (_backendGate)
        {
            if (!_isBackendGone)
            {
                // Before close(2): a duplicate of the number would keep the registration alive for ever. Errors change nothing.
                _ = _backend.Close(descriptor.Socket!, descriptor.Token);
            }
        }

        descriptor.Release();
        _cache.Return(descriptor);
    }

    /// <summary>Sets a deadline. Any thread; in force when this returns. Go: <c>poll_runtime_pollSetDeadline</c>.</summary>
    internal void SetDeadline(PollDescriptor descriptor, PollMode mode, Deadline deadline)
    {
        // A look at the clock costs twice as much as all the rest. Not by a clock that somebody else moves, perhaps within this turn.
        if (deadline.IsTime(out long time) && IsCurrent && _timer is null)
        {
            if (descriptor.SetDeadlineFromTurnEnd(mode, time))
            {
                _fromTurnEnd.Add(descriptor);
            }
        }
        else
        {
            Finish(descriptor, descriptor.SetDeadline(mode, deadline.Resolve(_clock)));
        }
    }

    /// <summary>Asks for the next readiness of a direction, where edges do not come by themselves.</summary>
    /// <remarks>Any thread. After the operation that would block, and before the park: what comes in between is latched in the slot.</remarks>
    internal void Arm(PollDescriptor descriptor, PollMode mode)
    {
        if (_needsArming)
        {
            _backend.Arm(descriptor.Socket!, descriptor.Token, mode);
        }
    }

    /// <summary>Takes back what was armed last, where edges do not come by themselves. Any thread, under the direction's lock.</summary>
    internal void Disarm(PollDescriptor descriptor, PollMode mode)
    {
        if (_needsArming)
        {
            _backend.Disarm(descriptor.Socket!, descriptor.Token, mode);
        }
    }

    /// <summary>Whether readiness comes by other threads, so that bytes may be there though nothing has told of them.</summary>
    internal bool IsToldLate => _needsArming;

    /// <summary>Asks for the next hang-up while nobody waits to read, where edges do not come by themselves. The poller's thread.</summary>
    internal void ArmHangup(PollDescriptor descriptor)
    {
        if (_needsArming)
        {
            _backend.ArmHangup(descriptor.Socket!, descriptor.Token);
        }
    }

    /// <summary>Whether the number is one of this poller's own. Any thread.</summary>
    internal bool Owns(int fileDescriptor) => _backend.Owns(fileDescriptor);

    [Conditional("DEBUG")]
    internal void AssertCurrent() => Debug.Assert(IsCurrent, "This state belongs to the poller's thread: post to it instead.");

    /// <summary>Makes a sleeping poller look at its inbox. Any thread, after something was pushed. Go: <c>netpollBreak</c>.</summary>
    private void Wake()
    {
        if (_sleep.MustNotify())
        {
            Interlocked.Increment(ref _wakeupsSent);
            lock (_backendGate)
            {
                if (!_isBackendGone)
                {
                    _backend.Wake();
                }
            }
        }
        else
        {
            Interlocked.Increment(ref _wakeupsCoalesced);
        }
    }

    private void Finish(PollDescriptor descriptor, in FreedWaiters freed)
    {
        freed.Schedule();
        if (freed.MustSyncWheel)
        {
            if (IsCurrent)
            {
                descriptor.SyncWheel();
            }
            else
            {
                Post(descriptor.WheelWork);
            }
        }
    }

    /// <summary>What ran here may have left values in async-locals: what runs next does not see them. The poller's thread.</summary>
    internal void ResetExecutionContext()
    {
        if (_executionContext is not null)
        {
            ExecutionContext.Restore(_executionContext);
            SuppressFlow();
        }
    }

    // For good: the control that would undo it is let go.
    private void SuppressFlow()
    {
        if (!_options.FlowExecutionContext)
        {
            ExecutionContext.SuppressFlow();
        }
    }

    private void Pin()
    {
        IoResult result = _platform.PinCurrentThread(Index, out int core);
        if (result.IsSuccess)
        {
            Volatile.Write(ref _core, core);
            Log.Pinned(_logger, Name, core);
        }
        else
        {
            Log.NotPinned(_logger, Name, result.Error, result.NativeError);
        }
    }

    private void Run()
    {
        _own.Enter(this);
        SynchronizationContext.SetSynchronizationContext(Context);
        _executionContext = ExecutionContext.Capture();
        SuppressFlow();
        try
        {
            if (_options.PinToCores)
            {
                Pin();
            }

            while (!Volatile.Read(ref _isStopping))
            {
                PollOnce();
            }
        }
#pragma warning disable CA1031 // The top of the thread: a failed poller tells everybody who waits on it instead of ending the process.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.PollerFailed(_logger, exception, Name);
        }

        Close();
        _own.Leave();
        _stopped.SetResult();
    }

    /// <summary>One iteration; a method that returns, so that the runtime can replace it by better code. Go: <c>netpoll</c>.</summary>
    private void PollOnce()
    {
        int count = Wait();
        _now = _clock.Nanoseconds;
        if (!_isTurnMeasured)
        {
            MeasureTurn(_now);
        }

        _isTurnMeasured = false;
        Volatile.Write(ref _turnStartedAt, _now);
        _waits++;
        BeginShare();
        EndTurnOfDeadlines(_now);
        DispatchEvents(count);
        ExpireDeadlines();
        RunReady();
        _inbox.DrainTo(_runQueue);
        RunQueued();
    }

    private int Wait()
    {
        if (!_runQueue.IsEmpty || !_inbox.IsEmpty)
        {
            return _backend.Wait(_events, 0);
        }

        // The first look is free of everything else, of the clock as well: under load there is always something.
        bool maySpin = MaySpin;
        if (maySpin && TryLook(out int found))
        {
            return found;
        }

        long now = _clock.Nanoseconds;
        MeasureTurn(now);
        EndTurnOfDeadlines(now);
        long due = _wheel.NextDue();
        if (maySpin && TrySpin(now, due, out found))
        {
            return found;
        }

        int timeout = TimeoutUntil(due, now);
        _sleep.FallAsleep();

        // Announced first, looked at second: a post, a stop or a foreign clock's step from here on sends a wake-up.
        if (!_inbox.IsEmpty || Volatile.Read(ref _isStopping) || (_timer is not null && _clock.Nanoseconds >= due))
        {
            timeout = 0;
        }

        if (timeout != 0)
        {
            Volatile.Write(ref _turnStartedAt, 0);

            // Or the last thing that ran would be kept alive for as long as nothing happens.
            _currentWork = null;
        }

        int count = _backend.Wait(_events, timeout);
        _sleep.Wake();
        if (timeout != 0)
        {
            NoteGap(now);
        }

        return count;
    }

    private void EndTurnOfDeadlines(long now)
    {
        if (_fromTurnEnd.Count > 0)
        {
            foreach (PollDescriptor descriptor in _fromTurnEnd)
            {
                descriptor.EndTurn(now);
            }

            _fromTurnEnd.Clear();
        }
    }

    // The turn ends with the first look at the clock after it.
    private void MeasureTurn(long now)
    {
        _isTurnMeasured = true;
        if (_waits == 0)
        {
            return;
        }

        long turn = now - _turnStartedAt;
        _busy += turn;
        if (turn > _longestTurn)
        {
            _longestTurn = turn;
        }

        if (turn >= _stallThreshold)
        {
            Volatile.Write(ref _longTurnEndedAt, now);
        }
    }

    // Rounded up: the last millisecond must not become a busy loop.
    internal static int ToTimeoutMilliseconds(long nanoseconds) => nanoseconds switch
    {
        < 0 => -1,
        0 => 0,
        _ => (int)Math.Min(TimingWheel.TickOf(nanoseconds), MaxTimeoutMilliseconds),
    };

    private int TimeoutUntil(long due, long now)
    {
        if (due == long.MaxValue)
        {
            return -1;
        }

        long left = Math.Max(0, due - now);
        if (_timer is null || left == 0)
        {
            return ToTimeoutMilliseconds(left);
        }

        _timer.Change(TimeSpan.FromMilliseconds(ToTimeoutMilliseconds(left)), Timeout.InfiniteTimeSpan);
        return -1;
    }

    // All events of a batch become readiness before anything runs, so that a handler that closes a neighbour is never overtaken by the
    // neighbour's event.
    private void DispatchEvents(int count)
    {
        for (int index = 0; index < count; index++)
        {
            PollEvent happened = _events[index];
            PollDescriptor descriptor = _cache.Find(happened.Token.Index);
            uint sequence = happened.Token.Sequence;
            if (descriptor.Token.Sequence != sequence)
            {
                _staleEvents++;
                continue;
            }

            // A refusal that a datagram socket reports is one operation's error, and the socket goes on; of a pipe it says that nobody reads it.
            descriptor.SetEventError(
                (happened.Flags & PollEventFlags.ErrorOnly) != 0 && descriptor.Kind is not (PollKind.Datagram or PollKind.Pipe), sequence);
            descriptor.OnReady(happened.Flags, _ready, sequence);
        }

        _eventsReturned += count;
    }

    private void ExpireDeadlines()
    {
        if (_wheel.Count > 0)
        {
            _wheel.Advance(_now, _ready, RemindersPerTurn);
        }
    }

    private void RunReady()
    {
        while (true)
        {
            try
            {
                RunBatches();
                return;
            }
#pragma warning disable CA1031 // The poller goes on; what must end it is thrown again.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                // The list knows where it stopped.
                if (_ready.InHand?.TryFail(exception) != true)
                {
                    if (!IsSurvivable(exception))
                    {
                        throw;
                    }

                    Log.WorkFailed(_logger, exception, Name);
                }
            }
        }
    }

    // First a batch's reads, then the code that awaited them, which as a rule ends in a send. Like system calls in a row find the kernel's code in
    // the processor's caches; taken in turns they throw each other out, which costs several percent of an echo.
    private void RunBatches()
    {
        do
        {
            ResumeBatch();
            ContinueBatch();
            if (!_runQueue.IsEmpty)
            {
                RunQueued();
            }
        }
        while (!_ready.IsEmpty);
    }

    // Here and below the next one is looked up before the system call that this one makes, as in NetFd.ReadOnce: then the misses after the call do not
    // begin with those of the list.
    private void ResumeBatch()
    {
        int left = ReadyPerBatch;
        bool isLeft = _ready.TryTake(out IPollWaiter? waiter, out PollSignals signals);
        while (isLeft)
        {
            IPollWaiter? next = _ready.Peek(out PollSignals nextSignals);
            waiter!.Resume(signals);
            isLeft = --left > 0 && _ready.TryTake(out waiter, out signals);
            if (next is not null)
            {
                waiter = next;
                signals = nextSignals;
            }
        }
    }

    private void ContinueBatch()
    {
        bool isLeft = _ready.TryContinue(out IPollWaiter? waiter);
        while (isLeft)
        {
            IPollWaiter? next = _ready.PeekKept();
            BeginShare();
            waiter!.Continue();
            isLeft = _ready.TryContinue(out waiter);
            waiter = next ?? waiter;
        }
    }

    private void RunQueued()
    {
        // From the first look at the clock on, which a short queue does not need.
        long end = 0;
        int untilClockLook = WorkPerClockLook;
        while (_runQueue.TryDequeue(out IPollerWork? work))
        {
            BeginShare();
            try
            {
                _currentWork = work;
                Do(work);
            }
            catch (Exception exception) when (IsSurvivable(exception))
            {
                Log.WorkFailed(_logger, exception, Name);
            }

            if (--untilClockLook == 0 || HasSpentShare)
            {
                long now = _clock.Nanoseconds;
                if (end == 0)
                {
                    end = now + _runQueueBudget;
                }
                else if (now >= end)
                {
                    return;
                }

                untilClockLook = WorkPerClockLook;
            }
        }
    }

    // A callback is foreign code: it neither sees what others have left in async-locals nor leaves them anything. All other work knows whose it is.
    private void Do(IPollerWork work)
    {
        if (work is CallbackWork callback)
        {
            DoAlone(callback);
        }
        else
        {
            work.Run();
        }
    }

    private void DoAlone(CallbackWork callback)
    {
        ResetExecutionContext();
        try
        {
            callback.Run();
        }
        finally
        {
            ResetExecutionContext();
        }
    }

    // A broken invariant stops the poller; one that stops already goes on, so that everybody is told.
    private bool IsSurvivable(Exception exception) => exception is not PollerInvariantException || Volatile.Read(ref _isStopping);

    // Tells everybody who waits, runs what that makes runnable, and gives the backend back.
    private void Close()
    {
        Volatile.Write(ref _isStopping, true);
        EvictAll();
        RunReady();
        _inbox.DrainTo(_runQueue);
        for (int budget = 0; budget < BudgetsAtClose && !_runQueue.IsEmpty; budget++)
        {
            RunQueued();
            _inbox.DrainTo(_runQueue);
        }

        _timer?.Dispose();
        lock (_backendGate)
        {
            _isBackendGone = true;
            PollerMetrics.Remove(this);
            _backend.Dispose();
        }

        // Once more, for what another thread opened after the first round: from here on nothing can be opened.
        EvictAll();
        _inbox.Close(_runQueue);
        for (int budget = 0; budget < BudgetsAtClose && !_runQueue.IsEmpty; budget++)
        {
            RunQueued();
        }

        // Nothing holds a thread that is no more; and what ran last is not kept alive.
        Volatile.Write(ref _turnStartedAt, 0);
        _currentWork = null;

        // A loop that yields and comes back never ends by itself; it goes on where everything posted from now on goes.
        HandOver();
    }

    private void EvictAll()
    {
        foreach (PollDescriptor descriptor in _cache.All())
        {
            Finish(descriptor, descriptor.EvictByPoller());
        }
    }
}
