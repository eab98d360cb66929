using System.Runtime.CompilerServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Support;

/// <summary>A descriptor and its wheel without a poller: time and events come from the test, everything on one thread.</summary>
internal sealed class DescriptorModel
{
    internal const long Millisecond = PollerClock.NanosecondsPerMillisecond;

    private readonly ReadyList _ready = new();
    private bool _mustEndTurn;

    internal DescriptorModel(long startMilliseconds = 1)
    {
        Now = startMilliseconds * Millisecond;
        Wheel = new TimingWheel(Now);
        Descriptor = new PollDescriptor(7, Wheel);
        Descriptor.Open(Socket);
        Reader = new WaitProbe(Descriptor, PollMode.Read);
        Writer = new WaitProbe(Descriptor, PollMode.Write);
    }

    internal TimingWheel Wheel { get; }

    internal PollDescriptor Descriptor { get; }

    internal ScriptedSocket Socket { get; } = new();

    internal WaitProbe Reader { get; }

    internal WaitProbe Writer { get; }

    /// <summary>The clock, in nanoseconds.</summary>
    internal long Now { get; private set; }

    /// <summary>Waiters that are parked.</summary>
    internal int ParkedCount => (Descriptor.HasReader ? 1 : 0) + (Descriptor.HasWriter ? 1 : 0);

    /// <summary>The private number of the current tenant, for tests that force it.</summary>
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_sequence")]
    internal static extern ref uint Sequence(PollDescriptor descriptor);

    /// <summary>The private deadlines of a descriptor, with the numbers of the current ones.</summary>
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_deadlines")]
    internal static extern ref DescriptorDeadlines Deadlines(PollDescriptor descriptor);

    /// <summary>The private slot of a descriptor's reader, for tests that stop between two steps of a wait.</summary>
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_read")]
    internal static extern ref PollSlot ReadSlot(PollDescriptor descriptor);

    /// <inheritdoc cref="ReadSlot"/>
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_write")]
    internal static extern ref PollSlot WriteSlot(PollDescriptor descriptor);

    /// <summary>Sets a deadline so many milliseconds from now; 0 or less is in the past.</summary>
    internal void SetDeadline(PollMode mode, double milliseconds) =>
        SetDeadlineAt(mode, milliseconds <= 0 ? -1 : Now + (long)(milliseconds * Millisecond));

    /// <summary>Sets a time that begins when the turn ends.</summary>
    /// <returns>Whether the poller has to be told of the turn's end.</returns>
    internal bool SetTime(PollMode mode, double milliseconds)
    {
        bool mustTell = Descriptor.SetDeadlineFromTurnEnd(mode, (long)(milliseconds * Millisecond));
        _mustEndTurn |= mustTell;
        return mustTell;
    }

    internal void EndTurn()
    {
        if (_mustEndTurn)
        {
            _mustEndTurn = false;
            Descriptor.EndTurn(Now);
        }
    }

    internal void ClearDeadline(PollMode mode) => SetDeadlineAt(mode, 0);

    internal void SetDeadlineAt(PollMode mode, long value) => Finish(Descriptor.SetDeadline(mode, value));

    internal void Evict() => Finish(Descriptor.Evict());

    /// <summary>An event from the system: frees, but runs nothing.</summary>
    internal void Event(PollEventFlags flags)
    {
        Descriptor.SetEventError((flags & PollEventFlags.ErrorOnly) != 0, Descriptor.Token.Sequence);
        Descriptor.OnReady(flags, _ready);
        RunReady();
    }

    /// <summary>Moves the clock and expires what is due; runs no waiter.</summary>
    /// <returns>Nodes reminded.</returns>
    internal int Advance(double milliseconds)
    {
        Now += (long)(milliseconds * Millisecond);
        int reminded = Wheel.Advance(Now, _ready);
        RunReady();
        return reminded;
    }

    /// <summary>Reminds the descriptor as the wheel would, whatever the wheel holds.</summary>
    internal void FireNode()
    {
        Descriptor.OnDue(Now, _ready);
        RunReady();
    }

    /// <summary>Lets the freed waiters run.</summary>
    internal void Run()
    {
        Reader.Run();
        Writer.Run();
    }

    internal void Reopen(PollableSocket socket)
    {
        Descriptor.Release();
        Descriptor.Open(socket);
    }

    private void Finish(FreedWaiters freed)
    {
        freed.Schedule();
        if (freed.MustSyncWheel)
        {
            Descriptor.SyncWheel();
        }
    }

    private void RunReady()
    {
        while (_ready.TryTake(out IPollWaiter? waiter, out PollSignals signals))
        {
            waiter.Resume(signals);
        }
    }
}
