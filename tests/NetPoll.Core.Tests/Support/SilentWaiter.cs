using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Tests.Support;

/// <summary>A waiter that counts what it is told, and does at most what its test says.</summary>
internal sealed class SilentWaiter : IPollWaiter
{
    private int _resumed;
    private int _scheduled;

    internal int Resumed => Volatile.Read(ref _resumed);

    internal int Scheduled => Volatile.Read(ref _scheduled);

    internal PollSignals Signals { get; private set; }

    /// <summary>What its turn on the poller does.</summary>
    internal Action? OnResume { get; init; }

    public void Resume(PollSignals signals)
    {
        Signals |= signals;
        Interlocked.Increment(ref _resumed);
        OnResume?.Invoke();
    }

    public void Schedule(PollSignals signals)
    {
        Signals |= signals;
        Interlocked.Increment(ref _scheduled);
    }
}
