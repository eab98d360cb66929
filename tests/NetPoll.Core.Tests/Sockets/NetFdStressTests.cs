using System.Collections.Concurrent;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>Many tasks do everything at random to the same connections; at the end all that waited was told and nothing is left.</summary>
[Collection(Alone.Name)]
public sealed class NetFdStressTests
{
    private const int Pairs = 100;
    private const int Tasks = 64;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NP111_Reads_writes_deadlines_closes_and_reopens_at_random_leave_nothing_behind()
    {
        int seed = Seed.Next();
        await using NetListenerFixture fixture = new(pollers: 2);
        await (await Loopback.ConnectAsync(fixture.Listener)).DisposeAsync();
        int before = ProcessDescriptors.Sockets;
        using SemaphoreSlim opening = new(1);
        Loopback[] pairs = new Loopback[Pairs];
        for (int index = 0; index < pairs.Length; index++)
        {
            pairs[index] = await OpenAsync();
        }

        ConcurrentQueue<Exception> unexpected = new();
        bool isOver = false;
        Task[] workers = [.. Enumerable.Range(0, Tasks).Select(worker =>
        {
            Poller poller = fixture.Group.Pollers[worker % 2];
            return worker % 4 < 2 ? poller.RunAsync(() => WorkAsync(new Random(seed + worker))) : Task.Run(() => WorkAsync(new Random(seed + worker)), Cancellation);
        })];

        long start = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(start) < StressScale.Duration(TimeSpan.FromSeconds(2)))
        {
            foreach (Poller poller in fixture.Group.Pollers)
            {
                AssertNotNegative(poller.Snapshot());
            }

            await Task.Delay(1, Cancellation);
        }

        Volatile.Write(ref isOver, true);
        Task all = Task.WhenAll(workers);
        while (!all.IsCompleted)
        {
            // What still waits has no deadline: its connection's end frees it.
            foreach (Loopback pair in pairs)
            {
                await pair.DisposeAsync();
            }

            await Task.WhenAny(all, Task.Delay(10, Cancellation));
        }

        await all.WaitAsync(Limit, Cancellation);
        foreach (Loopback pair in pairs)
        {
            await pair.DisposeAsync();
        }

        Assert.Empty(unexpected);
        foreach (Poller poller in fixture.Group.Pollers)
        {
            await Eventually.True("no descriptor but the listener's is in use", () => poller.Snapshot().Monitored <= 1);
            PollerSnapshot snapshot = poller.Snapshot();
            Assert.Equal(0, snapshot.ReadersParked + snapshot.WritersParked);
            Assert.Equal(0, snapshot.DeadlinesArmed);
            Assert.Equal(0, await poller.RunAsync(() => Task.FromResult(poller.Wheel.Count)));
            Assert.False(poller.Stopped.IsCompleted);
        }

        Assert.DoesNotContain(fixture.Log.Entries, static entry => entry.Level >= LogLevel.Warning);
        await ProcessDescriptors.NoMoreSocketsThan(before);

        async Task<Loopback> OpenAsync()
        {
            // One at a time, so that each accept gets its own peer.
            await opening.WaitAsync(Cancellation);
            try
            {
                Loopback pair = await Loopback.ConnectAsync(fixture.Listener);
                pair.Peer.Blocking = false;
                return pair;
            }
            finally
            {
                opening.Release();
            }
        }

        async Task WorkAsync(Random random)
        {
            byte[] buffer = new byte[64 * 1024];
            while (!Volatile.Read(ref isOver))
            {
                int index = random.Next(Pairs);
                Loopback pair = Volatile.Read(ref pairs[index]);
                try
                {
                    await StepAsync(random, pair, index, buffer);
                }
                catch (Exception exception) when (exception is ObjectDisposedException or DeadlineExceededException or IOException or SocketException)
                {
                    // The ends that the others bring about.
                }
#pragma warning disable CA1031 // Collected and asserted on.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    unexpected.Enqueue(exception);
                    return;
                }

                if (random.Next(8) == 0)
                {
                    await Task.Yield();
                }
            }
        }

        async Task StepAsync(Random random, Loopback pair, int index, byte[] buffer)
        {
            NetConnection connection = pair.Connection;
            switch (random.Next(16))
            {
                case 0 or 1 or 2:
                    await connection.ReadAsync(buffer.AsMemory(0, random.Next(1, 4096)));
                    break;
                case 3 or 4:
                    await connection.WriteAsync(buffer.AsMemory(0, random.Next(1, buffer.Length)));
                    break;
                case 5:
                    connection.TryRead(buffer, out _);
                    break;
                case 6:
                    connection.TryWrite(buffer.AsSpan(0, random.Next(1, 4096)), out _);
                    break;
                case 7:
                    connection.SetDeadline(RandomDeadline(random));
                    break;
                case 8:
                    connection.SetReadDeadline(RandomDeadline(random));
                    break;
                case 9:
                    connection.SetWriteDeadline(RandomDeadline(random));
                    break;
                case 10 or 11 or 12:
                    pair.Peer.Send(buffer.AsSpan(0, random.Next(1, 4096)));
                    break;
                case 13 or 14:
                    while (pair.Peer.Available > 0)
                    {
                        pair.Peer.Receive(buffer);
                    }

                    break;
                default:
                    if (random.Next(4) == 0)
                    {
                        pair.Peer.LingerState = new LingerOption(enable: true, seconds: 0);
                    }

                    Loopback fresh = await OpenAsync();
                    Loopback old = Interlocked.Exchange(ref pairs[index], fresh);
                    Task closed = old.Connection.CloseAsync();
                    old.Peer.Dispose();
                    await closed;
                    break;
            }
        }
    }

    // NP-128: taken while everything changes, the figures may be a moment old and are never negative.
    private static void AssertNotNegative(PollerSnapshot figures) => Assert.True(
        figures is
        {
            Monitored: >= 0, Opening: >= 0, Closing: >= 0, InOperation: >= 0, ReadersParked: >= 0, WritersParked: >= 0, Runnable: >= 0,
            DeadlinesArmed: >= 0,
        },
        figures.ToString());

    private static Deadline RandomDeadline(Random random) => random.Next(10) switch
    {
        0 => Deadline.Past,
        1 => Deadline.None,
        2 => Deadline.After(TimeSpan.FromHours(1)),
        _ => Deadline.After(TimeSpan.FromMicroseconds(random.Next(1, 20_000))),
    };
}
