using System.Buffers.Binary;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Conformance.Tests;

/// <summary>
/// The cases of golang.org/x/net/nettest/conntest.go, which every implementation of Go's <c>net.Conn</c> is held to, over TCP, Unix
/// domain sockets and pairs of pipes. With the two ends on one poller and on two.
/// </summary>
public sealed class ConnTestTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    // Go: aLongTimeAgo.
    private static readonly Deadline LongAgo = Deadline.At(DateTimeOffset.FromUnixTimeSeconds(233_431_200));

    public static TheoryData<Transport, int> Ends => new()
    {
        { Transport.Tcp, 1 },
        { Transport.Tcp, 2 },
        { Transport.Unix, 1 },
        { Transport.Unix, 2 },
        { Transport.Pipe, 1 },
        { Transport.Pipe, 2 },
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP139_BasicIO_a_mebibyte_in_chunks_arrives_as_it_was_sent(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        byte[] sent = new byte[8 << 17];
        new Random(Seed.Next()).NextBytes(sent);

        Task<byte[]> receiving = Task.Run(
            async () =>
            {
                MemoryStream stream = new();
                await pair.Second.AsStream().CopyToAsync(stream, 1024, Cancellation);
                await pair.Second.CloseAsync();
                return stream.ToArray();
            },
            Cancellation);
        for (int start = 0; start < sent.Length; start += 1024)
        {
            await pair.First.WriteAsync(sent.AsMemory(start, 1024));
        }

        await pair.First.CloseAsync();

        byte[] received = await receiving.WaitAsync(Limit, Cancellation);
        Assert.True(sent.AsSpan().SequenceEqual(received), "What came is not what was sent.");
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP140_PingPong_a_counter_goes_to_and_fro_in_step_until_the_end(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task[] players = [Task.Run(() => Play(pair.First), Cancellation), Task.Run(() => Play(pair.Second), Cancellation)];

        // Go kicks the game off by a zero.
        await pair.First.WriteAsync(new byte[8]);
        await Task.WhenAll(players).WaitAsync(Limit, Cancellation);

        static async Task Play(Conn connection)
        {
            byte[] buffer = new byte[8];
            Stream stream = connection.AsStream();
            ulong previous = 0;
            while (true)
            {
                int first = await connection.ReadAsync(buffer);
                if (first == 0)
                {
                    break;
                }

                await stream.ReadExactlyAsync(buffer.AsMemory(first), Cancellation);
                ulong value = BinaryPrimitives.ReadUInt64LittleEndian(buffer);
                BinaryPrimitives.WriteUInt64LittleEndian(buffer, value + 1);
                Assert.True(previous == 0 || previous + 2 == value, $"Got {value} after {previous}.");
                previous = value;
                if (value >= 1000)
                {
                    break;
                }

                await connection.WriteAsync(buffer);
            }

            await connection.CloseAsync();
        }
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP141_RacyRead_ten_readers_with_deadlines_meet_nothing_but_timeouts_and_keep_their_buffers(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task feeding = Task.Run(() => PumpAsync(pair.Second), Cancellation);
        pair.First.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(1)));
        Task[] readers = [.. Enumerable.Range(0, 10).Select(_ => Task.Run(
            async () =>
            {
                byte[] first = new byte[1024];
                byte[] second = new byte[1024];
                for (int round = 0; round < 100; round++)
                {
                    try
                    {
                        await pair.First.ReadAsync(first);
                    }
                    catch (DeadlineExceededException)
                    {
                        pair.First.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(1)));
                    }

                    // The buffer is ours again: a read that still wrote to it would be seen.
                    Array.Fill(first, (byte)0xCC);
                    first.CopyTo(second, 0);
                    await Task.Yield();
                    Assert.True(first.AsSpan().SequenceEqual(second), "A buffer was touched after its read had returned.");
                }
            },
            Cancellation))];

        await Task.WhenAll(readers).WaitAsync(Limit, Cancellation);
        await EndAsync(pair, feeding);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP142_RacyWrite_ten_writers_with_deadlines_meet_nothing_but_timeouts(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task draining = Task.Run(() => DrainAsync(pair.Second), Cancellation);
        pair.First.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(1)));
        Task[] writers = [.. Enumerable.Range(0, 10).Select(_ => Task.Run(
            async () =>
            {
                byte[] buffer = new byte[1024];
                for (int round = 0; round < 100; round++)
                {
                    try
                    {
                        await pair.First.WriteAsync(buffer);
                    }
                    catch (DeadlineExceededException)
                    {
                        pair.First.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(1)));
                    }

                    Array.Fill(buffer, (byte)round);
                }
            },
            Cancellation))];

        await Task.WhenAll(writers).WaitAsync(Limit, Cancellation);
        await EndAsync(pair, draining);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP143_ReadTimeout_a_read_deadline_in_the_past_leaves_writes_alone(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task draining = Task.Run(() => DrainAsync(pair.Second), Cancellation);

        pair.First.SetReadDeadline(LongAgo);

        await AssertTimesOut(pair.First.ReadAsync(new byte[1024]).AsTask());
        await pair.First.WriteAsync(new byte[1024]).AsTask().WaitAsync(Limit, Cancellation);
        await EndAsync(pair, draining);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP144_WriteTimeout_a_write_deadline_in_the_past_leaves_reads_alone(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task feeding = Task.Run(() => PumpAsync(pair.Second), Cancellation);

        pair.First.SetWriteDeadline(LongAgo);

        await AssertTimesOut(pair.First.WriteAsync(new byte[1024]).AsTask());
        Assert.NotEqual(0, await pair.First.ReadAsync(new byte[1024]).AsTask().WaitAsync(Limit, Cancellation));
        await EndAsync(pair, feeding);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP145_PastTimeout_both_directions_fail_and_work_again_when_it_is_taken_back(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task echoing = Task.Run(() => EchoAsync(pair.Second), Cancellation);
        await AssertRoundTrip(pair.First);

        pair.First.SetDeadline(LongAgo);

        DeadlineExceededException failure = await AssertTimesOut(pair.First.WriteAsync(new byte[1024]).AsTask());
        Assert.Equal(0, failure.BytesTransferred);
        await AssertTimesOut(pair.First.ReadAsync(new byte[1024]).AsTask());
        await AssertRoundTrip(pair.First);
        await EndAsync(pair, echoing);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP146_PresentTimeout_a_deadline_in_the_past_ends_what_is_in_progress_and_not_before(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        bool isSet = false;
        Task read = Expect(async () => await pair.First.ReadAsync(new byte[1024]));
        Task write = Expect(async () =>
        {
            byte[] buffer = new byte[1024];
            while (true)
            {
                await pair.First.WriteAsync(buffer);
            }
        });

        await Task.Delay(100, Cancellation);
        Volatile.Write(ref isSet, true);
        pair.First.SetReadDeadline(LongAgo);
        pair.First.SetWriteDeadline(LongAgo);

        await Task.WhenAll(read, write).WaitAsync(Limit, Cancellation);

        Task Expect(Func<Task> operation) => Task.Run(
            async () =>
            {
                await Assert.ThrowsAsync<DeadlineExceededException>(operation);
                Assert.True(Volatile.Read(ref isSet), "It timed out before its deadline was set.");
            },
            Cancellation);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP147_FutureTimeout_both_directions_end_in_time_and_work_again_afterwards(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        TimeSpan timeout = TimeSpan.FromMilliseconds(100);
        long start = TimeProvider.System.GetTimestamp();
        pair.First.SetDeadline(Deadline.After(timeout));
        Task read = Task.Run(() => AssertTimesOut(pair.First.ReadAsync(new byte[1024]).AsTask()), Cancellation);
        Task write = Task.Run(
            async () => await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
            {
                byte[] buffer = new byte[1024];
                while (true)
                {
                    await pair.First.WriteAsync(buffer);
                }
            }),
            Cancellation);
        await Task.WhenAll(read, write).WaitAsync(Limit, Cancellation);
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= timeout);

        Task echoing = Task.Run(() => EchoAsync(pair.Second), Cancellation);
        await ResynchronizeAsync(pair.First);
        await AssertRoundTrip(pair.First);
        await EndAsync(pair, echoing);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP148_CloseTimeout_a_close_ends_the_loops_of_reads_and_writes(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task draining = Task.Run(() => DrainAsync(pair.Second), Cancellation);
        pair.First.SetDeadline(Deadline.None);
        Task read = Task.Run(
            async () =>
            {
                while (true)
                {
                    await pair.First.ReadAsync(new byte[1024]);
                }
            },
            Cancellation);
        Task write = Task.Run(
            async () =>
            {
                byte[] buffer = new byte[1024];
                while (true)
                {
                    await pair.First.WriteAsync(buffer);
                }
            },
            Cancellation);

        await Task.Delay(100, Cancellation);
        Assert.False(read.IsCompleted || write.IsCompleted);
        await pair.First.CloseAsync().WaitAsync(Limit, Cancellation);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(Limit, Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => write.WaitAsync(Limit, Cancellation));
        await draining.WaitAsync(Limit, Cancellation);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task NP149_ConcurrentMethods_everything_may_be_called_at_once(Transport transport, int pollers)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(transport, pollers);
        Task echoing = Task.Run(() => EchoAsync(pair.Second), Cancellation);
        List<Task> calls = [];
        for (int round = 0; round < 100; round++)
        {
            calls.Add(Task.Run(async () => await Tolerate(async () => await pair.First.ReadAsync(new byte[1024])), Cancellation));
            calls.Add(Task.Run(async () => await Tolerate(async () => await pair.First.WriteAsync(new byte[1024])), Cancellation));
            calls.Add(Task.Run(() => pair.First.SetDeadline(Deadline.After(TimeSpan.FromMilliseconds(10))), Cancellation));
            calls.Add(Task.Run(() => pair.First.SetReadDeadline(LongAgo), Cancellation));
            calls.Add(Task.Run(() => pair.First.SetWriteDeadline(LongAgo), Cancellation));
            calls.Add(Task.Run(() => Assert.NotNull(pair.First.LocalName), Cancellation));
            calls.Add(Task.Run(() => Assert.NotNull(pair.First.RemoteName), Cancellation));
        }

        await Task.WhenAll(calls).WaitAsync(Limit, Cancellation);
        await ResynchronizeAsync(pair.First);
        await AssertRoundTrip(pair.First);
        await EndAsync(pair, echoing);

        static async Task Tolerate(Func<Task> operation)
        {
            try
            {
                await operation();
            }
            catch (DeadlineExceededException)
            {
                // As the deadlines will.
            }
        }
    }

    // Go: chunkedCopy and the echo of its peers; the other side may go whenever it likes.
    private static async Task EchoAsync(Conn connection)
    {
        byte[] buffer = new byte[1024];
        await UntilClosed(async () =>
        {
            int count = await connection.ReadAsync(buffer);
            await connection.WriteAsync(buffer.AsMemory(0, count));
            return count > 0;
        });
    }

    private static Task DrainAsync(Conn connection)
    {
        byte[] buffer = new byte[1024];
        return UntilClosed(async () => await connection.ReadAsync(buffer) > 0);
    }

    private static Task PumpAsync(Conn connection)
    {
        byte[] buffer = new byte[1024];
        return UntilClosed(async () =>
        {
            await connection.WriteAsync(buffer);
            return true;
        });
    }

    private static async Task UntilClosed(Func<Task<bool>> step)
    {
        try
        {
            while (await step())
            {
                // Another one.
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // Closed by the test, here or there.
        }
    }

    private static async Task EndAsync(ConnectionPair pair, Task peer)
    {
        await pair.First.CloseAsync().WaitAsync(Limit, Cancellation);
        await pair.Second.CloseAsync().WaitAsync(Limit, Cancellation);
        await peer.WaitAsync(Limit, Cancellation);
    }

    // Go: testRoundtrip.
    private static async Task AssertRoundTrip(Conn connection)
    {
        connection.SetDeadline(Deadline.None);
        byte[] sent = "Hello, 世界"u8.ToArray();
        byte[] received = new byte[sent.Length];

        await connection.WriteAsync(sent).AsTask().WaitAsync(Limit, Cancellation);
        await connection.AsStream().ReadExactlyAsync(received, Cancellation).AsTask().WaitAsync(Limit, Cancellation);

        Assert.Equal(sent, received);
    }

    // Go: resyncConn. What earlier writes left on the way comes back first; a run of 0xFF, which they never hold, marks its end.
    private static async Task ResynchronizeAsync(Conn connection)
    {
        connection.SetDeadline(Deadline.None);
        byte[] mark = new byte[64];
        Array.Fill(mark, (byte)0xFF);
        Task write = connection.WriteAsync(mark).AsTask();
        int run = 0;
        byte[] buffer = new byte[1];
        while (run < mark.Length)
        {
            Assert.Equal(1, await connection.ReadAsync(buffer).AsTask().WaitAsync(Limit, Cancellation));
            run = buffer[0] == 0xFF ? run + 1 : 0;
        }

        await write.WaitAsync(Limit, Cancellation);
    }

    private static async Task<DeadlineExceededException> AssertTimesOut(Task operation)
    {
        DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(() => operation.WaitAsync(Limit, Cancellation));
        Assert.True(failure.IsTransient);
        return failure;
    }
}
