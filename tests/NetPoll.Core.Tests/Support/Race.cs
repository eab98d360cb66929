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
}
