using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Tests.Support;

/// <summary>A waiter that only counts what it is told.</summary>
internal sealed class SilentWaiter : IPollWaiter
{
    private int _resumed;
    private int _scheduled;

    internal int Resumed => Volatile.Read(ref _resumed);

    internal int Scheduled => Volatile.Read(ref _scheduled);

    internal PollSignals Signals { get; private set; }

    public void Resume(PollSignals signals)
    {
        Signals |= signals;
        Interlocked.Increment(ref _resumed);
    }

    public void Schedule(PollSignals signals)
    {
        Signals |= signals;
        Interlocked.Increment(ref _scheduled);
    }
}
