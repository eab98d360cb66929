using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Tests.Support;

/// <summary>
/// What waits in a model test: it parks as an awaited operation does, counts how often it was freed, and finishes its wait only when the
/// test lets it run, so that a test can put an event in between.
/// </summary>
internal sealed class WaitProbe : IPollWaiter
{
    private readonly PollDescriptor _descriptor;
    private readonly PollMode _mode;
    private int _freed;
    private int _ran;

    internal WaitProbe(PollDescriptor descriptor, PollMode mode)
    {
        _descriptor = descriptor;
        _mode = mode;
    }

    /// <summary>How often somebody took the waiter out of its slot.</summary>
    internal int Freed => Volatile.Read(ref _freed);

    /// <summary>Everything that those who freed it said.</summary>
    internal PollSignals Signals { get; private set; }

    /// <summary>How the waits ended, in order: what user code would see.</summary>
    internal List<PollResult> Results { get; } = [];

    internal bool IsParked { get; private set; }

    /// <summary>Begins a wait.</summary>
    /// <returns>Whether it parked; otherwise <see cref="Results"/> has the answer.</returns>
    internal bool Wait()
    {
        IsParked = true;
        if (_descriptor.TryPark(_mode, this, out PollResult result))
        {
            return true;
        }

        IsParked = false;
        Results.Add(result);
        return false;
    }

    /// <summary>Runs the waiter if it was freed and has not run since: it finishes its wait, or parks again without a word.</summary>
    internal void Run()
    {
        if (_ran == Freed)
        {
            return;
        }

        Assert.Equal(_ran + 1, Freed);
        _ran++;
        IsParked = false;
        if (_descriptor.FinishWait(_mode))
        {
            Results.Add(PollResult.Ready);
        }
        else
        {
            Wait();
        }
    }

    public void Resume(PollSignals signals) => Schedule(signals);

    public void Schedule(PollSignals signals)
    {
        Signals |= signals;
        Interlocked.Increment(ref _freed);
    }
}
