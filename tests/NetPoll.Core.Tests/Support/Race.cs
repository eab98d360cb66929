using System.Runtime.ExceptionServices;

namespace NetPoll.Core.Tests.Support;

/// <summary>Two pieces of code that start at the same moment on two threads, again and again.</summary>
internal static class Race
{
    /// <param name="rounds">How often.</param>
    /// <param name="prepare">Before each round, alone.</param>
    /// <param name="here">One side, on the calling thread.</param>
    /// <param name="there">The other side.</param>
    /// <param name="check">After each round, alone.</param>
    internal static void Run(int rounds, Action prepare, Action here, Action there, Action check)
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        using Barrier barrier = new(2);
        Exception? failure = null;
        bool isOver = false;
        Thread other = new(() =>
        {
            while (true)
            {
                barrier.SignalAndWait(CancellationToken.None);
                if (isOver)
                {
                    return;
                }

                failure ??= Record.Exception(there);
                barrier.SignalAndWait(CancellationToken.None);
            }
        });
        other.Start();
        try
        {
            for (int round = 0; round < rounds; round++)
            {
                cancellation.ThrowIfCancellationRequested();
                prepare();
                barrier.SignalAndWait(CancellationToken.None);
                Exception? mine = Record.Exception(here);
                barrier.SignalAndWait(CancellationToken.None);
                if ((mine ?? failure) is { } thrown)
                {
                    ExceptionDispatchInfo.Throw(thrown);
                }

                check();
            }
        }
        finally
        {
            isOver = true;
            barrier.SignalAndWait(CancellationToken.None);
            other.Join();
        }
    }

    /// <summary>Two threads that go through the same numbers side by side, each waiting for the other before every one of them.</summary>
    /// <param name="count">How many numbers, from 0.</param>
    /// <param name="here">What one side does with each.</param>
    /// <param name="there">What the other side does with each.</param>
    /// <remarks>One side begins a little later than the other, by another hair each time, so that all instants meet.</remarks>
    internal static void Lockstep(int count, Action<int> here, Action<int> there)
    {
        int mine = -1;
        int other = -1;
        Exception? failure = null;
        Thread thread = new(() => failure = Record.Exception(() => Walk(count, ref other, ref mine, there, late: 0)));
        thread.Start();
        Exception? own = Record.Exception(() => Walk(count, ref mine, ref other, here, late: 1));
        Volatile.Write(ref mine, int.MaxValue);
        thread.Join();
        if ((own ?? failure) is { } thrown)
        {
            ExceptionDispatchInfo.Throw(thrown);
        }
    }

    private static void Walk(int count, ref int own, ref int other, Action<int> action, int late)
    {
        try
        {
            for (int index = 0; index < count; index++)
            {
                Volatile.Write(ref own, index);
                SpinWait spin = default;
                while (Volatile.Read(ref other) < index)
                {
                    spin.SpinOnce(sleep1Threshold: -1);
                }

                for (int wait = (index >> late) % 24; wait > 0; wait--)
                {
                    _ = Volatile.Read(ref other);
                }

                action(index);
            }
        }
        finally
        {
            Volatile.Write(ref own, int.MaxValue);
        }
    }
}
