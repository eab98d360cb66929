using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>The system's number in somebody else's hands, readiness without a buffer, and options. After Go's rawconn_test.go.</summary>
public sealed class NetConnectionRawTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(PollMode.Both)]
    [InlineData(PollMode.Read)]
    [InlineData(PollMode.Write)]
    public async Task NP080_A_raw_attempt_past_its_deadline_is_not_made(PollMode expired)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        await pair.SendAsync(new byte[1]);
        Assert.Equal(PollResult.Ready, pair.Connection.Fd.SetDeadline(expired, Deadline.Past));
        int reads = 0;
        int writes = 0;

        Task read = pair.Connection.RawReadAsync(_ => ++reads > 0).AsTask();
        Task write = pair.Connection.RawWriteAsync(_ => ++writes > 0).AsTask();

        await AssertExpired(read, (expired & PollMode.Read) != 0);
        await AssertExpired(write, (expired & PollMode.Write) != 0);
        Assert.Equal((expired & PollMode.Read) != 0 ? 0 : 1, reads);
        Assert.Equal((expired & PollMode.Write) != 0 ? 0 : 1, writes);
    }

    [Fact]
    public async Task NP080_A_raw_read_that_waits_ends_at_its_deadline_and_not_before()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        long start = TimeProvider.System.GetTimestamp();
        pair.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(50)));

        await Assert.ThrowsAsync<DeadlineExceededException>(() => pair.Connection.RawReadAsync(static _ => false).AsTask().WaitAsync(Limit, Cancellation));

        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(50));
    }

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.Unix)]
    public async Task NP084_A_read_into_an_empty_buffer_is_0_at_once_at_both_ends(AddressFamily family)
    {
        await using NetListenerFixture fixture = new(family: family);
        await using NetConnection client = await new NetDialer { Group = fixture.Group }.ConnectAsync(fixture.Listener.LocalEndPoint);
        await using NetConnection server = await fixture.Listener.AcceptAsync();
        foreach (NetConnection end in new[] { client, server })
        {
            ValueTask<int> read = end.ReadAsync(Memory<byte>.Empty);
            Assert.True(read.IsCompletedSuccessfully);
            Assert.Equal(0, await read);
            Assert.True(end.TryRead([], out int count));
            Assert.Equal(0, count);
        }
    }

    [Fact]
    public async Task NP100_A_raw_read_is_called_again_when_it_is_woken_and_not_else()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] received = new byte[8];
        int calls = 0;
        int count = 0;
        Task read = pair.Connection.RawReadAsync(descriptor =>
        {
            calls++;
            count = Libc.Receive(descriptor, received);
            return count >= 0;
        }).AsTask();
        await pair.ReaderParked();
        Assert.Equal(1, calls);

        await pair.SendAsync(new byte[] { 1, 2, 3 });
        await read.WaitAsync(Limit, Cancellation);

        Assert.Equal(2, calls);
        Assert.Equal([1, 2, 3], received[..count]);
        await pair.SendAsync(new byte[] { 4 });
        Assert.Equal(1, await pair.Connection.ReadAsync(received).AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task NP100_A_raw_read_on_a_listener_waits_for_a_connection()
    {
        await using NetListenerFixture fixture = new();
        int calls = 0;
        Task read = fixture.Listener.RawReadAsync(_ => ++calls == 2).AsTask();
        await Eventually.True("it waits", () => fixture.Group.Pollers[0].ParkedCount == 1);
        Assert.Equal(1, calls);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        await read.WaitAsync(Limit, Cancellation);

        Assert.Equal(2, calls);
        Assert.True(fixture.Listener.TryAccept(out NetConnection? connection));
        await connection!.DisposeAsync();
        await fixture.Listener.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await fixture.Listener.RawReadAsync(static _ => throw new InvalidOperationException("called")));
    }

    [Fact]
    public async Task NP100_A_raw_write_waits_for_room()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        byte[] chunk = new byte[64 * 1024];
        while (pair.Connection.TryWrite(chunk, out _))
        {
            // Until the system takes no more.
        }

        int calls = 0;
        Task write = pair.Connection.RawWriteAsync(descriptor =>
        {
            calls++;
            return Libc.Send(descriptor, chunk) >= 0;
        }).AsTask();
        await pair.WriterParked();
        Assert.True(calls >= 1);

        pair.Connection.CloseRead();
        Task<byte[]> received = pair.ReceiveAllAsync();
        await write.WaitAsync(Limit, Cancellation);
        Assert.True(calls >= 2);
        pair.Connection.CloseWrite();
        await received.WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task NP100_After_the_close_nobody_is_called()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task waiting = pair.Connection.RawReadAsync(static _ => false).AsTask();
        await pair.ReaderParked();

        await pair.Connection.CloseAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting.WaitAsync(Limit, Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await pair.Connection.RawReadAsync(static _ => throw new InvalidOperationException("called")));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await pair.Connection.RawWriteAsync(static _ => throw new InvalidOperationException("called")));
        Assert.Throws<ObjectDisposedException>(() => pair.Connection.RawControl(static _ => throw new InvalidOperationException("called")));
    }

    [Fact]
    public async Task NP100_The_number_is_the_caller_s_for_the_length_of_a_control_and_it_may_throw()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task close = null!;
        pair.Connection.RawControl(descriptor =>
        {
            Assert.Equal(pair.Connection.Fd.Number, descriptor);
            close = pair.Connection.CloseAsync();
            Assert.False(close.IsCompleted);
            Assert.True(File.Exists($"/proc/self/fd/{descriptor}"));
        });
        await close.WaitAsync(Limit, Cancellation);

        await using Loopback other = await Loopback.ConnectAsync();
        Assert.Throws<InvalidOperationException>(() => other.Connection.RawControl(static _ => throw new InvalidOperationException("mine")));
        await other.Connection.CloseAsync().WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task An_attempt_that_throws_leaves_the_lock()
    {
        await using Loopback pair = await Loopback.ConnectAsync();

        await Assert.ThrowsAsync<InvalidOperationException>(async () => await pair.Connection.RawReadAsync(static _ => throw new InvalidOperationException("mine")));

        await pair.SendAsync(new byte[1]);
        Assert.Equal(1, await pair.Connection.ReadAsync(new byte[1]).AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task Waiting_for_readability_holds_no_buffer_and_consumes_nothing()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task readable = pair.Connection.WaitReadableAsync().AsTask();
        await pair.ReaderParked();

        await pair.SendAsync(new byte[] { 1, 2, 3 });
        await readable.WaitAsync(Limit, Cancellation);
        await pair.Connection.WaitReadableAsync().AsTask().WaitAsync(Limit, Cancellation);

        byte[] buffer = new byte[3];
        Assert.True(pair.Connection.TryRead(buffer, out int count));
        Assert.Equal(3, count);
        pair.Peer.Shutdown(SocketShutdown.Send);
        await pair.Connection.WaitReadableAsync().AsTask().WaitAsync(Limit, Cancellation);
        Assert.Equal(0, await pair.Connection.ReadAsync(buffer));
    }

    [Fact]
    public async Task Waiting_for_writability_ends_when_there_is_room_and_at_the_deadline_when_there_is_none()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        await pair.Connection.WaitWritableAsync().AsTask().WaitAsync(Limit, Cancellation);
        byte[] chunk = new byte[64 * 1024];
        while (pair.Connection.TryWrite(chunk, out _))
        {
            // Until the system takes no more.
        }

        pair.Connection.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(30)));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pair.Connection.WaitWritableAsync().AsTask().WaitAsync(Limit, Cancellation));
        pair.Connection.SetWriteDeadline(Deadline.None);
        Task writable = pair.Connection.WaitWritableAsync().AsTask();
        await pair.WriterParked();
        _ = pair.ReceiveAllAsync();
        await writable.WaitAsync(Limit, Cancellation);
    }

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.Unix)]
    public async Task NP110_Closing_the_read_side_ends_the_read_that_waits_and_leaves_writing_alone(AddressFamily family)
    {
        await using Loopback pair = await Loopback.ConnectAsync(family);
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();

        pair.Connection.CloseRead();

        Assert.Equal(0, await read.WaitAsync(Limit, Cancellation));
        Assert.Equal(0, await pair.Connection.ReadAsync(new byte[1]).AsTask().WaitAsync(Limit, Cancellation));
        await pair.Connection.WriteAsync(new byte[] { 5 });
        byte[] buffer = new byte[2];
        Assert.Equal(1, await pair.Peer.ReceiveAsync(buffer, SocketFlags.None, Cancellation));
    }

    [Fact]
    public async Task NP113_A_poller_knows_the_numbers_that_it_watches_and_those_who_wait()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        int number = pair.Connection.Fd.Number;
        Assert.True(pair.Poller.Monitors(number));
        Assert.False(pair.Poller.Monitors((int)pair.Peer.Handle));
        Assert.Empty(pair.Poller.DumpWaiters());
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();

        string line = Assert.Single(pair.Poller.DumpWaiters());

        Assert.Contains($"{pair.Connection.RemoteEndPoint}", line, StringComparison.Ordinal);
        Assert.Contains("ReadOperation", line, StringComparison.Ordinal);
        Assert.Contains($"Socket {number}", line, StringComparison.Ordinal);
        await pair.Connection.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(Limit, Cancellation));
        Assert.False(pair.Poller.Monitors(number));
        Assert.Empty(pair.Poller.DumpWaiters());
    }

    [Fact]
    public async Task A_listener_on_which_somebody_waits_is_told_from_a_connection()
    {
        await using NetListenerFixture fixture = new();
        Task<NetConnection> accept = fixture.Listener.AcceptAsync().AsTask();
        Poller poller = fixture.Group.Pollers[0];
        await Eventually.True("the accept waits", () => poller.ParkedCount == 1);

        Assert.Contains($"Listener {fixture.Listener.Fd.Number}", Assert.Single(poller.DumpWaiters()), StringComparison.Ordinal);

        PollDescriptor descriptor = fixture.Listener.Fd.Descriptor;
        await fixture.Listener.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => accept.WaitAsync(Limit, Cancellation));
        Assert.Null(descriptor.Kind);
    }

    [Fact]
    public async Task Options_reach_the_system()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        NetConnection connection = pair.Connection;

        connection.SetNoDelay(false);
        Assert.Equal(0, Option(connection, SocketSetting.NoDelay));
        connection.SetNoDelay(true);
        Assert.Equal(1, Option(connection, SocketSetting.NoDelay));
        connection.SetKeepAlive(new KeepAlive(TimeSpan.FromSeconds(41.5), TimeSpan.FromMilliseconds(1), 7));
        Assert.Equal(1, Option(connection, SocketSetting.KeepAlive));
        Assert.Equal(42, Option(connection, SocketSetting.KeepAliveTimeSeconds));
        Assert.Equal(1, Option(connection, SocketSetting.KeepAliveIntervalSeconds));
        Assert.Equal(7, Option(connection, SocketSetting.KeepAliveProbes));
        connection.SetKeepAlive(null);
        Assert.Equal(0, Option(connection, SocketSetting.KeepAlive));
        connection.SetUserTimeout(TimeSpan.FromSeconds(3));
        Assert.Equal(3000, Option(connection, SocketSetting.UserTimeoutMilliseconds));
        connection.SetUserTimeout(null);
        Assert.Equal(0, Option(connection, SocketSetting.UserTimeoutMilliseconds));
        connection.SetSendBuffer(20_000);
        Assert.Equal(40_000, Option(connection, SocketSetting.SendBufferBytes));
        connection.SetReceiveBuffer(20_000);
        Assert.Equal(40_000, Option(connection, SocketSetting.ReceiveBufferBytes));
    }

    [Fact]
    public async Task Options_out_of_their_range_are_refused_and_the_system_s_refusal_is_told()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        NetConnection connection = pair.Connection;

        Assert.Throws<ArgumentOutOfRangeException>(() => connection.SetSendBuffer(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => connection.SetReceiveBuffer(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => connection.SetUserTimeout(TimeSpan.Zero));
        Assert.Throws<ArgumentOutOfRangeException>(() => connection.SetKeepAlive(new KeepAlive(TimeSpan.Zero, TimeSpan.FromSeconds(1), 1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => connection.SetKeepAlive(new KeepAlive(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 1000)));
        OperationOutcome refused = connection.Fd.SetOption(SocketSetting.KeepAliveProbes, 1000);
        Assert.Equal(SocketError.InvalidArgument, refused.Io.Error);
        await connection.CloseAsync();
        Assert.Throws<ObjectDisposedException>(() => connection.SetNoDelay(true));
        Assert.Throws<ObjectDisposedException>(() => connection.SetLinger(TimeSpan.Zero));
        Assert.Throws<ObjectDisposedException>(connection.CloseRead);
    }

    [Fact]
    public async Task A_batch_takes_the_connections_that_wait_and_no_more_than_it_has_room_for()
    {
        await using NetListenerFixture fixture = new();
        List<Socket> peers = [];
        for (int index = 0; index < 5; index++)
        {
            Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            peers.Add(peer);
            await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        }

        NetConnection[] batch = new NetConnection[3];
        Assert.Equal(3, await fixture.Listener.AcceptBatchAsync(batch).AsTask().WaitAsync(Limit, Cancellation));
        NetConnection[] rest = new NetConnection[10];
        Assert.Equal(2, await fixture.Listener.AcceptBatchAsync(rest).AsTask().WaitAsync(Limit, Cancellation));
        Assert.False(fixture.Listener.TryAccept(out NetConnection? none));
        Assert.Null(none);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await fixture.Listener.AcceptBatchAsync(Memory<NetConnection>.Empty));

        NetConnection[] all = [.. batch, .. rest[..2]];
        Assert.Equal(
            peers.Select(static peer => ((IPEndPoint)peer.LocalEndPoint!).Port).Order(),
            all.Select(static connection => connection.RemoteEndPoint!.Port).Order());
        foreach (NetConnection connection in all)
        {
            await connection.DisposeAsync();
        }

        peers.ForEach(static peer => peer.Dispose());
    }

    private static int Option(NetConnection connection, SocketSetting setting)
    {
        Assert.True(connection.Fd.GetOption(setting, out int value).IsSuccess);
        return value;
    }

    private static async Task AssertExpired(Task task, bool isExpired)
    {
        if (isExpired)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(() => task.WaitAsync(Limit, Cancellation));
        }
        else
        {
            await task.WaitAsync(Limit, Cancellation);
        }
    }
}
