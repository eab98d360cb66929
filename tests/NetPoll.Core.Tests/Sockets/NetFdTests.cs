// Awaiters are used by hand where the subject is what a continuation finds on the stack.
#pragma warning disable CA2012

using System.Runtime.CompilerServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>Reads, writes and closes of a <see cref="NetFd"/> on sockets that answer by script.</summary>
public sealed class NetFdTests : IAsyncDisposable
{
    private const PollEventFlags ReadEdge = PollEventFlags.Read | PollEventFlags.Write;

    private readonly ScriptedPoller _world = new();
    private readonly ScriptedSocket _socket = new();
    private readonly NetFd _fd;

    public NetFdTests() => _fd = _world.Open(_socket);

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact]
    public async Task A_read_takes_what_is_there_without_waiting()
    {
        _socket.ThenReads(1, 2, 3);
        byte[] buffer = new byte[8];

        ValueTask<int> read = _fd.ReadAsync(buffer);

        Assert.True(read.IsCompletedSuccessfully);
        Assert.Equal(3, await read);
        Assert.Equal([1, 2, 3], buffer[..3]);
    }

    [Fact]
    public async Task A_read_that_would_block_waits_for_an_edge_and_survives_spurious_ones()
    {
        Task<int> read = _fd.ReadAsync(new byte[8]).AsTask();
        for (int spurious = 0; spurious < 5; spurious++)
        {
            _world.Backend.Inject(_socket, ReadEdge);
            await _world.Asleep();
            Assert.False(read.IsCompleted);
        }

        _socket.ThenReads(9);
        _world.Backend.Inject(_socket, ReadEdge);

        Assert.Equal(1, await read);
    }

    [Fact]
    public async Task A_short_read_lets_the_next_one_wait_without_asking_the_system()
    {
        _socket.ThenReads(1);
        await _fd.ReadAsync(new byte[8]);

        Task<int> read = _fd.ReadAsync(new byte[8]).AsTask();
        await _world.Asleep();
        Assert.Equal(1, _socket.ReadCalls);

        _socket.ThenReads(2);
        _world.Backend.Inject(_socket, ReadEdge);
        Assert.Equal(1, await read);
    }

    [Fact]
    public async Task A_hang_up_that_is_reported_while_a_short_read_runs_is_not_lost()
    {
        // The bytes are taken, the end comes and is told of, and only then does the read return.
        _socket.ThenReads(buffer =>
        {
            _world.Backend.Inject(_socket, ReadEdge | PollEventFlags.ReadHangup);
            Assert.True(SpinWait.SpinUntil(() => _fd.Descriptor.MayReadShort, TimeSpan.FromSeconds(30)));
            buffer[0] = 1;
            return IoResult.Bytes(1);
        });
        _socket.DefaultRead = static _ => IoResult.Bytes(0);

        Assert.Equal(1, await _fd.ReadAsync(new byte[8]));

        Assert.Equal(0, await _fd.ReadAsync(new byte[8]).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_short_read_after_a_hang_up_does_not_count_as_the_end()
    {
        Task<int> read = _fd.ReadAsync(new byte[8]).AsTask();
        _socket.ThenReads(1).ThenReads(_ => IoResult.Bytes(0));
        _world.Backend.Inject(_socket, ReadEdge | PollEventFlags.ReadHangup);
        Assert.Equal(1, await read);

        // The FIN came with the same edge: no other will come.
        Assert.Equal(0, await _fd.ReadAsync(new byte[8]).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_edge_between_a_short_read_and_the_next_wait_is_not_lost()
    {
        _socket.ThenReads(1);
        await _fd.ReadAsync(new byte[8]);
        _socket.ThenReads(2);
        _world.Backend.Inject(_socket, ReadEdge);
        await _world.Asleep();

        Assert.Equal(1, await _fd.ReadAsync(new byte[8]));
        Assert.Equal(2, _socket.ReadCalls);
    }

    [Fact]
    public async Task NP010_A_deadline_that_fired_and_was_moved_before_the_reader_ran_never_happened()
    {
        Task<int> read = null!;
        await _world.Poller.RunAsync(() =>
        {
            read = _fd.ReadAsync(new byte[8]).AsTask();
            _fd.SetDeadline(PollMode.Read, Deadline.Past);
            _fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromHours(1)));
        });
        await _world.Asleep();
        Assert.False(read.IsCompleted);

        _socket.ThenReads(1);
        _world.Backend.Inject(_socket, ReadEdge);
        Assert.Equal(1, await read);
    }

    [Fact]
    public async Task NP019_What_waits_never_continues_inside_the_call_that_frees_it()
    {
        bool isInside = false;
        int continued = 0;
        async Task Wait(NetFd fd)
        {
            await Assert.ThrowsAnyAsync<Exception>(async () => await fd.ReadAsync(new byte[1]));
            Assert.False(isInside, "The continuation ran inside the call that freed it.");
            Assert.True(_world.Poller.IsCurrent);
            continued++;
        }

        NetFd other = _world.Open(new ScriptedSocket());
        Task waits = _world.Poller.RunAsync(() => Task.WhenAll(Wait(_fd), Wait(other)));
        await _world.Asleep();
        await _world.Poller.RunAsync(() =>
        {
            isInside = true;
            _fd.SetDeadline(PollMode.Read, Deadline.Past);
            _ = other.CloseAsync();
            isInside = false;
        });

        await waits;
        Assert.Equal(2, continued);
    }

    [Fact]
    public async Task NP020_A_continuation_may_wait_again_set_deadlines_and_close()
    {
        const int Rounds = 1_000;
        ScriptedSocket lateSocket = new();
        NetFd late = _world.Open(lateSocket);
        int rounds = 0;
        int continued = 0;
        int depth = 0;
        int deepest = 0;
        Exception? failure = null;

        // Each round frees one waiter by an event, and in what follows that one three others: who waits for what has come already, whose deadline
        // passes, and whose descriptor is closed. None of them may go on inside that code.
        await _world.Poller.RunAsync(BeginRound);
        await Eventually.True("all have gone on, or one has failed", () => Volatile.Read(ref continued) == 4 * Rounds || Volatile.Read(ref failure) is not null);

        Assert.Null(failure);
        Assert.Equal(1, deepest);
        Assert.False(_fd.TryRead(new byte[8]).IsSuccess);

        void BeginRound()
        {
            ValueTask<int> read = _fd.ReadAsync(new byte[8]);
            ValueTask<int> there = late.ReadAsync(new byte[8]);
            _socket.ThenReads(1);
            lateSocket.ThenReads(1);
            _world.Backend.Inject(new PollEvent(_world.Backend.TokenOf(_socket), ReadEdge), new PollEvent(_world.Backend.TokenOf(lateSocket), ReadEdge));
            WhenDone(read, awaiter =>
            {
                Assert.Equal(1, awaiter.GetResult());
                _fd.SetDeadline(PollMode.Read, Deadline.After(TimeSpan.FromHours(1)));
                Assert.True(there.IsCompleted);
                WhenDone(there, static late => Assert.Equal(1, late.GetResult()));

                NetFd expiring = _world.Open(new ScriptedSocket());
                WhenDone(expiring.ReadAsync(new byte[8]), expired =>
                {
                    Assert.Throws<DeadlineExceededException>(() => expired.GetResult());
                    _ = expiring.CloseAsync();
                });
                expiring.SetDeadline(PollMode.Read, Deadline.Past);

                NetFd closing = _world.Open(new ScriptedSocket());
                WhenDone(closing.ReadAsync(new byte[8]), static closed => Assert.Throws<ObjectDisposedException>(() => closed.GetResult()));
                _ = closing.CloseAsync();
                if (++rounds < Rounds)
                {
                    BeginRound();
                }
                else
                {
                    _ = _fd.CloseAsync();
                }
            });
        }

        void WhenDone(ValueTask<int> read, Action<ValueTaskAwaiter<int>> then)
        {
            ValueTaskAwaiter<int> awaiter = read.GetAwaiter();
            awaiter.UnsafeOnCompleted(() =>
            {
                deepest = Math.Max(deepest, ++depth);
                Volatile.Write(ref failure, failure ?? Record.Exception(() => then(awaiter)));
                depth--;
                Interlocked.Increment(ref continued);
            });
        }
    }

    [Fact]
    public async Task NP025_A_descriptor_in_a_state_that_cannot_be_waited_on_fails_reads_and_not_writes()
    {
        Task<int> read = _fd.ReadAsync(new byte[8]).AsTask();
        await _world.Asleep();
        _world.Backend.Inject(_socket, ReadEdge | PollEventFlags.Error | PollEventFlags.ErrorOnly);

        IOException failure = await Assert.ThrowsAsync<IOException>(() => read);
        Assert.Contains("cannot be waited on", failure.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(async () => await _fd.ReadAsync(new byte[8]));
        await _fd.WriteAsync(new byte[1]);

        _world.Backend.Inject(_socket, ReadEdge);
        await Eventually.True("the error is gone", () => !_fd.Descriptor.Info.HasEventError);
        _socket.ThenReads(1);
        Assert.Equal(1, await _fd.ReadAsync(new byte[8]));
    }

    [Fact]
    public async Task NP043_An_operation_past_its_deadline_does_not_touch_the_socket()
    {
        _socket.ThenReads(1);
        _fd.SetDeadline(PollMode.Both, Deadline.Past);

        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await _fd.ReadAsync(new byte[8]));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await _fd.WriteAsync(new byte[8]));
        Assert.Equal(PollResult.DeadlineExceeded, _fd.TryRead(new byte[8]).Poll);
        Assert.Equal(PollResult.DeadlineExceeded, _fd.TryWrite(new byte[8]).Poll);

        Assert.Equal(0, _socket.ReadCalls + _socket.WriteCalls);
        _fd.SetDeadline(PollMode.Both, Deadline.None);
        Assert.Equal(1, await _fd.ReadAsync(new byte[8]));
    }

    [Fact]
    public async Task NP083_The_end_of_the_stream_is_0_bytes_each_time_and_an_error_carries_none()
    {
        _socket.DefaultRead = static _ => IoResult.Bytes(0);
        Assert.Equal(0, await _fd.ReadAsync(new byte[8]));
        Assert.Equal(0, await _fd.ReadAsync(new byte[8]));

        _socket.ThenReadFails(Errno.ECONNRESET);
        IOException failure = await Assert.ThrowsAsync<IOException>(async () => await _fd.ReadAsync(new byte[8]));

        System.Net.Sockets.SocketException cause = Assert.IsType<System.Net.Sockets.SocketException>(failure.InnerException);
        Assert.Equal(System.Net.Sockets.SocketError.ConnectionReset, cause.SocketErrorCode);
        Assert.Contains("errno 104", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NP085_A_read_into_an_empty_buffer_is_0_at_once_unless_it_is_closed()
    {
        _fd.SetDeadline(PollMode.Read, Deadline.Past);

        Assert.Equal(0, await _fd.ReadAsync(Memory<byte>.Empty));
        Assert.True(_fd.TryRead([]).IsSuccess);
        Assert.Equal(0, _socket.ReadCalls);

        await _fd.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await _fd.ReadAsync(Memory<byte>.Empty));
    }

    [Fact]
    public async Task An_empty_write_makes_one_call()
    {
        await _fd.WriteAsync(ReadOnlyMemory<byte>.Empty);

        Assert.Equal(1, _socket.WriteCalls);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NP088_A_stream_of_single_bytes_and_refusals_comes_through_intact(bool onPoller)
    {
        Random random = new(Seed.Next());
        byte[] sent = new byte[StressScale.Rounds(3_000)];
        random.NextBytes(sent);
        int given = 0;
        _socket.DefaultRead = buffer =>
        {
            // More is always there, so that every answer that ends a run of reads comes with another edge.
            lock (random)
            {
                _world.Backend.Inject(_socket, ReadEdge);
                if (random.Next(2) == 0)
                {
                    return IoResult.Failure(Errno.EAGAIN);
                }

                buffer[0] = sent[given++];
                return IoResult.Bytes(1);
            }
        };
        _socket.DefaultWrite = buffer =>
        {
            lock (random)
            {
                _world.Backend.Inject(_socket, ReadEdge);
                return random.Next(2) == 0 ? IoResult.Failure(Errno.EAGAIN) : IoResult.Bytes(Math.Min(1, buffer.Length));
            }
        };
        async Task Echo()
        {
            byte[] received = new byte[sent.Length];
            int count = 0;
            while (count < received.Length)
            {
                count += await _fd.ReadAsync(received.AsMemory(count, Math.Min(1 + (count % 5), received.Length - count)));
            }

            Assert.Equal(sent, received);
            await _fd.WriteAsync(received);
        }

        await (onPoller ? _world.Poller.RunAsync(Echo) : Echo());

        Assert.Equal(sent, _socket.Written);
    }

    [Fact]
    public async Task NP089_A_write_that_breaks_after_a_part_reports_the_break_and_how_much_it_wrote()
    {
        _socket.ThenTakes(10).ThenWriteFails(Errno.EAGAIN).ThenWriteFails(Errno.EPIPE);
        Task write = _fd.WriteAsync(new byte[100]).AsTask();
        await _world.Asleep();
        Assert.False(write.IsCompleted);
        _world.Backend.Inject(_socket, PollEventFlags.Write);

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(() => write);

        Assert.Equal(10, failure.BytesTransferred);
        Assert.Equal(10, _socket.Written.Length);
        Assert.Contains("errno 32", failure.Message, StringComparison.Ordinal);
        System.Net.Sockets.SocketException cause = Assert.IsType<System.Net.Sockets.SocketException>(failure.InnerException);
        Assert.Equal(System.Net.Sockets.SocketError.Shutdown, cause.SocketErrorCode);
    }

    [Fact]
    public async Task NP089_A_write_that_breaks_without_having_waited_tells_how_much_it_wrote()
    {
        _socket.ThenTakes(10).ThenTakes(7).ThenWriteFails(Errno.EPIPE).ThenWriteFails(Errno.ECONNRESET);

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(async () => await _fd.WriteAsync(new byte[100]));
        Assert.Equal(17, failure.BytesTransferred);

        failure = await Assert.ThrowsAsync<WriteFailedException>(async () => await _fd.WriteAsync(new byte[100]));
        Assert.Equal(0, failure.BytesTransferred);
    }

    [Fact]
    public async Task NP081_A_write_that_times_out_tells_how_much_it_wrote()
    {
        _socket.ThenTakes(10).ThenWriteFails(Errno.EAGAIN);
        Task write = _fd.WriteAsync(new byte[100]).AsTask();
        await _world.Asleep();

        _fd.SetDeadline(PollMode.Write, Deadline.Past);

        DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(() => write);
        Assert.Equal(10, failure.BytesTransferred);
        Assert.True(failure.IsTransient);
        Assert.IsAssignableFrom<TimeoutException>(failure);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NP090_A_system_that_takes_more_than_it_was_offered_is_a_clear_error(bool afterWaiting)
    {
        if (afterWaiting)
        {
            _socket.ThenTakes(4).ThenWriteFails(Errno.EAGAIN);
        }

        _socket.ThenWrites(static buffer => IoResult.Bytes(buffer.Length + 1));
        Task write = _fd.WriteAsync(new byte[10]).AsTask();
        await _world.Asleep();
        _world.Backend.Inject(_socket, PollEventFlags.Write);

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(
            () => write.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        Assert.Equal(afterWaiting ? 4 : 0, failure.BytesTransferred);
        Assert.Contains(afterWaiting ? "took 7 bytes where 6" : "took 11 bytes where 10", failure.Message, StringComparison.Ordinal);
        await AssertUnlocked();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NP090_A_system_that_takes_nothing_without_an_error_ends_the_write(bool afterWaiting)
    {
        _socket.ThenTakes(4);
        if (afterWaiting)
        {
            _socket.ThenWriteFails(Errno.EAGAIN);
        }

        _socket.ThenTakes(0);
        Task write = _fd.WriteAsync(new byte[10]).AsTask();
        await _world.Asleep();
        _world.Backend.Inject(_socket, PollEventFlags.Write);

        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(
            () => write.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        Assert.Equal(4, failure.BytesTransferred);
        Assert.Contains("after 4 bytes", failure.Message, StringComparison.Ordinal);
        Assert.IsType<EndOfStreamException>(failure.InnerException);
        await AssertUnlocked();
    }

    [Fact]
    public async Task Memory_that_its_owner_took_away_ends_the_operation_that_waits_with_it()
    {
        VanishingMemory memory = new();
        Task<int> read = _fd.ReadAsync(memory.Memory).AsTask();
        await _world.Asleep();
        memory.IsGone = true;
        _world.Backend.Inject(_socket, ReadEdge);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await _fd.WriteAsync(memory.Memory));
        await AssertUnlocked();
    }

    [Fact]
    public async Task A_read_after_one_whose_memory_was_taken_away_finds_the_bytes_that_had_come()
    {
        VanishingMemory memory = new();
        Task<int> read = _fd.ReadAsync(memory.Memory).AsTask();
        await _world.Asleep();
        memory.IsGone = true;
        _socket.ThenReads(5);
        _world.Backend.Inject(_socket, ReadEdge);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        // Their edge is used up, and no other comes.
        Task<int> next = _fd.ReadAsync(new byte[8]).AsTask();

        Assert.Equal(1, await next.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Memory_that_its_owner_took_away_ends_also_an_operation_that_goes_on_from_the_queue()
    {
        VanishingMemory memory = new();
        Task<int> read = _fd.ReadAsync(memory.Memory).AsTask();
        await _world.Asleep();
        memory.IsGone = true;
        using ManualResetEventSlim isHeld = new();
        using ManualResetEventSlim release = new();
        _world.Poller.Post(() =>
        {
            isHeld.Set();
            release.Wait();
        });
        isHeld.Wait(TestContext.Current.CancellationToken);

        // The deadline frees it, into the queue; before its turn there, bytes come.
        _fd.SetDeadline(PollMode.Read, Deadline.Past);
        _world.Backend.Inject(_socket, ReadEdge);
        release.Set();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        await AssertUnlocked();
    }

    [Fact]
    public async Task Memory_of_its_owner_is_written_and_read_like_an_array()
    {
        VanishingMemory memory = new();
        memory.Memory.Span[0] = 7;
        _socket.ThenTakes(3).ThenReads(9);

        await _fd.WriteAsync(memory.Memory);
        Assert.Equal(1, await _fd.ReadAsync(memory.Memory));

        Assert.Equal([7, 0, 0, 0, 0, 0, 0, 0], _socket.Written);
        Assert.Equal(9, memory.Memory.Span[0]);
    }

    [Fact]
    public async Task A_try_that_the_system_answers_with_an_exception_leaves_the_lock()
    {
        _socket.ThenReads(static _ => throw new FormatException()).ThenWrites(static _ => throw new FormatException());

        Assert.Throws<FormatException>(() => _fd.TryRead(new byte[1]));
        Assert.Throws<FormatException>(() => _fd.TryWrite(new byte[1]));

        await AssertUnlocked();
    }

    [Fact]
    public async Task NP092_Readers_queue_and_each_byte_goes_to_one_of_them()
    {
        Task<int>[] reads = [.. Enumerable.Range(0, 5).Select(_ => _fd.ReadAsync(new byte[1]).AsTask())];
        await _world.Asleep();
        Assert.Equal(1, _world.Poller.Snapshot().ReadersParked);

        for (int done = 1; done <= reads.Length; done++)
        {
            _socket.ThenReads(1);
            _world.Backend.Inject(_socket, ReadEdge);
            await Eventually.True($"{done} reads are done", () => reads.Count(static read => read.IsCompleted) == done);
            await Eventually.True("the next one waits", () => _world.Poller.Snapshot().ReadersParked == (done < reads.Length ? 1 : 0));
        }

        Assert.All(reads, static read => Assert.Equal(1, read.Result));
    }

    [Fact]
    public async Task A_try_while_another_waits_would_block_and_disturbs_nobody()
    {
        Task<int> read = _fd.ReadAsync(new byte[1]).AsTask();
        await _world.Asleep();

        Assert.True(_fd.TryRead(new byte[1]).Io.WouldBlock);

        _socket.ThenReads(1);
        _world.Backend.Inject(_socket, ReadEdge);
        Assert.Equal(1, await read);
    }

    [Fact]
    public async Task NP102_After_the_close_everything_says_closed_and_a_second_close_is_harmless()
    {
        await _fd.CloseAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await _fd.ReadAsync(new byte[1]));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await _fd.WriteAsync(new byte[1]));
        Assert.Equal(PollResult.Closing, (await _fd.AcceptAsync()).Outcome.Poll);
        Assert.Equal(PollResult.Closing, _fd.TryRead(new byte[1]).Poll);
        Assert.Equal(PollResult.Closing, _fd.TryWrite(new byte[1]).Poll);
        Assert.Equal(PollResult.Closing, _fd.Shutdown(PollMode.Write).Poll);
        Assert.Equal(PollResult.Closing, _fd.SetOption(SocketSetting.NoDelay, 1).Poll);
        Assert.Equal(PollResult.Closing, _fd.SetDeadline(PollMode.Both, Deadline.None));
        Assert.True(_fd.CloseAsync().IsCompletedSuccessfully);
        Assert.Equal(1, _socket.CloseCalls);
        Assert.Equal(0, _socket.ReadCalls + _socket.WriteCalls + _socket.AcceptCalls);
        Assert.Equal(0, _world.Backend.Watched);
    }

    [Fact]
    public async Task A_deadline_that_has_passed_is_told_after_the_close_as_closed()
    {
        _fd.SetDeadline(PollMode.Both, Deadline.Past);
        Task closed = _fd.CloseAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await _fd.ReadAsync(new byte[1]));
        await closed;
    }

    [Fact]
    public async Task NP105_The_number_lives_until_a_read_that_is_in_the_system_has_returned()
    {
        using SemaphoreSlim entered = new(0);
        using SemaphoreSlim leave = new(0);
        _socket.ThenReads(_ =>
        {
            entered.Release();
            leave.Wait(TestContext.Current.CancellationToken);
            return IoResult.Bytes(1);
        });
        Task<int> read = Task.Run(async () => await _fd.ReadAsync(new byte[1]), TestContext.Current.CancellationToken);
        await entered.WaitAsync(TestContext.Current.CancellationToken);

        Task closed = _fd.CloseAsync();
        await _world.Asleep();
        Assert.False(closed.IsCompleted);
        Assert.Equal(0, _socket.CloseCalls);
        Assert.Equal(1, _world.Backend.Watched);
        leave.Release();

        await closed;
        Assert.Equal(1, await read);
        Assert.Equal(1, _socket.CloseCalls);
        Assert.Equal(0, _world.Backend.Watched);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NP106_Closing_ends_the_reader_that_waits_and_those_that_queue_behind_it(bool onPoller)
    {
        Task[] reads = [];
        Task begin = onPoller ? _world.Poller.RunAsync(Begin) : Task.Run(Begin, TestContext.Current.CancellationToken);
        await begin;
        await _world.Asleep();

        await _fd.CloseAsync();

        foreach (Task read in reads)
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        }

        Assert.Equal(1, _socket.CloseCalls);
        Assert.Equal(0, _world.Poller.ParkedCount);

        void Begin() => reads = [.. Enumerable.Range(0, 11).Select(_ => _fd.ReadAsync(new byte[1]).AsTask())];
    }

    [Fact]
    public async Task NP109_A_close_inside_an_operation_on_the_poller_does_not_wait_for_it()
    {
        Task closed = Task.CompletedTask;
        _socket.ThenReads(_ =>
        {
            closed = _fd.CloseAsync();
            Assert.False(closed.IsCompleted);
            Assert.Equal(0, _socket.CloseCalls);
            return IoResult.Bytes(1);
        });

        await _world.Poller.RunAsync(async () =>
        {
            Assert.Equal(1, await _fd.ReadAsync(new byte[1]));
            Assert.Equal(1, _socket.CloseCalls);
            await closed;
        });
    }

    [Fact]
    public async Task NP107_Deadlines_that_race_the_close_are_set_or_refused_and_leave_nothing_behind()
    {
        int rounds = StressScale.Rounds(20_000);
        NetFd fd = _fd;
        for (int round = 0; round < rounds; round += 100)
        {
            NetFd[] fds = [.. Enumerable.Range(0, 100).Select(_ => _world.Open(new ScriptedSocket()))];
            int index = 0;
            Race.Run(
                fds.Length,
                prepare: () => fd = fds[index++],
                here: () =>
                {
                    for (int time = 0; time < 4; time++)
                    {
                        PollResult result = fd.SetDeadline((PollMode)(1 + (time % 3)), Deadline.After(TimeSpan.FromSeconds(60 - time)));
                        Assert.True(result is PollResult.Ready or PollResult.Closing);
                    }
                },
                there: () => Assert.True(fd.CloseAsync() is not null),
                check: () => Assert.True(fd.CloseAsync().IsCompleted));
        }

        await _world.Asleep();
        Assert.Equal(0, _world.Poller.Snapshot().DeadlinesArmed);
        Assert.Equal(1, _world.Poller.Snapshot().Monitored);
        Assert.Equal(0, await _world.Poller.RunAsync(() => Task.FromResult(_world.Poller.Wheel.Count)));
    }

    [Fact]
    public async Task NP108_Reads_that_race_the_close_all_end()
    {
        int rounds = StressScale.Rounds(10_000);
        for (int round = 0; round < rounds; round++)
        {
            ScriptedSocket socket = new();
            NetFd fd = _world.Open(socket);
            Task closing = Task.Run(fd.CloseAsync, TestContext.Current.CancellationToken);

            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await fd.ReadAsync(new byte[1]));

            await closing;
            Assert.Equal(1, socket.CloseCalls);
        }
    }

    [Fact]
    public async Task NP018_Edges_that_race_the_close_end_each_read_once()
    {
        int rounds = StressScale.Rounds(5_000);
        for (int round = 0; round < rounds; round++)
        {
            ScriptedSocket socket = new();
            NetFd fd = _world.Open(socket);
            Task<int> read = fd.ReadAsync(new byte[1]).AsTask();
            socket.DefaultRead = static _ => IoResult.Bytes(1);
            _world.Backend.Inject(socket, ReadEdge);

            await fd.CloseAsync();

            Exception? failure = await Record.ExceptionAsync(() => read);
            Assert.True(failure is null or ObjectDisposedException, failure?.ToString());
        }
    }

    // Both locks are free: operations begin, and the close finds nobody inside.
    private async Task AssertUnlocked()
    {
        _socket.ThenReads(1);
        _fd.SetDeadline(PollMode.Both, Deadline.None);
        Assert.Equal(1, _fd.TryRead(new byte[1]).Io.Count);
        Assert.Equal(1, _fd.TryWrite(new byte[1]).Io.Count);
        await _fd.CloseAsync().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(1, _socket.CloseCalls);
    }
}
