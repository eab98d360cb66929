using Microsoft.Extensions.Time.Testing;

namespace NetPoll.Core.Tests.Support;

/// <summary>A clock that the test moves, and that knows how often somebody has looked at it.</summary>
internal sealed class WatchedClock : FakeTimeProvider
{
    private int _looks;

    internal int Looks => Volatile.Read(ref _looks);

    public override long GetTimestamp()
    {
        Interlocked.Increment(ref _looks);
        return base.GetTimestamp();
    }
}
