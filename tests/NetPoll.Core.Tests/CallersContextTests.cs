using System.Net;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>
/// Callers with a synchronization context of their own, such as a window's, whose thread is busy: what is in progress here depends on it in
/// nothing. On a poller's thread all comes back to that.
/// </summary>
/// <remarks>What would hang with the close is not disposed when the test fails, or the test would hang as well.</remarks>
public sealed class CallersContextTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(PollMode.Read)]
    [InlineData(PollMode.Write)]
    public async Task A_close_does_not_wait_for_the_thread_on_which_a_wait_for_readiness_began(PollMode mode)
    {
        Loopback pair = await Loopback.ConnectAsync();
        await Fill(pair.Connection);
        Task wait = BusyContext.Call(() => mode == PollMode.Read
            ? pair.Connection.WaitReadableAsync().AsTask()
            : pair.Connection.WaitWritableAsync().AsTask());
        await (mode == PollMode.Read ? pair.ReaderParked() : pair.WriterParked());

        await pair.Connection.CloseAsync().WaitAsync(Limit, Cancellation);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => wait.WaitAsync(Limit, Cancellation));
        await pair.DisposeAsync();
    }

    [Fact]
    public async Task A_close_does_not_wait_for_the_thread_on_which_a_raw_read_began()
    {
        Loopback pair = await Loopback.ConnectAsync();
        Task raw = BusyContext.Call(() => pair.Connection.RawReadAsync(static _ => false).AsTask());
        await pair.ReaderParked();

        await pair.Connection.CloseAsync().WaitAsync(Limit, Cancellation);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => raw.WaitAsync(Limit, Cancellation));
        await pair.DisposeAsync();
    }

    [Fact]
    public async Task A_close_does_not_wait_for_the_thread_whose_accept_pauses()
    {
        NetListenerFixture fixture = new();
        NetFd fd = fixture.Listener.Fd;
        Task<OperationOutcome> pause = BusyContext.Call(() => fd.PauseAcceptAsync(Limit * 2, TimeProvider.System, Cancellation).AsTask());
        await Eventually.True("the accept pauses", () => fd.Descriptor.HasReader);

        await fixture.Listener.CloseAsync().WaitAsync(Limit, Cancellation);

        Assert.Equal(PollResult.Closing, (await pause.WaitAsync(Limit, Cancellation)).Poll);
        await fixture.DisposeAsync();
    }

    [Fact]
    public async Task Operations_that_wait_for_their_turn_get_it_though_their_thread_is_busy()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task<int> first = pair.Connection.ReadAsync(new byte[1], Cancellation).AsTask();
        await pair.ReaderParked();
        Task<int> second = BusyContext.Call(() => pair.Connection.ReadAsync(new byte[1], Cancellation).AsTask());
        Task third = BusyContext.Call(() => pair.Connection.WaitReadableAsync(Cancellation).AsTask());

        await pair.SendAsync(new byte[3]);

        Assert.Equal(1, await first.WaitAsync(Limit, Cancellation));
        Assert.Equal(1, await second.WaitAsync(Limit, Cancellation));
        await third.WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task A_blocking_write_behind_another_one_does_not_wait_for_its_own_thread()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();
        byte[] much = new byte[32 * 1024 * 1024];
        Task before = pair.Connection.WriteAsync(much, Cancellation).AsTask();
        await pair.WriterParked();
        Task blocking = BusyContext.Block(() => stream.Write(new byte[1], 0, 1), out Thread thread);
        await Blocks(thread);

        Task<byte[]> received = pair.ReceiveAllAsync();
        await before.WaitAsync(Limit, Cancellation);
        await blocking.WaitAsync(Limit, Cancellation);

        pair.Connection.CloseWrite();
        Assert.Equal(much.Length + 1, (await received.WaitAsync(Limit, Cancellation)).Length);
    }

    [Fact]
    public async Task A_blocking_read_into_an_empty_buffer_does_not_wait_for_its_own_thread()
    {
        Loopback pair = await Loopback.ConnectAsync();
        Stream stream = pair.Connection.AsStream();
        int count = -1;
        Task blocking = BusyContext.Block(() => count = stream.Read(new byte[1], 0, 0), out Thread thread);
        await Blocks(thread);
        await pair.ReaderParked();

        await pair.SendAsync(new byte[1]);

        await blocking.WaitAsync(Limit, Cancellation);
        Assert.Equal(0, count);
        await pair.DisposeAsync();
    }

    [Fact]
    public async Task Who_blocks_for_an_accept_and_for_a_connection_does_not_wait_for_his_own_thread()
    {
        await using NetListenerFixture fixture = new();
        int port = ((IPEndPoint)fixture.Listener.LocalEndPoint).Port;
        NetConnection? accepted = null;
        NetConnection? connected = null;
        Task accepting = BusyContext.Block(() => accepted = fixture.Listener.AcceptAsync(Cancellation).AsTask().GetAwaiter().GetResult(), out Thread acceptor);
        await Blocks(acceptor);

        NetDialer dialer = new() { Group = fixture.Group };
        Task connecting = BusyContext.Block(
            () => connected = dialer.ConnectAsync("127.0.0.1", port, Cancellation).AsTask().GetAwaiter().GetResult(), out _);

        await connecting.WaitAsync(Limit, Cancellation);
        await accepting.WaitAsync(Limit, Cancellation);
        await connected!.CloseAsync();
        await accepted!.CloseAsync();
    }

    [Fact]
    public async Task The_attempts_of_a_raw_read_that_a_poller_s_thread_asks_for_are_made_on_it()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task<int> before = pair.Connection.ReadAsync(new byte[1], Cancellation).AsTask();
        await pair.ReaderParked();
        List<Poller?> pollers = [];
        bool isEnough = false;
        Task<Poller?> raw = null!;
        await pair.Poller.RunAsync(() => { raw = ReadRaw(); });
        await pair.SendAsync(new byte[1]);
        await before.WaitAsync(Limit, Cancellation);
        await Eventually.True("the raw read waits after an attempt", () => pollers.Count == 1 && pair.Connection.Fd.Descriptor.HasReader);
        isEnough = true;
        await pair.SendAsync(new byte[1]);

        Assert.Equal(pair.Poller, await raw.WaitAsync(Limit, Cancellation));
        Assert.Equal([pair.Poller, pair.Poller], pollers);

        async Task<Poller?> ReadRaw()
        {
            // First behind the read, then for readiness.
            await pair.Connection.RawReadAsync(
                _ =>
                {
                    pollers.Add(Poller.Current);
                    return isEnough;
                },
                Cancellation);
            return Poller.Current;
        }
    }

    private static async Task Fill(NetConnection connection)
    {
        // The peer's buffer takes more for a while after ours has taken nothing.
        byte[] chunk = new byte[64 * 1024];
        Task write = connection.WriteAsync(new byte[16 * 1024 * 1024], Cancellation).AsTask();
        connection.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(100)));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => write);
        connection.SetWriteDeadline(Deadline.None);
        while (connection.TryWrite(chunk, out _))
        {
        }
    }

    private static Task Blocks(Thread thread) =>
        Eventually.True("the thread blocks", () => (thread.ThreadState & ThreadState.WaitSleepJoin) != 0);
}
