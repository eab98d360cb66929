using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>A token ends the wait that it was given to, and nothing else.</summary>
public sealed class CancellationTests
{
    private const PollEventFlags Edge = PollEventFlags.Read | PollEventFlags.Write;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static CancellationToken Cancelled => new(canceled: true);

    [Fact]
    public async Task NP022_A_wait_with_a_cancelled_token_ends_at_once_and_leaves_nothing_behind()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new() { DefaultWrite = static _ => IoResult.Failure(ScriptedSocket.WouldBlock) };
        NetFd fd = world.Open(socket);
        fd.SetDeadline(PollMode.Both, Deadline.After(TimeSpan.FromHours(1)));

        await AssertCancelled(fd.ReadAsync(new byte[1], Cancelled).AsTask());
        await AssertCancelled(fd.WriteAsync(new byte[1], Cancelled).AsTask());
        await AssertCancelled(fd.WriteAsync(new ReadOnlyMemory<byte>[] { new byte[1] }, Cancelled).AsTask());
        Assert.True((await fd.WaitReadyAsync(PollMode.Read, Cancelled)).IsCancelled);
        Assert.True((await fd.AcceptAsync(Cancelled)).Outcome.IsCancelled);

        Assert.Equal(0, world.Poller.ParkedCount);
        Assert.Equal(0, fd.OperationsInProgress);
        Assert.Equal(2, world.Poller.Snapshot().DeadlinesArmed);
        Task<int> next = fd.ReadAsync(new byte[1], new CancellationTokenSource().Token).AsTask();
        await world.Asleep();
        Assert.False(next.IsCompleted);
        socket.ThenReads(1);
        world.Backend.Inject(socket, Edge);
        Assert.Equal(1, await next.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task A_wait_that_is_over_does_not_keep_its_token_s_source_alive()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);

        WeakReference source = await ReadByTokenAsync(world, socket, fd);

        await Eventually.True("the source is collected", () =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return !source.IsAlive;
        });
        GC.KeepAlive(fd);
    }

    [Fact]
    public async Task NP022_A_cancelled_token_is_refused_before_the_socket_is_asked()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        NetConnection connection = pair.Connection;
        await pair.SendAsync(new byte[1]);

        await AssertCancelled(connection.ReadAsync(new byte[1], Cancelled).AsTask());
        await AssertCancelled(connection.WriteAsync(new byte[1], Cancelled).AsTask());
        await AssertCancelled(connection.WriteVectoredAsync(new ReadOnlyMemory<byte>[] { new byte[1] }, Cancelled).AsTask());
        await AssertCancelled(connection.WaitReadableAsync(Cancelled).AsTask());
        await AssertCancelled(connection.WaitWritableAsync(Cancelled).AsTask());
        await AssertCancelled(connection.RawReadAsync(static _ => throw new InvalidOperationException("asked"), Cancelled).AsTask());
        await AssertCancelled(connection.RawWriteAsync(static _ => throw new InvalidOperationException("asked"), Cancelled).AsTask());

        Assert.Equal(1, await connection.ReadAsync(new byte[1]));
    }

    [Fact]
    public async Task NP022_An_operation_that_is_cancelled_in_the_queue_for_its_turn_leaves_it_to_those_behind()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        using CancellationTokenSource source = new();
        Task<int> first = fd.ReadAsync(new byte[1]).AsTask();
        Task<int> second = fd.ReadAsync(new byte[1], source.Token).AsTask();
        Task<int> third = fd.ReadAsync(new byte[1]).AsTask();

        await source.CancelAsync();

        Assert.Equal(source.Token, (await AssertCancelled(second)).CancellationToken);
        Assert.False(first.IsCompleted || third.IsCompleted);
        foreach (Task<int> read in new[] { first, third })
        {
            await Eventually.True("the next one waits", () => world.Poller.Snapshot().ReadersParked == 1);
            socket.ThenReads(1);
            world.Backend.Inject(socket, Edge);
            Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
        }

        Assert.Equal(0, fd.OperationsInProgress);
        await fd.CloseAsync().WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task NP022_A_token_that_is_cancelled_ends_its_wait_and_leaves_the_deadlines_and_the_next_wait_alone()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetDeadline(Deadline.After(TimeSpan.FromHours(1)));
        using CancellationTokenSource source = new();
        Task<int> read = pair.Connection.ReadAsync(new byte[1], source.Token).AsTask();
        await pair.ReaderParked();

        await source.CancelAsync();

        OperationCanceledException failure = await AssertCancelled(read);
        Assert.Equal(source.Token, failure.CancellationToken);
        Assert.True(read.IsCanceled);
        Assert.Equal(0, pair.Poller.ParkedCount);
        Assert.True(pair.Connection.TimeLeft(PollMode.Read) > TimeSpan.FromMinutes(1));
        Assert.True(pair.Connection.TimeLeft(PollMode.Write) > TimeSpan.FromMinutes(1));
        Task<int> next = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();
        await pair.SendAsync(new byte[1]);
        Assert.Equal(1, await next.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task NP022_A_token_of_an_earlier_wait_that_is_cancelled_late_leaves_the_next_wait_alone()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        using CancellationTokenSource first = new();
        using CancellationTokenSource second = new();
        Task<int> read = fd.ReadAsync(new byte[1], first.Token).AsTask();
        socket.ThenReads(1);
        world.Backend.Inject(socket, Edge);
        Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));

        Task<int> next = fd.ReadAsync(new byte[1], second.Token).AsTask();
        await world.Asleep();
        await first.CancelAsync();
        await world.Asleep();

        Assert.False(next.IsCompleted);
        Assert.True(fd.Descriptor.HasReader);
        await second.CancelAsync();
        await AssertCancelled(next);
    }

    [Fact]
    public async Task NP022_A_result_is_not_taken_while_its_token_s_callback_still_runs()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        using CancellationTokenSource source = new();
        using ManualResetEventSlim isHeld = new();
        using ManualResetEventSlim goOn = new();
#pragma warning disable CA2012 // Its result is taken once, by the thread below.
        ValueTask<int> read = fd.ReadAsync(new byte[1], source.Token);
#pragma warning restore CA2012
        await world.Asleep();
        Thread canceller = new(source.Cancel) { IsBackground = true };
        world.Backend.AfterWake = () =>
        {
            if (Thread.CurrentThread == canceller)
            {
                isHeld.Set();
                goOn.Wait(Limit);
            }
        };

        // The wait is over when its token's callback is not.
        canceller.Start();
        Assert.True(isHeld.Wait(Limit, Cancellation));
        await Eventually.True("the wait has ended", () => read.IsCompleted);
        Exception? result = null;
        Thread taker = new(() => result = Record.Exception(() => read.GetAwaiter().GetResult())) { IsBackground = true };
        taker.Start();
        await Eventually.True("who takes the result waits, or has it", () => !taker.IsAlive || (taker.ThreadState & ThreadState.WaitSleepJoin) != 0);

        // Or the callback would end the object's next wait.
        Assert.Null(result);
        Assert.True(taker.IsAlive);
        goOn.Set();
        Assert.True(taker.Join(Limit));
        Assert.IsType<OperationCanceledException>(result);
        Assert.True(canceller.Join(Limit));
    }

    [Fact]
    public async Task NP022_Who_has_parked_an_earlier_wait_does_not_end_the_next_one_in_its_stead()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        using CancellationTokenSource source = new();
        Task<int> read = fd.ReadAsync(new byte[1], source.Token).AsTask();
        await world.Asleep();
        ReadOperation operation = ReadOf(fd)!;
        short version = VersionOf(operation);
        socket.ThenReads(1);
        world.Backend.Inject(socket, Edge);
        Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
        Task<int> next = fd.ReadAsync(new byte[1], source.Token).AsTask();
        await world.Asleep();
        Assert.Same(operation, ReadOf(fd));
        Assert.NotEqual(version, VersionOf(operation));

        // The next wait's token is cancelled, and before its callback takes the operation out, he who parked the earlier one looks at last.
        IsCancelled(operation) = true;
        Assert.False(TryWithdrawCancelled(operation, version, out OperationOutcome outcome));
        Assert.False(outcome.IsCancelled);

        await AssertCancelled(next);
        Assert.Equal(0, fd.OperationsInProgress);
        Task<int> last = fd.ReadAsync(new byte[1], CancellationToken.None).AsTask();
        socket.ThenReads(1);
        world.Backend.Inject(socket, Edge);
        Assert.Equal(1, await last.WaitAsync(Limit, Cancellation));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NP022_A_readiness_that_took_the_waiter_first_wins_if_something_is_there(bool isSomethingThere)
    {
        await using ScriptedPoller world = new();
        ScriptedSocket first = new();
        ScriptedSocket second = new();
        NetFd canceller = world.Open(first);
        NetFd fd = world.Open(second);
        using CancellationTokenSource source = new();
        Task<int> read = fd.ReadAsync(new byte[1], source.Token).AsTask();
        bool wasTakenOut = false;
        TaskCompletionSource cancelled = new();
        SilentWaiter cancel = new()
        {
            OnResume = () =>
            {
                // Here the other waiter is out of its slot already and has not run yet: both events were in one batch.
                wasTakenOut = fd.Descriptor.Info.Check(PollMode.Read) == PollResult.Ready && !fd.Descriptor.HasReader;
                source.Cancel();
                cancelled.SetResult();
            },
        };
        Assert.Equal(PollSignals.None, canceller.Descriptor.Arm(PollMode.Read, cancel));
        await world.Asleep();
        if (isSomethingThere)
        {
            second.ThenReads(2);
        }

        world.Backend.Inject(new PollEvent(world.Backend.TokenOf(first), Edge), new PollEvent(world.Backend.TokenOf(second), Edge));
        await cancelled.Task.WaitAsync(Limit, Cancellation);

        Assert.True(wasTakenOut);
        if (isSomethingThere)
        {
            Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
        }
        else
        {
            await AssertCancelled(read);
        }

        Assert.Equal(0, world.Poller.ParkedCount);
    }

    [Fact]
    public async Task A_token_that_is_cancelled_by_the_attempt_itself_ends_the_wait_that_follows()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        using CancellationTokenSource source = new();

        Task raw = pair.Connection.RawReadAsync(
            _ =>
            {
                source.Cancel();
                return false;
            },
            source.Token).AsTask();

        await AssertCancelled(raw);
        Assert.Equal(0, pair.Poller.ParkedCount);
    }

    [Fact]
    public async Task A_cancelled_write_keeps_what_was_written_and_the_next_one_follows_it()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new() { DefaultWrite = static _ => IoResult.Failure(ScriptedSocket.WouldBlock) };
        NetFd fd = world.Open(socket);
        using CancellationTokenSource source = new();
        socket.ThenTakes(2);
        Task write = fd.WriteAsync(new byte[] { 1, 2, 3, 4 }, source.Token).AsTask();
        await world.Asleep();

        await source.CancelAsync();
        await AssertCancelled(write);

        socket.DefaultWrite = static buffer => IoResult.Bytes(buffer.Length);
        await fd.WriteAsync(new byte[] { 5 });
        Assert.Equal([1, 2, 5], socket.Written);
    }

    [Fact]
    public async Task A_cancelled_vectored_write_leaves_its_lock()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new() { DefaultWrite = static _ => IoResult.Failure(ScriptedSocket.WouldBlock) };
        NetFd fd = world.Open(socket);
        using CancellationTokenSource source = new();
        Task write = fd.WriteAsync(new ReadOnlyMemory<byte>[] { new byte[] { 1 }, new byte[] { 2 } }, source.Token).AsTask();
        await world.Asleep();

        await source.CancelAsync();
        await AssertCancelled(write);

        Assert.Equal(0, fd.OperationsInProgress);
        socket.DefaultWrite = static buffer => IoResult.Bytes(buffer.Length);
        await fd.WriteAsync(new byte[] { 3 });
        Assert.Equal([3], socket.Written);
    }

    [Fact]
    public async Task A_reader_that_is_cancelled_in_the_queue_leaves_those_behind_it_their_turn()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        using CancellationTokenSource source = new();
        Task<int> first = fd.ReadAsync(new byte[1]).AsTask();
        Task<int> second = fd.ReadAsync(new byte[1], source.Token).AsTask();
        Task<int> third = fd.ReadAsync(new byte[1]).AsTask();

        await source.CancelAsync();
        await AssertCancelled(second);
        socket.ThenReads(1).ThenReads(2);
        world.Backend.Inject(socket, Edge);

        Assert.Equal(1, await first.WaitAsync(Limit, Cancellation));
        Assert.Equal(1, await third.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task A_cancelled_accept_leaves_the_connections_in_the_queue()
    {
        await using NetListenerFixture fixture = new();
        using CancellationTokenSource source = new();
        Task<NetConnection> accept = fixture.Listener.AcceptAsync(source.Token).AsTask();
        await Eventually.True("the accept waits", () => fixture.Group.Pollers[0].ParkedCount == 1);

        await source.CancelAsync();

        await AssertCancelled(accept);
        await AssertCancelled(fixture.Listener.AcceptAsync(source.Token).AsTask());
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        await AssertCancelled(fixture.Listener.AcceptAsync(source.Token).AsTask());
        await using NetConnection connection = await fixture.Listener.AcceptAsync();
        Assert.Equal(((IPEndPoint)peer.LocalEndPoint!).Port, connection.RemoteEndPoint!.Port);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NP022_Reads_that_race_their_token_end_with_the_byte_or_cancelled_and_no_byte_is_lost(bool isOnPoller)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        int rounds = StressScale.Rounds(4000);
        int received = 0;
        int cancelled = 0;

        async Task Read()
        {
            byte[] buffer = new byte[1];
            for (int round = 0; round < rounds; round++)
            {
                using CancellationTokenSource source = new();
                Task race = Task.Run(source.Cancel, Cancellation);
                if (round % 3 == 0)
                {
                    pair.Peer.Send([7]);
                }

                try
                {
                    Assert.Equal(1, await pair.Connection.ReadAsync(buffer, source.Token));
                    Assert.Equal(7, buffer[0]);
                    received++;
                }
                catch (OperationCanceledException)
                {
                    cancelled++;
                }

                await race;
            }
        }

        await (isOnPoller ? pair.Poller.RunAsync(Read) : Read()).WaitAsync(Limit, Cancellation);

        Assert.Equal(rounds, received + cancelled);
        Assert.Equal(0, pair.Poller.ParkedCount);
        int sent = (rounds + 2) / 3;
        while (received < sent)
        {
            received += await pair.Connection.ReadAsync(new byte[sent]).AsTask().WaitAsync(Limit, Cancellation);
        }

        Assert.Equal(sent, received);
    }

    [Fact]
    public async Task NP022_A_late_token_that_races_the_next_wait_never_ends_it()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] buffer = new byte[1];
        CancellationTokenSource late = new();
        for (int round = 0; round < StressScale.Rounds(4000); round++)
        {
            using CancellationTokenSource earlier = late;
            late = new CancellationTokenSource();
            Task cancel = Task.Run(earlier.Cancel, Cancellation);
            Task<int> read = pair.Connection.ReadAsync(buffer, late.Token).AsTask();
            if (round % 2 == 0)
            {
                await cancel;
            }

            pair.Peer.Send([1]);

            Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
            await cancel;
        }

        late.Dispose();
        Assert.Equal(0, pair.Poller.ParkedCount);
    }

    [Fact]
    public async Task NP022_Accepts_that_race_their_token_lose_no_connection()
    {
        await using NetListenerFixture fixture = new(pollers: 2);
        int accepted = 0;
        int rounds = StressScale.Rounds(200);
        for (int round = 0; round < rounds; round++)
        {
            using CancellationTokenSource source = new();
            using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Task<NetConnection> accept = fixture.Listener.AcceptAsync(source.Token).AsTask();
            Task cancel = Task.Run(source.Cancel, Cancellation);
            await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
            await cancel;
            try
            {
                await (await accept.WaitAsync(Limit, Cancellation)).CloseAsync();
                accepted++;
            }
            catch (OperationCanceledException)
            {
                await (await fixture.Listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation)).CloseAsync();
            }
        }

        Assert.InRange(accepted, 0, rounds);
        Assert.False(fixture.Listener.TryAccept(out _));
        Assert.Equal(0, fixture.Group.Pollers.Sum(static poller => poller.ParkedCount));
    }

    [Fact]
    public async Task NP022_Tokens_deadlines_and_closes_that_race_end_every_wait_once()
    {
        for (int round = 0; round < StressScale.Rounds(200); round++)
        {
            await using NetListenerFixture fixture = new();
            await using Loopback pair = await Loopback.ConnectAsync(fixture.Listener);
            using CancellationTokenSource source = new();
            Task[] waits =
            [
                pair.Connection.ReadAsync(new byte[1], source.Token).AsTask(),
                pair.Connection.ReadAsync(new byte[1], source.Token).AsTask(),
                pair.Connection.WaitReadableAsync(source.Token).AsTask(),
                pair.Connection.WriteAsync(new byte[8 * 1024 * 1024], source.Token).AsTask(),
            ];
            Task[] events =
            [
                Task.Run(source.Cancel, Cancellation),
                Task.Run(() => pair.Connection.Fd.SetDeadline(PollMode.Both, Deadline.Past), Cancellation),
                Task.Run(pair.Connection.CloseAsync, Cancellation),
            ];

            await Task.WhenAll(events).WaitAsync(Limit, Cancellation);
            foreach (Task wait in waits)
            {
                Exception failure = await Assert.ThrowsAnyAsync<Exception>(() => wait.WaitAsync(Limit, Cancellation));
                Assert.True(
                    failure is OperationCanceledException or DeadlineExceededException or ObjectDisposedException,
                    failure.ToString());
            }
        }
    }

    private static async Task<WeakReference> ReadByTokenAsync(ScriptedPoller world, ScriptedSocket socket, NetFd fd)
    {
        CancellationTokenSource source = new();
        Task<int> read = fd.ReadAsync(new byte[1], source.Token).AsTask();
        await world.Asleep();
        socket.ThenReads(1);
        world.Backend.Inject(socket, Edge);
        Assert.Equal(1, await read.WaitAsync(Limit, Cancellation));
        return new WeakReference(source);
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_read")]
    private static extern ref ReadOperation? ReadOf(NetFd fd);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_isCancelled")]
    private static extern ref bool IsCancelled(SocketOperation operation);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Version")]
    private static extern short VersionOf(SocketOperation operation);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "TryWithdrawCancelled")]
    private static extern bool TryWithdrawCancelled(SocketOperation operation, short version, out OperationOutcome outcome);

    private static async Task<OperationCanceledException> AssertCancelled(Task task) =>
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task.WaitAsync(Limit, Cancellation));
}
