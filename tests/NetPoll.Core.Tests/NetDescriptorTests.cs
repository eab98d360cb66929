using System.IO.Pipes;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using NetPoll.Core.Interop;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>What can be watched and is no socket of ours: pipes, eventfds, terminals. After Go's os_unix_test.go, pipe_test.go, timeout_test.go.</summary>
public sealed class NetDescriptorTests : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly PollerGroup _group = new(new PollerOptions { PollerCount = 2 });

    public NetDescriptorTests() => TestBackend.SkipOnPortable("The portable backend has none but sockets.");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _group.DisposeAsync();

    [Fact]
    public async Task What_is_written_into_a_pipe_comes_out_and_then_its_end()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        byte[] sent = new byte[1 << 20];
        new Random(Seed.Next()).NextBytes(sent);
        Task<byte[]> receiving = Task.Run(
            async () =>
            {
                using MemoryStream received = new();
                await reader.AsStream().CopyToAsync(received, 1000, Cancellation);
                return received.ToArray();
            },
            Cancellation);

        await writer.WriteAsync(sent.AsMemory(0, 300_000));
        await writer.WriteVectoredAsync(new ReadOnlyMemory<byte>[] { sent.AsMemory(300_000, 1), default, sent.AsMemory(300_001) });
        await writer.CloseAsync();

        byte[] all = await receiving.WaitAsync(Limit, Cancellation);
        Assert.True(sent.AsSpan().SequenceEqual(all), "What came is not what was sent.");
        Assert.True(reader.IsPollable && reader.CanRead && !reader.CanWrite && writer.CanWrite && !writer.CanRead);
        Assert.Matches(@"^descriptor \d+ \(pipe:\[\d+\]\)$", reader.ToString());
    }

    [Fact]
    public async Task A_read_of_an_empty_pipe_waits_for_a_write_and_for_the_end()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        byte[] buffer = new byte[8];
        Assert.False(reader.TryRead(buffer, out _));
        Task<int> read = reader.ReadAsync(buffer).AsTask();
        await Parked(reader);

        await writer.WriteAsync("abc"u8.ToArray());
        Assert.Equal(3, await read.WaitAsync(Limit, Cancellation));
        read = reader.ReadAsync(buffer).AsTask();
        await Parked(reader);
        await writer.CloseAsync();

        Assert.Equal(0, await read.WaitAsync(Limit, Cancellation));
        Assert.Equal(0, await reader.ReadAsync(buffer));
    }

    [Fact]
    public async Task A_pipe_that_nobody_reads_any_more_is_an_error_and_no_signal()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = writer;
        Task watching = writer.WaitReadableAsync().AsTask();
        await Parked(writer);
        Task write = writer.WriteAsync(new byte[1 << 20]).AsTask();
        await Eventually.Equal("parked", 2, () => writer.Poller!.ParkedCount);

        await reader.CloseAsync();

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(() => write.WaitAsync(Limit, Cancellation));
        Assert.InRange(failure.BytesTransferred, 1, (1 << 20) - 1);
        Assert.Equal(SocketError.Shutdown, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        Assert.Contains($"write {writer}: Shutdown (errno 32)", failure.Message, StringComparison.Ordinal);
        await watching.WaitAsync(Limit, Cancellation);
        failure = await Assert.ThrowsAsync<WriteFailedException>(() => writer.WriteAsync(new byte[1]).AsTask());
        Assert.Equal(0, failure.BytesTransferred);
    }

    [Fact]
    public async Task A_close_ends_the_read_and_the_write_that_wait()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        Task<int> read = reader.ReadAsync(new byte[1]).AsTask();
        await Parked(reader);
        await reader.CloseAsync().WaitAsync(Limit, Cancellation);
        ObjectDisposedException failure = await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(Limit, Cancellation));
        Assert.Contains($"read {reader}: use of a closed descriptor.", failure.Message, StringComparison.Ordinal);

        (reader, NetDescriptor full) = NetDescriptor.CreatePipe(_group);
        Task write = full.WriteAsync(new byte[1 << 20]).AsTask();
        await Parked(full);
        await full.CloseAsync().WaitAsync(Limit, Cancellation);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => write.WaitAsync(Limit, Cancellation));

        Assert.Throws<ObjectDisposedException>(() => full.SetDeadline(Deadline.None));
        Assert.Throws<ObjectDisposedException>(() => full.RawControl(static _ => { }));
        await full.CloseAsync();
        await reader.CloseAsync();
        await writer.CloseAsync();
    }

    [Fact]
    public async Task NP065_A_read_of_a_pipe_past_its_deadline_fails_each_time_although_data_is_there()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        await using NetDescriptor other = writer;
        await writer.WriteAsync(new byte[17]);
        reader.SetReadDeadline(Deadline.At(TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(5)));
        for (int time = 0; time < 2; time++)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(async () => await reader.ReadAsync(new byte[1]));
        }

        reader.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(50)));
        int read = 0;
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (true)
            {
                read += await reader.ReadAsync(new byte[1]);
                await Task.Delay(50 / 3, Cancellation);
            }
        });
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await reader.ReadAsync(new byte[1]));

        // What timed out has consumed nothing.
        reader.SetReadDeadline(Deadline.None);
        Assert.Equal(17 - read, read == 17 ? 0 : await reader.ReadAsync(new byte[32]));
    }

    [Fact]
    public async Task NP068_A_write_into_a_pipe_past_its_deadline_fails_each_time_although_there_is_room()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        await using NetDescriptor other = writer;
        writer.SetWriteDeadline(Deadline.At(TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(5)));
        for (int time = 0; time < 2; time++)
        {
            DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(async () => await writer.WriteAsync(new byte[1]));
            Assert.Equal(0, failure.BytesTransferred);
        }

        writer.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(10)));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (true)
            {
                await writer.WriteAsync(new byte[1]);
                await Task.Delay(3, Cancellation);
            }
        });
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await writer.WriteAsync(new byte[1]));
    }

    [Fact]
    public async Task NP071_Reads_and_writes_of_a_pipe_that_get_nowhere_end_at_their_deadline_and_not_before()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        await using NetDescriptor other = writer;
        TimeSpan timeout = TimeSpan.FromMilliseconds(100);
        long start = TimeProvider.System.GetTimestamp();
        reader.SetReadDeadline(Deadline.After(timeout));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => reader.ReadAsync(new byte[1]).AsTask().WaitAsync(Limit, Cancellation));
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= timeout);

        start = TimeProvider.System.GetTimestamp();
        writer.SetWriteDeadline(Deadline.After(timeout));
        DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(
            () => writer.WriteAsync(new byte[1 << 20]).AsTask().WaitAsync(Limit, Cancellation));

        Assert.True(TimeProvider.System.GetElapsedTime(start) >= timeout);
        Assert.InRange(failure.BytesTransferred, 4096, (1 << 20) - 1);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task NP072_Neither_a_silent_pipe_nor_one_that_is_filled_without_end_outlasts_a_deadline(int pollers)
    {
        // As over TCP: what fills a pipe takes a core, so on a busy machine less of it proves as much.
        long longest = StressScale.Rounds(1) > 1 ? 1_000_000_000 : 100_000_000;
        long[] nanoseconds =
        [
            1, 2, 5, 50, 100, 200, 500, 750, 1_000, 5_000, 25_000, 250_000, 500_000,
            1_000_000, 5_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000,
        ];
        await using PollerGroup group = new(new PollerOptions { PollerCount = pollers });
        (NetDescriptor silent, NetDescriptor silentWriter) = NetDescriptor.CreatePipe(group);
        (NetDescriptor busy, NetDescriptor busyWriter) = NetDescriptor.CreatePipe(group);
        Task feed = Task.Run(FeedAsync, Cancellation);

        await Task.WhenAll(Task.Run(() => ReadAsync(silent), Cancellation), Task.Run(() => ReadAsync(busy), Cancellation)).WaitAsync(2 * Limit, Cancellation);

        await busyWriter.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => feed.WaitAsync(Limit, Cancellation));
        foreach (NetDescriptor end in new[] { silent, silentWriter, busy })
        {
            await end.CloseAsync();
        }

        async Task FeedAsync()
        {
            byte[] chunk = new byte[4096];
            while (true)
            {
                await busyWriter.WriteAsync(chunk);
            }
        }

        async Task ReadAsync(NetDescriptor reader)
        {
            byte[] buffer = new byte[1024];
            foreach (long length in nanoseconds.Where(length => length <= longest))
            {
                // A TimeSpan counts in steps of 100 ns.
                TimeSpan timeout = TimeSpan.FromTicks((length + 99) / 100);
                long start = TimeProvider.System.GetTimestamp();
                reader.SetReadDeadline(Deadline.After(timeout));
                await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
                {
                    while (true)
                    {
                        Assert.NotEqual(0, await reader.ReadAsync(buffer));
                    }
                });
                Assert.True(TimeProvider.System.GetElapsedTime(start) >= timeout, $"A deadline of {length} ns ended before its time.");
            }
        }
    }

    [Fact]
    public async Task NP074_Deadlines_that_are_nearly_now_race_reads_and_writes_of_a_pipe_and_all_of_them_end()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        bool isOver = false;
        Task setter = Task.Run(
            () =>
            {
                for (int round = 0; round < StressScale.Rounds(1_000); round++)
                {
                    reader.SetDeadline(Deadline.After(TimeSpan.FromMicroseconds(2)));
                    writer.SetDeadline(Deadline.After(TimeSpan.FromMicroseconds(2)));
                }

                Volatile.Write(ref isOver, true);
            },
            Cancellation);
        Task reading = Task.Run(() => Repeat(async () => await reader.ReadAsync(new byte[1])), Cancellation);
        Task writing = Task.Run(() => Repeat(async () => await writer.WriteAsync(new byte[1])), Cancellation);

        await Task.WhenAll(setter, reading, writing).WaitAsync(Limit, Cancellation);

        await reader.CloseAsync();
        await writer.CloseAsync();
        Assert.All(_group.Pollers, static poller => Assert.Equal(0, poller.Snapshot().DeadlinesArmed));

        async Task Repeat(Func<Task> operation)
        {
            while (!Volatile.Read(ref isOver))
            {
                Exception? failure = await Record.ExceptionAsync(operation);
                Assert.True(failure is null or DeadlineExceededException, failure?.ToString());
            }
        }
    }

    [Fact]
    public async Task A_token_ends_a_wait_and_nothing_else()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        await using NetDescriptor other = writer;
        using CancellationTokenSource source = new();
        Task<int> read = reader.ReadAsync(new byte[1], source.Token).AsTask();
        await Parked(reader);

        await source.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(() => read.WaitAsync(Limit, Cancellation));
        await writer.WriteAsync(new byte[1]);
        Assert.Equal(1, await reader.ReadAsync(new byte[2]));
    }

    [Fact]
    public async Task The_side_that_an_end_of_a_pipe_lacks_is_refused()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        await using NetDescriptor other = writer;

        NotSupportedException failure = await Assert.ThrowsAsync<NotSupportedException>(async () => await writer.ReadAsync(new byte[1]));
        Assert.Equal($"{writer} was not opened for reading.", failure.Message);
        failure = await Assert.ThrowsAsync<NotSupportedException>(async () => await reader.WriteAsync(new byte[1]));
        Assert.Equal($"{reader} was not opened for writing.", failure.Message);
        Assert.False(reader.AsStream().CanWrite);
        Assert.False(writer.AsStream().CanRead);
    }

    [Fact]
    public async Task An_anonymous_pipe_of_dotnet_is_taken_over_with_its_number()
    {
        using AnonymousPipeServerStream server = new(PipeDirection.Out);
        SafePipeHandle handle = new(server.ClientSafePipeHandle.DangerousGetHandle(), ownsHandle: false);
        int number = (int)handle.DangerousGetHandle();
        await using NetDescriptor reader = NetDescriptor.Adopt(handle, _group);
        Assert.True(handle.IsClosed);
        int ours = 0;
        reader.RawControl(descriptor => ours = descriptor);
        Assert.NotEqual(number, ours);
        server.DisposeLocalCopyOfClientHandle();

        Task<int> read = reader.ReadAsync(new byte[8]).AsTask();
        await server.WriteAsync("abc"u8.ToArray(), Cancellation);

        Assert.Equal(3, await read.WaitAsync(Limit, Cancellation));
        await server.DisposeAsync();
        Assert.Equal(0, await reader.ReadAsync(new byte[8]).AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task An_owned_handle_is_closed_by_the_adoption_and_a_foreign_one_is_left_open()
    {
        Assert.Equal(0, Libc.Pipe(out int reader, out int writer));
        await using NetDescriptor owned = NetDescriptor.Adopt(new SafeFileHandle(reader, ownsHandle: true), _group);
        await using NetDescriptor foreign = NetDescriptor.Adopt(new SafeFileHandle(writer, ownsHandle: false), _group);

        await foreign.CloseAsync();
        Assert.Equal(1, Libc.Write(writer, new byte[1]));
        Assert.Equal(1, await owned.ReadAsync(new byte[2]));
        _ = Libc.Close(writer);

        Assert.Equal(0, await owned.ReadAsync(new byte[2]).AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public void What_is_closed_or_not_open_is_refused_with_its_number()
    {
        SafeFileHandle closed = new(5, ownsHandle: false);
        closed.Dispose();
        SafeFileHandle unused = new(1_000_000, ownsHandle: false);

        Assert.Contains("The SafeFileHandle is closed", Assert.Throws<ArgumentException>(() => NetDescriptor.Adopt(closed, _group)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "The SafeFileHandle is invalid",
            Assert.Throws<ArgumentException>(() => NetDescriptor.Adopt(new SafeFileHandle(-1, ownsHandle: false), _group)).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "Nothing is open under the descriptor 1000000",
            Assert.Throws<ArgumentException>(() => NetDescriptor.Adopt(unused, _group)).Message,
            StringComparison.Ordinal);
        Assert.False(unused.IsClosed);
    }

    [Fact]
    public async Task An_eventfd_gives_its_count_and_waits_for_the_next()
    {
        await using NetDescriptor counter = NetDescriptor.Adopt(new SafeFileHandle(Libc.EventDescriptor(), ownsHandle: true), _group);
        byte[] count = new byte[8];
        Task<int> read = counter.ReadAsync(count).AsTask();
        await Parked(counter);

        await counter.WriteAsync(BitConverter.GetBytes(3UL));
        Assert.Equal(8, await read.WaitAsync(Limit, Cancellation));
        Assert.Equal(3UL, BitConverter.ToUInt64(count));
        await counter.WriteAsync(BitConverter.GetBytes(2UL));
        await counter.WriteAsync(BitConverter.GetBytes(5UL));
        Assert.Equal(8, await counter.ReadAsync(count));

        Assert.Equal(7UL, BitConverter.ToUInt64(count));
        await Assert.ThrowsAsync<IOException>(async () => await counter.ReadAsync(new byte[4]));
        Assert.Contains("anon_inode:[eventfd]", counter.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_terminal_passes_lines_and_its_other_users_keep_their_mode()
    {
        (SafeFileHandle master, SafeFileHandle slave) = PseudoTerminal.Open();
        using SafeFileHandle shared = slave;
        await using NetDescriptor outside = NetDescriptor.Adopt(master, _group);
        await using NetDescriptor inside = NetDescriptor.Adopt(new SafeFileHandle(slave.DangerousGetHandle(), ownsHandle: false), _group);
        byte[] buffer = new byte[64];
        Task<int> read = inside.ReadAsync(buffer).AsTask();
        await Parked(inside);

        // The line discipline gives nothing before the line's end.
        await outside.WriteAsync("hel"u8.ToArray());
        await outside.WriteAsync("lo\n"u8.ToArray());
        int count = await read.WaitAsync(Limit, Cancellation);
        Assert.Equal("hello\n"u8.ToArray(), buffer[..count]);
        await inside.WriteAsync("you\n"u8.ToArray());

        // And echoes what is typed.
        byte[] expected = "hello\r\nyou\r\n"u8.ToArray();
        byte[] shown = new byte[expected.Length];
        await outside.AsStream().ReadExactlyAsync(shown, Cancellation).AsTask().WaitAsync(Limit, Cancellation);
        Assert.Equal(expected, shown);

        const int NonBlocking = 0x800;
        Assert.Equal(0, Libc.GetFileFlags((int)slave.DangerousGetHandle()) & NonBlocking);
        read = outside.ReadAsync(buffer).AsTask();
        await inside.CloseAsync();
        shared.Dispose();
        IOException failure = await Assert.ThrowsAsync<IOException>(() => read.WaitAsync(Limit, Cancellation));
        Assert.Contains("(errno 5)", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Raw_attempts_wait_and_get_the_number()
    {
        (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
        await using NetDescriptor ends = reader;
        await using NetDescriptor other = writer;
        byte[] buffer = new byte[4];
        int count = 0;
        Task raw = reader.RawReadAsync(number => (count = Libc.Read(number, buffer)) >= 0).AsTask();
        await Parked(reader);

        await writer.RawWriteAsync(static number => Libc.Write(number, "raw"u8) == 3);
        await raw.WaitAsync(Limit, Cancellation);

        Assert.Equal("raw"u8.ToArray(), buffer[..count]);
    }

    [Fact]
    public async Task Rounds_through_two_pipes_of_two_pollers_leave_nothing_open()
    {
        HashSet<string> made = [];
        for (int round = 0; round < StressScale.Rounds(200); round++)
        {
            (NetDescriptor reader, NetDescriptor writer) = NetDescriptor.CreatePipe(_group);
            made.Add(PipeOf(reader.ToString()));
            Task<int> read = reader.ReadAsync(new byte[1]).AsTask();
            Task write = Task.Run(() => writer.WriteAsync(new byte[1]).AsTask(), Cancellation);
            Task close = Task.Run(writer.CloseAsync, Cancellation);
            try
            {
                await write.WaitAsync(Limit, Cancellation);
                Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
            }
            catch (ObjectDisposedException)
            {
                Assert.Equal(0, await read.WaitAsync(Limit, Cancellation));
            }

            await close;
            await reader.CloseAsync();
        }

        // Of ours: other tests open and close pipes at the same time.
        await Eventually.Equal("pipes of ours that are open", 0, () => Directory.GetFileSystemEntries("/proc/self/fd")
            .Count(path => new FileInfo(path).LinkTarget is { } target && made.Contains(PipeOf(target))));

        static string PipeOf(string text) => System.Text.RegularExpressions.Regex.Match(text, @"pipe:\[\d+\]").Value is { Length: > 0 } pipe ? pipe : text;
    }

    private static Task Parked(NetDescriptor descriptor) => Eventually.True("somebody is parked", () => descriptor.Poller!.ParkedCount > 0);
}
