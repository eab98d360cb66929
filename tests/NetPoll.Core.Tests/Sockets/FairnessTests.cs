using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>Code on a poller's thread whose operations never have to wait leaves the others of that poller their turn.</summary>
public sealed class FairnessTests : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly ScriptedPoller _world = new();
    private readonly ScriptedSocket _socket = new();
    private readonly NetFd _fd;

    public FairnessTests()
    {
        _fd = _world.Open(_socket);
        _socket.DefaultRead = static buffer => IoResult.Bytes(buffer.Length);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Theory]
    [InlineData("read", 100, 16)]
    [InlineData("read", 100_000, 3)]
    [InlineData("write", 100, 16)]
    [InlineData("write", 100_000, 3)]
    [InlineData("vectored write", 100, 16)]
    [InlineData("vectored write", 100_000, 3)]
    [InlineData("accept", 0, 16)]
    [InlineData("wait", 0, 16)]
    [InlineData("read past the deadline", 100, 16)]
    public async Task What_is_posted_to_the_poller_runs_after_so_many_operations_that_were_done_at_once(string kind, int bytes, int operations)
    {
        byte[] buffer = new byte[bytes];
        if (kind == "read past the deadline")
        {
            _fd.SetDeadline(PollMode.Read, Deadline.Past);
        }

        for (int index = 0; index < 100; index++)
        {
            _socket.ThenAccepts(new ScriptedSocket());
        }

        int done = 0;
        List<int> seen = [];
        await _world.Poller.RunAsync(async () =>
        {
            PostAgain();
            while (done < 100)
            {
                await OperateAsync();
                done++;
            }
        }).WaitAsync(Limit, Cancellation);

        // Behind the last of those who look.
        await _world.Poller.RunAsync(static () => { }).WaitAsync(Limit, Cancellation);
        Assert.Equal(operations, seen[0]);
        Assert.All(seen.Zip(seen.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 0, operations + 1));

        void PostAgain() => _world.Poller.Post(() =>
        {
            seen.Add(done);
            if (done < 100)
            {
                PostAgain();
            }
        });

        async Task OperateAsync()
        {
            switch (kind)
            {
                case "read":
                    Assert.Equal(bytes, await _fd.ReadAsync(buffer));
                    break;
                case "write":
                    await _fd.WriteAsync(buffer);
                    break;
                case "vectored write":
                    await _fd.WriteAsync(new ReadOnlyMemory<byte>[] { buffer }, CancellationToken.None);
                    break;
                case "accept":
                    Assert.NotNull((await _fd.AcceptAsync()).Socket);
                    break;
                case "wait":
                    Assert.True((await _fd.RawAsync(PollMode.Read, static _ => true, CancellationToken.None)).IsSuccess);
                    break;
                default:
                    await Assert.ThrowsAsync<DeadlineExceededException>(async () => await _fd.ReadAsync(buffer));
                    break;
            }
        }
    }

    [Fact]
    public async Task Elsewhere_operations_that_need_not_wait_are_done_at_once_however_many()
    {
        byte[] buffer = new byte[100_000];
        for (int round = 0; round < 100; round++)
        {
            ValueTask<int> read = _fd.ReadAsync(buffer);
            Assert.True(read.IsCompletedSuccessfully);
            await read;
            ValueTask write = _fd.WriteAsync(buffer);
            Assert.True(write.IsCompletedSuccessfully);
            await write;
        }
    }

    [Theory]
    [InlineData("close")]
    [InlineData("deadline")]
    [InlineData("token")]
    public async Task What_ends_an_operation_ends_one_whose_turn_has_not_come(string what)
    {
        using CancellationTokenSource source = new();
        Task<int> postponed = null!;
        await _world.Poller.RunAsync(() =>
        {
            for (int read = 0; read < 16; read++)
            {
                Assert.True(_fd.ReadAsync(new byte[1]).AsTask().IsCompletedSuccessfully);
            }

            postponed = _fd.ReadAsync(new byte[1], source.Token).AsTask();
            Assert.False(postponed.IsCompleted);
            switch (what)
            {
                case "close":
                    _ = _fd.CloseAsync();
                    break;
                case "deadline":
                    _fd.SetDeadline(PollMode.Read, Deadline.Past);
                    break;
                default:
                    source.Cancel();
                    break;
            }
        });

        Exception failure = await Assert.ThrowsAnyAsync<Exception>(() => postponed.WaitAsync(Limit, Cancellation));
        Assert.True(
            what switch
            {
                "token" => failure is OperationCanceledException,
                "deadline" => failure is DeadlineExceededException,
                _ => failure is ObjectDisposedException,
            },
            failure.ToString());
        Assert.Equal(16, _socket.ReadCalls);
        await _fd.CloseAsync().WaitAsync(Limit, Cancellation);
        Assert.Equal(1, _socket.CloseCalls);
    }

    [Fact]
    public async Task A_postponed_read_that_finds_nothing_waits_for_an_edge()
    {
        Task<int> postponed = null!;
        await _world.Poller.RunAsync(async () =>
        {
            for (int read = 0; read < 16; read++)
            {
                await _fd.ReadAsync(new byte[1]);
            }

            _socket.DefaultRead = static _ => IoResult.Failure(ScriptedSocket.WouldBlock);
            postponed = _fd.ReadAsync(new byte[1]).AsTask();
        });
        await _world.Asleep();
        Assert.False(postponed.IsCompleted);
        Assert.Equal(1, _world.Poller.ParkedCount);

        _socket.ThenReads(7);
        _world.Backend.Inject(_socket, PollEventFlags.Read);

        Assert.Equal(1, await postponed.WaitAsync(Limit, Cancellation));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_large_write_that_the_system_always_takes_leaves_the_others_their_turn(bool isVectored)
    {
        byte[] bytes = new byte[4 * 1024 * 1024];
        new Random(Seed.Next()).NextBytes(bytes);
        _socket.DefaultWrite = static buffer => IoResult.Bytes(Math.Min(50_000, buffer.Length));
        List<int> seen = [];
        bool isOver = false;

        await _world.Poller.RunAsync(async () =>
        {
            PostAgain();
            await (isVectored
                ? _fd.WriteAsync(new ReadOnlyMemory<byte>[] { bytes.AsMemory(0, 1000), bytes.AsMemory(1000) }, CancellationToken.None)
                : _fd.WriteAsync(bytes));
            isOver = true;
        }).WaitAsync(Limit, Cancellation);

        // Behind the last of those who look.
        await _world.Poller.RunAsync(static () => { }).WaitAsync(Limit, Cancellation);
        Assert.Equal(bytes, _socket.Written);
        Assert.InRange(seen.Zip(seen.Skip(1)).Max(static pair => pair.Second - pair.First), 1, 8);
        void PostAgain() => _world.Poller.Post(() =>
        {
            seen.Add(_socket.WriteCalls);
            if (!isOver)
            {
                PostAgain();
            }
        });
    }

    [Fact]
    public async Task A_large_write_that_breaks_or_expires_between_its_turns_tells_how_much_it_wrote()
    {
        byte[] bytes = new byte[4 * 1024 * 1024];
        _socket.DefaultWrite = static buffer => IoResult.Bytes(Math.Min(50_000, buffer.Length));

        DeadlineExceededException expired = await Assert.ThrowsAsync<DeadlineExceededException>(() => _world.Poller.RunAsync(async () =>
        {
            _world.Poller.Post(() => _fd.SetDeadline(PollMode.Write, Deadline.Past));
            await _fd.WriteAsync(bytes);
        }));
        Assert.Equal(300_000, expired.BytesTransferred);

        _fd.SetDeadline(PollMode.Write, Deadline.None);
        WriteFailedException broken = await Assert.ThrowsAsync<WriteFailedException>(() => _world.Poller.RunAsync(async () =>
        {
            _world.Poller.Post(() => _socket.ThenWriteFails(Errno.EPIPE));
            await _fd.WriteAsync(bytes);
        }));
        Assert.Equal(300_000, broken.BytesTransferred);
    }

    [Fact]
    public async Task Giving_the_others_their_turn_allocates_nothing()
    {
        byte[] buffer = new byte[100];
        _socket.DefaultRead = static _ => IoResult.Bytes(100);
        int postponed = 0;

        long bytes = await _world.Poller.RunAsync(async () =>
        {
            AllocationCounter counter = default;
            for (int round = 0; round < 20_000 + StressScale.Rounds(20_000); round++)
            {
                if (round == 20_000)
                {
                    counter = AllocationCounter.Start();
                }

                ValueTask<int> read = _fd.ReadAsync(buffer);
                postponed += read.IsCompleted ? 0 : 1;
                await read;
            }

            return counter.Bytes;
        });

        Assert.True(postponed > 1_000, $"{postponed} reads were postponed.");
        Assert.Equal(0, bytes);
    }

    [Fact]
    public async Task Giving_the_others_their_turn_between_writes_allocates_nothing()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] buffer = new byte[100];
        int postponed = 0;
        Task<long> writer = pair.Poller.RunAsync(async () =>
        {
            AllocationCounter counter = default;
            for (int round = 0; round < 20_000 + StressScale.Rounds(20_000); round++)
            {
                if (round == 20_000)
                {
                    counter = AllocationCounter.Start();
                }

                ValueTask write = pair.Connection.WriteAsync(buffer);
                postponed += write.IsCompleted ? 0 : 1;
                await write;
            }

            long bytes = counter.Bytes;
            pair.Connection.CloseWrite();
            return bytes;
        });

        await pair.ReceiveAllAsync().WaitAsync(Limit, Cancellation);

        Assert.Equal(0, await writer);
        Assert.True(postponed > 1_000, $"{postponed} writes were postponed.");
    }

    [Fact]
    public async Task A_peer_that_floods_a_reader_on_the_poller_keeps_no_other_connection_waiting()
    {
        await using NetListenerFixture fixture = new();
        await using Loopback flooded = await Loopback.ConnectAsync(fixture.Listener);
        await using Loopback other = await Loopback.ConnectAsync(fixture.Listener);
        Assert.Same(flooded.Poller, other.Poller);
        bool isOver = false;
        Task flood = Task.Factory.StartNew(
            () =>
            {
                byte[] chunk = new byte[256 * 1024];
                while (!Volatile.Read(ref isOver))
                {
                    flooded.Peer.Send(chunk);
                }
            },
            Cancellation,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        long received = 0;
        Task reader = flooded.Poller.RunAsync(async () =>
        {
            // So slow that more is always there.
            byte[] buffer = new byte[1];
            int count;
            while ((count = await flooded.Connection.ReadAsync(buffer)) > 0)
            {
                Volatile.Write(ref received, received + count);
            }
        });
        Task echo = other.Poller.RunAsync(async () =>
        {
            byte[] buffer = new byte[64];
            int count;
            while ((count = await other.Connection.ReadAsync(buffer)) > 0)
            {
                await other.Connection.WriteAsync(buffer.AsMemory(0, count));
            }
        });
        await Eventually.True("the flood is there", () => Volatile.Read(ref received) > 10_000);

        byte[] message = new byte[8];
        for (int round = 0; round < 100; round++)
        {
            await other.SendAsync(message);
            Assert.Equal(8, await other.Peer.ReceiveAsync(message, SocketFlags.None, Cancellation).AsTask().WaitAsync(Limit, Cancellation));
        }

        long start = TimeProvider.System.GetTimestamp();
        other.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(20)));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => echo.WaitAsync(Limit, Cancellation));
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(20));
        Assert.False(reader.IsCompleted);
        Volatile.Write(ref isOver, true);
        await flooded.Connection.CloseAsync().WaitAsync(Limit, Cancellation);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => reader.WaitAsync(Limit, Cancellation));
        await Record.ExceptionAsync(() => flood.WaitAsync(Limit, Cancellation));
        Assert.True(flood.IsCompleted);
    }

    [Fact]
    public async Task NP056_A_hundred_thousand_deadlines_that_pass_at_once_keep_nobody_s_bytes_waiting()
    {
        Poller poller = _world.Poller;
        _socket.DefaultRead = static _ => IoResult.Failure(ScriptedSocket.WouldBlock);
        int passed = 0;
        int passedBefore = -1;
        Task<int> read = poller.RunAsync(async () =>
        {
            int count = await _fd.ReadAsync(new byte[1]);
            passedBefore = passed;
            return count;
        });
        await _world.Asleep();

        // Held until all of them have passed; the byte comes with the first.
        await poller.RunAsync(() =>
        {
            long due = poller.Clock.Nanoseconds + 1_000_000;
            for (int number = 0; number < 100_000; number++)
            {
                poller.Wheel.Arm(new Alarm(Pass), due);
            }

            SpinWait.SpinUntil(() => poller.Clock.Nanoseconds > due + 20_000_000);
        }).WaitAsync(Limit, Cancellation);

        Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
        await Eventually.True("all have passed", () => Volatile.Read(ref passed) == 100_000);
        Assert.InRange(passedBefore, 1, 50_000);

        void Pass()
        {
            if (++passed == 1)
            {
                _socket.ThenReads(1);
                _world.Backend.Inject(_socket, PollEventFlags.Read);
            }
        }
    }

    private sealed class Alarm(Action passed) : DeadlineNode, IPollWaiter
    {
        public void Resume(PollSignals signals) => passed();

        public void Schedule(PollSignals signals) => throw new InvalidOperationException("A deadline passes on the poller's thread.");

        internal override void OnDue(long now, ReadyList ready) => ready.Add(this, PollSignals.None);
    }
}
