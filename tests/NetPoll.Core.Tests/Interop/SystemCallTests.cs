using NetPoll.Core.Interop;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Interop;

/// <summary>The calls that keep the garbage collector waiting, on real sockets.</summary>
public sealed class SystemCallTests
{
    /// <summary>The collector stops this thread between the call and the look at its error, and itself makes system calls that fail.</summary>
    [Fact]
    public async Task The_systems_error_is_the_calls_own_though_a_collection_comes_right_after_it()
    {
        using TcpPair pair = new();
        pair.Ours.Blocking = false;
        byte[] buffer = new byte[16];
        using CancellationTokenSource done = new();
        Task<int> collecting = Task.Run(
            () =>
            {
                int collections = 0;
                while (!done.IsCancellationRequested)
                {
                    GC.Collect(0);
                    collections++;
                }

                return collections;
            },
            TestContext.Current.CancellationToken);

        int rounds = StressScale.Rounds(100_000);
        int others = 0;
        for (int round = 0; round < rounds; round++)
        {
            others += Libc.Receive(pair.Descriptor, buffer) == -Errno.EAGAIN ? 0 : 1;
        }

        await done.CancelAsync();
        Assert.True(await collecting > 0);
        Assert.Equal(0, others);
    }
}
