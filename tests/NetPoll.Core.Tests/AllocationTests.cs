using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests;

/// <summary>
/// What the whole process allocates while two connections play ping-pong, each round an awaited read, a write and a deadline that is moved.
/// Nothing runs beside it, and what the runtime and the test's own timers take is less than a byte a round.
/// </summary>
[Collection(Alone.Name)]
public sealed class AllocationTests
{
    private const int Rounds = 100_000;

    // For the whole of the rounds: a thread that the pool adds, a timer of the runner. One object a round would be 2,400,000.
    private const long Allowance = 64 * 1024;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NP021_A_hundred_thousand_warm_rounds_allocate_nothing(bool isOnPoller)
    {
        await using NetListenerFixture fixture = new();
        await using NetConnection client = await new NetDialer { Group = fixture.Group }.ConnectAsync(fixture.Listener.LocalEndPoint);
        await using NetConnection server = await fixture.Listener.AcceptAsync();
        Poller poller = fixture.Group.Pollers[0];
        Measurement measurement = new();

        Task ping = isOnPoller
            ? poller.RunAsync(() => PlayAsync(client, isFirst: true, measurement))
            : Task.Run(() => PlayAsync(client, isFirst: true, measurement), TestContext.Current.CancellationToken);
        Task pong = isOnPoller
            ? poller.RunAsync(() => PlayAsync(server, isFirst: false, null))
            : Task.Run(() => PlayAsync(server, isFirst: false, null), TestContext.Current.CancellationToken);
        await Task.WhenAll(ping, pong).WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);

        Assert.True(measurement.Waited > Rounds / 2, $"Only {measurement.Waited} of {Rounds} reads had to wait: the test shows little.");
        Assert.InRange(measurement.Bytes, 0, Allowance);
    }

    private static async Task PlayAsync(NetConnection connection, bool isFirst, Measurement? measurement)
    {
        const int Warm = 20_000;
        byte[] ball = new byte[1];
        TimeSpan far = TimeSpan.FromMinutes(5);
        long start = 0;
        for (int round = 0; round < Warm + Rounds; round++)
        {
            if (round == Warm && measurement is not null)
            {
                start = GC.GetTotalAllocatedBytes(precise: true);
                measurement.Waited = 0;
            }

            connection.SetDeadline(Deadline.After(far));
            if (isFirst)
            {
                await connection.WriteAsync(ball).ConfigureAwait(false);
            }

            ValueTask<int> read = connection.ReadAsync(ball);
            if (measurement is not null && !read.IsCompleted)
            {
                measurement.Waited++;
            }

            if (await read.ConfigureAwait(false) != 1)
            {
                throw new InvalidOperationException("The ball is lost.");
            }

            if (!isFirst)
            {
                await connection.WriteAsync(ball).ConfigureAwait(false);
            }
        }

        if (measurement is not null)
        {
            measurement.Bytes = GC.GetTotalAllocatedBytes(precise: true) - start;
        }
    }

    private sealed class Measurement
    {
        internal long Bytes { get; set; }

        internal int Waited { get; set; }
    }
}
