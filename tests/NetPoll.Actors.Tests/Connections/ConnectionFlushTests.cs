using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Waiting until the system has taken what was sent.</summary>
public sealed class ConnectionFlushTests : IAsyncDisposable
{
    private const int Large = 16 * 1024 * 1024;

    private static readonly ConnectionOptions Roomy = new()
    {
        MaxOutputBytes = 256 * 1024 * 1024,
        WriteTimeout = Timeout.InfiniteTimeSpan,
        LingerTimeout = TimeSpan.Zero,
    };

    private readonly TestServer _server = new();

    [Fact]
    public async Task What_the_system_takes_at_once_is_not_waited_for()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync();
        using Peer _ = peer;

        await connection.Do(static self =>
        {
            Assert.True(self.FlushAsync().AsTask().IsCompletedSuccessfully);
            self.Send("hello"u8);
            Assert.Equal(5, self.OutputBytes);
            Assert.True(self.FlushAsync().AsTask().IsCompletedSuccessfully);
            Assert.Equal(0, self.OutputBytes);
        });

        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task A_handler_that_awaits_it_goes_on_when_the_peer_has_read_enough()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(Large);
        Task handler = connection.Do(async self =>
        {
            self.Send(bytes);
            await self.FlushAsync();
            Assert.Same(self.Poller, Core.Poller.Current);
            Assert.Equal(0, self.OutputBytes);
            self.Send("and more"u8);
        });
        await Eventually.True("output waits", () => connection.OutputBytes > 0);
        Assert.False(handler.IsCompleted);

        peer.Widen();
        byte[] received = await peer.ReceiveAsync(bytes.Length);
        await handler;

        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Equal("and more", await peer.ReceiveTextAsync(8));
    }

    [Fact]
    public async Task Each_wait_is_for_what_was_sent_before_it_and_not_for_what_comes_later()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        Task[] flushes = new Task[4];
        await connection.Do(self =>
        {
            for (int round = 0; round < flushes.Length; round++)
            {
                self.Send(new byte[Large]);
                flushes[round] = self.FlushAsync().AsTask();
            }
        });

        // The system keeps a part of it for both sides, but never as much as one send.
        peer.Widen();
        for (int round = 0; round < flushes.Length; round++)
        {
            Assert.All(flushes[round..], static flush => Assert.False(flush.IsCompleted));
            await peer.ReceiveAsync(Large);
            await flushes[round].Soon();
        }
    }

    [Theory]
    [InlineData("abort", CloseReason.Aborted)]
    [InlineData("reset", CloseReason.Reset)]
    [InlineData("stop", CloseReason.Shutdown)]
    public async Task The_end_of_the_connection_ends_the_wait_and_is_no_failure_of_the_handler(string way, CloseReason reason)
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        Task handler = connection.Do(static async self =>
        {
            self.Send(new byte[Large]);
            await self.FlushAsync();
        });
        await Eventually.True("output waits", () => connection.OutputBytes > 0);

        switch (way)
        {
            case "abort":
                await _server.OnPoller(() =>
                {
                    connection.Abort();
                    return true;
                });
                break;
            case "reset":
                peer.Reset();
                break;
            default:
                _server.System.Root.Stop(connection.Pid);
                break;
        }

        IOException exception = await Assert.ThrowsAnyAsync<IOException>(() => handler);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Contains($"127.0.0.1:{peer.LocalPort} ended before everything was sent", exception.Message, StringComparison.Ordinal);
        Assert.Equal(reason, closed.Reason);
        Assert.Equal(Large, closed.BytesSent + closed.BytesUnsent);
        Assert.Equal(1, connection.Closings);
        await Eventually.True("the PID is gone", () => _server.Find(connection.Pid) is null);
        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task An_exception_of_the_handler_s_own_after_the_end_is_reported_all_the_same()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        Task handler = connection.Do(static async self =>
        {
            self.Send(new byte[Large]);
            try
            {
                await self.FlushAsync();
            }
            catch (IOException)
            {
                throw new InvalidOperationException("on purpose");
            }
        });
        await Eventually.True("output waits", () => connection.OutputBytes > 0);

        peer.Reset();
        await Assert.ThrowsAsync<InvalidOperationException>(() => handler);

        Assert.Equal(CloseReason.Reset, (await connection.WhenClosed).Reason);
        await Eventually.Equal("errors", 1, () => _server.Log.Errors.Count);
    }

    [Fact]
    public async Task After_the_end_there_is_nothing_to_wait_for()
    {
        TaskCompletionSource<Exception?> failure = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ConnectionScript script = new() { Closed = self => failure.SetResult(self.FlushAsync().AsTask().Exception?.InnerException) };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script, Roomy), script);
        using Peer _ = peer;

        await connection.Do(static self => self.Abort());

        Assert.IsAssignableFrom<IOException>(await failure.Task.Soon());
    }

    [Fact]
    public async Task A_wait_can_be_given_up_and_what_was_sent_stays_sent()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        using CancellationTokenSource stop = new();
        byte[] bytes = ConnectionReadingTests.Pattern(Large);
        Task handler = connection.Do(async self =>
        {
            self.Send(bytes);
            OperationCanceledException exception = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => self.FlushAsync(stop.Token).AsTask());
            Assert.Equal(stop.Token, exception.CancellationToken);
            Assert.Same(self.Poller, Core.Poller.Current);
            self.Send("more"u8);
        });
        await Eventually.True("output waits", () => connection.OutputBytes > 0);

        await stop.CancelAsync();
        await handler;

        peer.Widen();
        byte[] received = await peer.ReceiveAsync(bytes.Length);
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Equal("more", await peer.ReceiveTextAsync(4));
    }

    [Fact]
    public async Task Payloads_that_are_dropped_meanwhile_are_not_waited_for()
    {
        const int FrameSize = 8 * 1024;
        ConnectionOptions options = new()
        {
            OutputHighWatermark = 100_000,
            MaxOutputBytes = 100_000,
            SlowConsumerPolicy = SlowConsumerPolicy.DropOldest,
            LingerTimeout = TimeSpan.Zero,
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(options, receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        List<Task> flushes = [];
        int count = 0;
        while ((await _server.OnPoller(() => connection.DroppedOutput)).Payloads < 100)
        {
            int number = count++;
            await connection.Do(self =>
            {
                using SharedPayload payload = NumberedFrames.MakePayload(number, FrameSize);
                self.Send(payload);
                flushes.Add(self.FlushAsync().AsTask());
            });
        }

        // In whatever order they are told: the last one only when everything has left.
        Task last = Task.WhenAll(flushes);
        Assert.False(last.IsCompleted);
        peer.Widen();
        int received = -1;
        while (received < count - 1)
        {
            received = await NumberedFrames.ReceiveAsync(peer);
        }

        await last.Soon();
        Assert.All(flushes, static flush => Assert.True(flush.IsCompletedSuccessfully));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(int receiveBuffer = 0) => OpenAsync(Roomy, receiveBuffer);

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionOptions options, int receiveBuffer)
    {
        ConnectionScript script = new();
        return await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer);
    }
}
