using System.Runtime.CompilerServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;

namespace NetPoll.Core.Descriptors;

/// <summary>What a poller knows about one descriptor, and where its readers and writers park.</summary>
/// <remarks>
/// <code>
/// field                        guard                              written by
/// Socket, Token                constant while open                Open
/// _sequence                    atomic                             Open (0 -> 1), Release (+1, before the slot can be rented)
/// _info                        atomic; locked bits: the lock      PublishInfo; Report by whoever has the right sequence
/// _read, _write                PollSlot's own protocol            see there
/// _hangupWatcher               atomic                             its owner; read by the poller's thread
/// _mayReadShort                atomic                             Open; after it only raised: OnReady, Inherit
/// _closing                     the lock (_gate)                   Open, Evict, EvictByPoller
/// _deadlines                   the lock (_gate)                   SetDeadline, OnDue, Evict; its wheel links: the poller's thread
/// </code>
/// The memory is type-stable: a descriptor is rented from its poller's <see cref="PollCache"/> and given back, never collected, so a
/// late event may always look at it. Nothing here runs user code: whatever frees a waiter returns it. The lock is a leaf: nothing that
/// can block or lock is called under it. Go: <c>pollDesc</c>.
/// </remarks>
internal sealed partial class PollDescriptor
{
    private readonly TimingWheel _wheel;
    private DescriptorLock _gate;
    private ulong _info;
    private uint _sequence;
    private PollSlot _read;
    private PollSlot _write;
    private IPollWaiter? _hangupWatcher;
    private WeakReference<IDescriptorUser>? _user;
    private bool _mayReadShort;
    private bool _isWatched;
    private ClosingPhase _closing;

    // Closing is what everybody sees; a poller that stops sets it too. Evicted is what the owner does, once, before he releases.
    private enum ClosingPhase : byte
    {
        Open,
        Closing,
        Evicted,
    }

    internal PollDescriptor(int index, TimingWheel wheel)
    {
        Index = index;
        _wheel = wheel;
    }

    /// <summary>The place in the cache.</summary>
    internal int Index { get; }

    /// <summary>The cache's free list.</summary>
    internal PollDescriptor? NextFree { get; set; }

    /// <summary>Whether somebody holds the descriptor. The cache's, under its lock.</summary>
    internal bool IsRented { get; set; }

    /// <summary>The socket that is polled; null while the descriptor is free.</summary>
    internal PollableSocket? Socket { get; private set; }

    /// <summary>What is polled, for diagnostics; null while the descriptor is free.</summary>
    internal PollKind? Kind => Socket?.Kind;

    /// <summary>Who does the operations, for snapshots; kept weakly, so that a forgotten handle can be collected.</summary>
    internal IDescriptorUser? User
    {
        get => _user is { } user && user.TryGetTarget(out IDescriptorUser? target) ? target : null;
        set => _user = value is null ? null : new WeakReference<IDescriptorUser>(value);
    }

    /// <summary>Whether the backend watches the socket. A snapshot's figure.</summary>
    internal bool IsWatched
    {
        get => Volatile.Read(ref _isWatched);
        set => Volatile.Write(ref _isWatched, value);
    }

    /// <summary>What the kernel keeps for this tenant.</summary>
    internal PollToken Token => new(Index, Volatile.Read(ref _sequence));

    /// <summary>The published bits. Any thread. Go: <c>pollDesc.info</c>.</summary>
    internal PollInfo Info => new(Volatile.Read(ref _info));

    /// <summary>
    /// Whether the system ever reported a hang-up, an error or an urgent mark, or what is polled is of such a kind: a short read then does not
    /// mean that nothing is left.
    /// </summary>
    internal bool MayReadShort => Volatile.Read(ref _mayReadShort);

    /// <summary>
    /// Whether the system ever reported that the peer has ended its side. For an owner that reads nothing for now: the edge does not come again.
    /// The poller's thread.
    /// </summary>
    internal bool IsHungUp => Info.IsHungUp;

    /// <summary>Takes over what was seen of the socket at another poller. The other poller's thread, before anybody reads it here.</summary>
    internal void Inherit(PollDescriptor former)
    {
        // Nothing is written but true, here and by events, which may come at the same time: neither can wipe out what the other saw.
        if (former.IsHungUp)
        {
            Report(PollInfo.HungUpBit, true, sequence: 0);
        }

        if (former.MayReadShort)
        {
            Volatile.Write(ref _mayReadShort, true);
        }
    }

    internal bool HasReader => _read.HasWaiter;

    internal bool HasWriter => _write.HasWaiter;

    private bool IsClosing => _closing != ClosingPhase.Open;

    /// <inheritdoc/>
    public override string ToString() =>
        $"descriptor {Index} ({Kind} {Socket?.Descriptor}, {Socket?.LocalEndPoint} <- {Socket?.RemoteEndPoint}): reader {_read}, writer {_write}, {Info}";

    /// <summary>Begins a tenancy. Go: the locked part of <c>poll_runtime_pollOpen</c>.</summary>
    internal void Open(PollableSocket socket)
    {
        using (_gate.Enter())
        {
            _read.Vacate("free");
            _write.Vacate("free");
            if (_sequence == 0)
            {
                // 0 is "whoever it is" in SetEventError, so no tenant has it.
                _sequence = 1;
            }

            Socket = socket;
            _closing = ClosingPhase.Open;
            _hangupWatcher = null;
            Volatile.Write(ref _mayReadShort, socket.MayReadShort);
            _deadlines?.Set(PollMode.Both, 0);
            Report(PollInfo.EventErrorBit, false, sequence: 0);
            Report(PollInfo.HungUpBit, false, sequence: 0);
            PublishInfo();
        }
    }

    /// <summary>Marks the descriptor as closing and frees both waiters. Exactly once per tenancy.</summary>
    /// <remarks>Go: <c>poll_runtime_pollUnblock</c>, <c>pollDesc.evict</c>.</remarks>
    /// <returns>What must now be made to run; nothing when the poller, which stops, was faster.</returns>
    internal FreedWaiters Evict()
    {
        using (_gate.Enter())
        {
            if (_closing == ClosingPhase.Evicted || Socket is null)
            {
                throw new InvalidOperationException("Evict was called on a descriptor that is closing or free already.");
            }

            return EvictLocked(ClosingPhase.Evicted);
        }
    }

    /// <summary>Frees both waiters for good because the poller stops; the owner still evicts and releases. Harmless on a free descriptor.</summary>
    internal FreedWaiters EvictByPoller()
    {
        using (_gate.Enter())
        {
            return IsClosing || Socket is null ? default : EvictLocked(ClosingPhase.Closing);
        }
    }

    /// <summary>Ends the tenancy, after the backend has forgotten the socket. Go: <c>poll_runtime_pollClose</c>, <c>pollCache.free</c>.</summary>
    internal void Release()
    {
        using (_gate.Enter())
        {
            if (_closing != ClosingPhase.Evicted || Socket is null)
            {
                throw new PollerInvariantException("A descriptor was released that was not evicted before.");
            }

            _read.Vacate("closing");
            _write.Vacate("closing");
            Socket = null;
            User = null;
            IsWatched = false;
            _hangupWatcher = null;

            // Before the slot can be rented again, so that an event that is on its way now meets another number.
            Volatile.Write(ref _sequence, _sequence + 1);
            PublishInfo();
        }
    }

    /// <summary>What an operation in this direction meets. Any thread. Go: <c>netpollcheckerr</c>.</summary>
    internal PollResult CheckError(PollMode mode) => Info.Check(mode);

    /// <summary>
    /// Begins an operation: looks for what stands in its way, then forgets an old readiness. Before the first system call only, never
    /// between EAGAIN and the park. The direction's owner. Go: <c>poll_runtime_pollReset</c>.
    /// </summary>
    internal PollResult Prepare(PollMode mode)
    {
        PollResult result = CheckError(mode);
        if (result == PollResult.Ready)
        {
            Slot(mode).Prepare();
        }

        return result;
    }

    /// <summary>
    /// Forgets an old readiness and looks at nothing, for a turn that was given a signal: readiness that was taken wins over a deadline
    /// that has passed since. Before the first system call only.
    /// </summary>
    internal void ForgetReadiness(PollMode mode) => Slot(mode).Prepare();

    /// <summary>Parks an awaited operation. The direction's owner. Go: <c>poll_runtime_pollWait</c>, <c>netpollblock</c>.</summary>
    /// <param name="mode">Read or Write.</param>
    /// <param name="waiter">What to park.</param>
    /// <param name="result">When it was not parked: Ready to try again at once, or what stands in the way.</param>
    /// <returns>True: parked, and perhaps resumed already: the caller may touch nothing that the waiter's run touches.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool TryPark(PollMode mode, IPollWaiter waiter, out PollResult result)
    {
        ref PollSlot slot = ref Slot(mode);
        while (true)
        {
            // At the entry of a wait the error wins, at its exit readiness.
            result = CheckError(mode);
            if (result != PollResult.Ready || slot.TakeReadyOrBeginWait())
            {
                return false;
            }

            // The slot says Wait by now: a close or an expiry from here on finds it there, one from before is in the info.
            if (CheckError(mode) == PollResult.Ready && slot.TryCommit(waiter))
            {
                return true;
            }

            if (slot.FinishWait())
            {
                return false;
            }
        }
    }

    /// <summary>
    /// As <see cref="TryPark"/>, but neither a close nor a deadline ends the wait: for a backend whose kernel still owns the buffer after a
    /// failed cancel. Go: <c>poll_runtime_pollWaitCanceled</c>.
    /// </summary>
    /// <returns>True: parked. False: readiness is there.</returns>
    internal bool TryParkUncancelable(PollMode mode, IPollWaiter waiter)
    {
        ref PollSlot slot = ref Slot(mode);
        while (!slot.TakeReadyOrBeginWait())
        {
            if (slot.TryCommit(waiter))
            {
                return true;
            }

            if (slot.FinishWait())
            {
                return false;
            }
        }

        return false;
    }

    /// <summary>A parked operation runs again. Go: the end of <c>netpollblock</c>.</summary>
    /// <returns>True: readiness freed it. False: an event did; parking again finds out whether it still holds.</returns>
    internal bool FinishWait(PollMode mode) => Slot(mode).FinishWait();

    /// <summary>Parks a mailbox, which stays free to run meanwhile. The actor's turn only; harmless when it is parked already.</summary>
    /// <returns>The signals that the mailbox must give itself instead of waiting; None when it is parked.</returns>
    internal PollSignals Arm(PollMode mode, IPollWaiter mailbox)
    {
        bool isRead = mode == PollMode.Read;
        ref PollSlot slot = ref Slot(mode);
        if (slot.TakeReadyOrArm(mailbox))
        {
            return isRead ? PollSignals.Readable : PollSignals.Writable;
        }

        PollResult result = CheckError(mode);
        if (result == PollResult.Ready || !slot.TryWithdraw(mailbox))
        {
            return PollSignals.None;
        }

        return result switch
        {
            PollResult.Closing => PollSignals.Closed,
            PollResult.DeadlineExceeded => isRead ? PollSignals.ReadDeadline : PollSignals.WriteDeadline,

            // What cannot be waited on is looked at, and the look tells the error.
            _ => PollSignals.Readable | PollSignals.Hangup,
        };
    }

    /// <summary>Takes a mailbox's park back, as when reading is suspended. The actor's turn only.</summary>
    /// <returns>False: it was not parked, or its signal is on the way and must be swallowed.</returns>
    internal bool TryWithdraw(PollMode mode, IPollWaiter mailbox) => Slot(mode).TryWithdraw(mailbox);

    /// <summary>From now on the waiter is told of a hang-up whether or not it is parked. Its owner only; null ends it.</summary>
    internal void WatchHangup(IPollWaiter? watcher) => Volatile.Write(ref _hangupWatcher, watcher);

    /// <summary>Turns an event into readiness. The poller's thread. Go: <c>netpollready</c>.</summary>
    /// <param name="flags">What the system reported.</param>
    /// <param name="ready">Where the waiters go that it frees.</param>
    /// <param name="sequence">
    /// The tenant that the event was for; 0 for whoever it is. The next one takes from it a readiness, and a look more at a short read: hints.
    /// </param>
    internal void OnReady(PollEventFlags flags, ReadyList ready, uint sequence = 0)
    {
        PollSignals hangup = PollSignals.None;
        IPollWaiter? watcher = null;
        if ((flags & (PollEventFlags.ReadHangup | PollEventFlags.Hangup | PollEventFlags.Error | PollEventFlags.Urgent)) != 0)
        {
            // Before the slots: a reader that is freed by this event must not take a short read for the end.
            Volatile.Write(ref _mayReadShort, true);
        }

        if ((flags & (PollEventFlags.ReadHangup | PollEventFlags.Hangup | PollEventFlags.Error)) != 0)
        {
            hangup = PollSignals.Hangup;
            if ((flags & (PollEventFlags.ReadHangup | PollEventFlags.Hangup)) != 0)
            {
                Report(PollInfo.HungUpBit, true, sequence);
            }

            watcher = Volatile.Read(ref _hangupWatcher);
            if (sequence != 0 && Volatile.Read(ref _sequence) != sequence)
            {
                // Closed since this thread has compared; who watches may be the next tenant's. Numbers only grow, so an equal one now says that
                // the watcher is the event's.
                watcher = null;
            }
        }

        IPollWaiter? reader = (flags & PollEventFlags.Read) != 0 ? _read.Unblock(ioReady: true) : null;
        IPollWaiter? writer = (flags & PollEventFlags.Write) != 0 ? _write.Unblock(ioReady: true) : null;
        if (reader is not null)
        {
            PollSignals signals = PollSignals.Readable | hangup;
            if (ReferenceEquals(reader, writer))
            {
                signals |= PollSignals.Writable;
                writer = null;
            }

            ready.Add(reader, signals);
            if (ReferenceEquals(reader, watcher))
            {
                watcher = null;
            }
        }

        if (writer is not null)
        {
            ready.Add(writer, PollSignals.Writable | hangup);
            if (ReferenceEquals(writer, watcher))
            {
                watcher = null;
            }
        }

        if (watcher is not null)
        {
            ready.Add(watcher, PollSignals.Hangup);
        }
    }

    /// <summary>Sets or clears the event error, if the tenant is still the caller's. Go: <c>pollDesc.setEventErr</c>.</summary>
    /// <param name="isError">Whether the last event was nothing but an error.</param>
    /// <param name="sequence">The tenant that the event was for; 0 for whoever it is.</param>
    internal void SetEventError(bool isError, uint sequence) => Report(PollInfo.EventErrorBit, isError, sequence);

    private void Report(ulong bit, bool isSet, uint sequence)
    {
        ulong seen = Volatile.Read(ref _info);
        while ((sequence == 0 || (uint)seen == sequence) && ((seen & bit) != 0) != isSet)
        {
            ulong found = Interlocked.CompareExchange(ref _info, seen ^ bit, seen);
            if (found == seen)
            {
                return;
            }

            seen = found;
        }
    }

    /// <summary>Publishes what the lock guards. Under the lock, and before any Unblock that the change is meant to cause.</summary>
    /// <remarks>
    /// A successful read-modify-write, and never a plain store: it is the fence between "the bits are there" and "is anybody parked". Bits
    /// that are there already need none: whoever published them looked for the parked after his fence, and whoever parked since has met them.
    /// Go: <c>pollDesc.publishInfo</c>.
    /// </remarks>
    private void PublishInfo()
    {
        ulong bits = _sequence;
        if (IsClosing)
        {
            bits |= PollInfo.ClosingBit;
        }

        if (_deadlines is { } deadlines)
        {
            bits |= deadlines.IsReadExpired ? PollInfo.ReadExpiredBit : 0;
            bits |= deadlines.IsWriteExpired ? PollInfo.WriteExpiredBit : 0;
        }

        ulong seen = Volatile.Read(ref _info);
        while ((seen & ~PollInfo.ReportedBits) != bits)
        {
            ulong found = Interlocked.CompareExchange(ref _info, bits | (seen & PollInfo.ReportedBits), seen);
            if (found == seen)
            {
                return;
            }

            seen = found;
        }
    }

    private FreedWaiters EvictLocked(ClosingPhase phase)
    {
        bool wasClosing = IsClosing;
        _closing = phase;
        if (wasClosing)
        {
            return default;
        }

        _deadlines?.Set(PollMode.Both, 0);
        PublishInfo();
        IPollWaiter? reader = _read.Unblock(ioReady: false);
        IPollWaiter? writer = _write.Unblock(ioReady: false);
        return new FreedWaiters(reader, PollSignals.Closed, writer, PollSignals.Closed)
        {
            MustSyncWheel = _deadlines?.RequestSync(mustCancel: true) ?? false,
        };
    }

    private ref PollSlot Slot(PollMode mode)
    {
        if (mode == PollMode.Read)
        {
            return ref _read;
        }

        System.Diagnostics.Debug.Assert(mode == PollMode.Write, "An operation has one direction.");
        return ref _write;
    }
}

/// <summary>The waiters that an event freed, to be made runnable after the descriptor's lock is left.</summary>
internal readonly record struct FreedWaiters(IPollWaiter? Reader, PollSignals ReaderSignals, IPollWaiter? Writer, PollSignals WriterSignals)
{
    /// <summary>Whether the caller must see to it that the poller's thread runs the descriptor's work: its place in the wheel changed.</summary>
    internal bool MustSyncWheel { get; init; }

    /// <summary>Puts the waiters on the poller's ready list, one that waits in both directions once. The poller's thread.</summary>
    internal void AddTo(ReadyList ready)
    {
        if (Reader is not null && ReferenceEquals(Reader, Writer))
        {
            ready.Add(Reader, ReaderSignals | WriterSignals);
            return;
        }

        if (Reader is not null)
        {
            ready.Add(Reader, ReaderSignals);
        }

        if (Writer is not null)
        {
            ready.Add(Writer, WriterSignals);
        }
    }

    /// <summary>Queues the waiters. Go: <c>netpollgoready</c>.</summary>
    internal void Schedule()
    {
        if (Reader is not null && ReferenceEquals(Reader, Writer))
        {
            Reader.Schedule(ReaderSignals | WriterSignals);
            return;
        }

        Reader?.Schedule(ReaderSignals);
        Writer?.Schedule(WriterSignals);
    }
}
