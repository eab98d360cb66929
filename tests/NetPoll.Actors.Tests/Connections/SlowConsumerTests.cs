using NetPoll.Actors.Tests.Support;
using NetPoll.Core.Backends;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>A peer that takes too little: what is kept for it is bounded, and the policy decides what is given up.</summary>
public sealed class SlowConsumerTests : IAsyncDisposable
{
    private const int FrameSize = 8 * 1024;
    private const int Frames = 1_000;

    private readonly TestServer _server = new();

    [Theory]
    [InlineData(SlowConsumerPolicy.DropNewest)]
    [InlineData(SlowConsumerPolicy.DropOldest)]
    public async Task What_is_dropped_is_whole_payloads_and_all_of_them_are_counted(SlowConsumerPolicy policy)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(Limited(policy, 100_000), receiveBuffer: 8 * 1024);
        using Peer _ = peer;

        // One by one, as they come in life, to a peer that reads nothing.
        for (int number = 0; number < Frames; number++)
        {
            int sent = number;
            await connection.Do(self =>
            {
                using SharedPayload payload = NumberedFrames.MakePayload(sent, FrameSize);
                self.Send(payload);
                Assert.InRange(self.OutputBytes, 0, 100_000);
            });
        }

        DroppedOutput dropped = await _server.OnPoller(() => connection.DroppedOutput);
        await connection.Do(static self => self.Close());
        peer.Widen();
        List<int> received = NumberedFrames.Parse(await peer.ReceiveToEndAsync());
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Local, closed.Reason);
        Assert.Equal(received.Order().Distinct(), received);
        Assert.True(dropped.Payloads > 0);
        Assert.Equal(Frames - received.Count, dropped.Payloads);
        Assert.Equal(dropped.Payloads * FrameSize, dropped.Bytes);
        Assert.Equal(dropped.Payloads, connection.Events.OfType<DroppedOutput>().Sum(static notice => notice.Payloads));
        Assert.Equal(dropped.Bytes, connection.Events.OfType<DroppedOutput>().Sum(static notice => notice.Bytes));

        // The newest: what came when it was full is missing. The oldest: what the peer gets last is what was sent last.
        Assert.Equal(0, received[0]);
        Assert.Equal(policy == SlowConsumerPolicy.DropOldest, received[^1] == Frames - 1);
        Assert.Equal(policy == SlowConsumerPolicy.DropNewest, received[^1] == received.Count - 1);
        await ExpectNothingKeptAsync();
    }

    [Fact]
    public async Task Taken_up_again_the_peer_misses_what_was_dropped_and_gets_what_comes_after()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(Limited(SlowConsumerPolicy.DropNewest, 100_000), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        int next = 0;
        await SendUntilDroppedAsync(connection, () => next++);
        int last = next - 1;

        peer.Widen();
        int received = -1;
        while (received < last - 1)
        {
            Assert.Equal(received + 1, await NumberedFrames.ReceiveAsync(peer));
            received++;
        }

        await Eventually.Equal("output that waits", 0L, () => connection.OutputBytes);
        await connection.Do(self =>
        {
            using SharedPayload payload = NumberedFrames.MakePayload(next, FrameSize);
            self.Send(payload);
        });

        Assert.Equal(next, await NumberedFrames.ReceiveAsync(peer));
        Assert.Equal(1, (await _server.OnPoller(() => connection.DroppedOutput)).Payloads);
    }

    [Theory]
    [InlineData(SlowConsumerPolicy.DropNewest)]
    [InlineData(SlowConsumerPolicy.DropOldest)]
    public async Task Bytes_are_never_dropped_and_keep_their_place_among_the_payloads(SlowConsumerPolicy policy)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(Limited(policy, 200_000), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        List<int> sentAsBytes = [];
        int number = 0;

        // Every twentieth goes as bytes, small ones, so that they alone never fill the queue.
        while ((await _server.OnPoller(() => connection.DroppedOutput)).Payloads < 300)
        {
            int sent = number++;
            bool isBytes = sent % 20 == 7;
            if (isBytes)
            {
                sentAsBytes.Add(sent);
            }

            await connection.Do(self =>
            {
                if (isBytes)
                {
                    self.Send(NumberedFrames.Make(sent, 100));
                    return;
                }

                using SharedPayload payload = NumberedFrames.MakePayload(sent, FrameSize);
                self.Send(payload);
            });
        }

        await connection.Do(static self => self.Close());
        peer.Widen();
        List<int> received = NumberedFrames.Parse(await peer.ReceiveToEndAsync());

        Assert.Equal(received.Order().Distinct(), received);
        Assert.Equal(sentAsBytes, received.Where(static sent => sent % 20 == 7));
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        Assert.Equal(number - received.Count, connection.DroppedOutput.Payloads);
    }

    [Theory]
    [InlineData(SlowConsumerPolicy.Close)]
    [InlineData(SlowConsumerPolicy.DropNewest)]
    [InlineData(SlowConsumerPolicy.DropOldest)]
    public async Task Bytes_for_which_nothing_can_make_room_end_the_connection(SlowConsumerPolicy policy)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(Limited(policy, 100_000), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        long sent = 0;

        while (!connection.HasClosed)
        {
            await Task.WhenAny(
                connection.Do(self =>
                {
                    self.Send(new byte[30_000]);
                    sent += 30_000;
                    Assert.InRange(self.OutputBytes, 0, 100_000);
                }),
                connection.WhenClosed);
        }

        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(CloseReason.SlowConsumer, closed.Reason);
        Assert.Contains("MaxOutputBytes is 100000", closed.Exception!.Message, StringComparison.Ordinal);
        Assert.Equal(sent, closed.BytesSent + closed.BytesUnsent);
        await peer.ExpectResetAsync();
        await ExpectNothingKeptAsync();
    }

    [Fact]
    public async Task A_payload_of_which_a_part_was_sent_is_not_dropped()
    {
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAccepts(socket);
        await using TestServer server = new(options: new Core.PollerOptions { Platform = platform });
        ConnectionScript script = new();
        await server.ListenAsync(script, Limited(SlowConsumerPolicy.DropOldest, 3 * FrameSize));
        ScriptedConnection connection = await script.ConnectionOf(socket.RemoteEndPoint!.Port);

        socket.ThenTakes(3).ThenWriteFails(ScriptedSocket.WouldBlock);
        await SendFrameAsync(0);
        await Eventually.Equal("bytes written", 3, () => socket.Written.Length);
        for (int number = 1; number < 10; number++)
        {
            await SendFrameAsync(number);
        }

        platform.Backend.Inject(socket, PollEventFlags.Write);
        await Eventually.Equal("bytes written", 3 * FrameSize, () => socket.Written.Length);

        Assert.Equal([0, 8, 9], NumberedFrames.Parse(socket.Written));
        Assert.Equal(7, connection.DroppedOutput.Payloads);

        Task SendFrameAsync(int number) => connection.Do(self =>
        {
            using SharedPayload payload = NumberedFrames.MakePayload(number, FrameSize);
            self.Send(payload);
        });
    }

    [Fact]
    public async Task Members_of_a_group_that_keep_up_get_everything_whatever_is_dropped_for_the_others()
    {
        ConnectionScript script = new();
        Listener listener = await _server.ListenAsync(script, Limited(SlowConsumerPolicy.DropOldest, 1_000_000));
        (Peer slow, ScriptedConnection slowConnection) = await TestServer.OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        using Peer _ = slow;
        (Peer fast, ScriptedConnection fastConnection) = await TestServer.OpenAsync(listener, script);
        using Peer __ = fast;
        ConnectionGroup group = new(_server.System, "readers");
        group.Join(slowConnection.Pid);
        group.Join(fastConnection.Pid);

        for (int number = 0; number < Frames; number++)
        {
            using SharedPayload payload = NumberedFrames.MakePayload(number, FrameSize);
            group.Publish(payload);
            Assert.Equal(number, await NumberedFrames.ReceiveAsync(fast));
        }

        await slowConnection.Do(static self => self.Close());
        slow.Widen();
        List<int> received = NumberedFrames.Parse(await slow.ReceiveToEndAsync());
        Assert.Equal(received.Order().Distinct(), received);
        Assert.Equal(Frames - 1, received[^1]);
        Assert.InRange(received.Count, 1, Frames - 1);
        Assert.Equal(0, (await _server.OnPoller(() => fastConnection.DroppedOutput)).Payloads);
    }

    [Fact]
    public async Task A_payload_larger_than_the_limit_arrives_where_the_system_takes_it()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(Limited(SlowConsumerPolicy.Close, 10_000), receiveBuffer: 1024 * 1024);
        using Peer _ = peer;

        await connection.Do(static self =>
        {
            using SharedPayload payload = NumberedFrames.MakePayload(5, 60_000);
            self.Send(payload);
        });

        Assert.Equal(5, await NumberedFrames.ReceiveAsync(peer));
    }

    [Theory]
    [InlineData(SlowConsumerPolicy.Close)]
    [InlineData(SlowConsumerPolicy.DropNewest)]
    [InlineData(SlowConsumerPolicy.DropOldest)]
    public async Task At_the_limit_of_the_process_the_connection_that_is_furthest_behind_gives_way(SlowConsumerPolicy policy)
    {
        const int Limit = 1_000_000;
        await using TestServer server = new(maxOutputBytes: Limit);
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script, Limited(policy, 900_000));
        (Peer stuckPeer, ScriptedConnection stuck) = await TestServer.OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        using Peer _ = stuckPeer;
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        using Peer __ = peer;
        int count = 0;
        while (await server.OnPoller(() => stuck.OutputBytes) < 800_000)
        {
            await SendFrameAsync(stuck, count++);
        }

        // Less than the other one has, and together too much.
        int sent = 0;
        while (await server.OnPoller(() => connection.OutputBytes) < 300_000)
        {
            await SendFrameAsync(connection, sent++);
            Assert.InRange(server.NetPoll.OutputBudget.Taken, 0, Limit);
        }

        if (policy == SlowConsumerPolicy.Close)
        {
            ConnectionClosed closed = await stuck.WhenClosed;
            Assert.Equal(CloseReason.SlowConsumer, closed.Reason);
            Assert.Contains($"NetPollOptions.MaxOutputBytes is {Limit}", closed.Exception!.Message, StringComparison.Ordinal);
        }
        else
        {
            Assert.True((await server.OnPoller(() => stuck.DroppedOutput)).Payloads > 0);
            Assert.False(stuck.HasClosed);
        }

        await connection.Do(static self => self.Close());
        peer.Widen();
        Assert.Equal(Enumerable.Range(0, sent), NumberedFrames.Parse(await peer.ReceiveToEndAsync()));
        stuckPeer.Dispose();
        await stuck.WhenClosed;
        await Eventually.Equal("bytes counted", 0L, () => server.NetPoll.OutputBudget.Taken);

        static Task SendFrameAsync(ScriptedConnection connection, int number) => connection.Do(self =>
        {
            using SharedPayload payload = NumberedFrames.MakePayload(number, FrameSize);
            self.Send(payload);
        });
    }

    [Theory]
    [InlineData(SlowConsumerPolicy.Close)]
    [InlineData(SlowConsumerPolicy.DropNewest)]
    public async Task Alone_at_the_limit_of_the_process_a_connection_is_treated_as_at_its_own(SlowConsumerPolicy policy)
    {
        await using TestServer server = new(maxOutputBytes: 100_000);
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await server.ListenAsync(script, Limited(policy, 10_000_000)), script, receiveBuffer: 8 * 1024);
        using Peer _ = peer;

        while (!connection.HasClosed && (await server.OnPoller(() => connection.DroppedOutput)).Payloads == 0)
        {
            await server.OnPoller(() =>
            {
                using SharedPayload payload = NumberedFrames.MakePayload(1, FrameSize);
                connection.Send(payload);
                return true;
            });
        }

        if (policy == SlowConsumerPolicy.Close)
        {
            Assert.Equal(CloseReason.SlowConsumer, (await connection.WhenClosed).Reason);
        }
        else
        {
            Assert.False(connection.HasClosed);
        }
    }

    [Theory]
    [InlineData((SlowConsumerPolicy)7, "SlowConsumerPolicy is 7; expected Close, DropNewest, DropOldest")]
    public async Task A_policy_that_there_is_not_is_refused(SlowConsumerPolicy policy, string expected)
    {
        ArgumentException exception = await Assert.ThrowsAsync<ArgumentException>(() => _server.ListenAsync(new ConnectionScript(), Limited(policy, 1_000_000)));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void A_limit_of_the_process_that_lets_nothing_wait_is_refused(long limit)
    {
        ArgumentException exception = Assert.Throws<ArgumentException>(() => new NetPollOptions { MaxOutputBytes = limit }.Validate());

        Assert.Contains($"NetPollOptions.MaxOutputBytes is {limit}; expected 1 or more", exception.Message, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static ConnectionOptions Limited(SlowConsumerPolicy policy, int most) => new()
    {
        OutputHighWatermark = most / 2,
        MaxOutputBytes = most,
        SlowConsumerPolicy = policy,
        LingerTimeout = TimeSpan.Zero,
        WriteTimeout = Timeout.InfiniteTimeSpan,
    };

    private static async Task SendUntilDroppedAsync(ScriptedConnection connection, Func<int> next)
    {
        bool isFull = false;
        while (!isFull)
        {
            await connection.Do(self =>
            {
                using SharedPayload payload = NumberedFrames.MakePayload(next(), FrameSize);
                self.Send(payload);
                isFull = self.DroppedOutput.Payloads > 0;
            });
        }
    }

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionOptions options, int receiveBuffer)
    {
        ConnectionScript script = new();
        return await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer);
    }

    private Task ExpectNothingKeptAsync() => Eventually.Equal("bytes counted", 0L, () => _server.NetPoll.OutputBudget.Taken);
}
