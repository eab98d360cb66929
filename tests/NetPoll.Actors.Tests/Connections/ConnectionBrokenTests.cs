using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>A reset that comes while nobody reads: what the peer sent before is delivered, and then the end.</summary>
public sealed class ConnectionBrokenTests : IAsyncDisposable
{
    private const int Size = 30_000;

    private readonly TestServer _server = new();
    private readonly byte[] _bytes = ConnectionReadingTests.Pattern(Size);

    [Theory]
    [InlineData("suspended")]
    [InlineData("without demand")]
    [InlineData("suspended at each delivery")]
    public async Task Bytes_before_a_reset_are_delivered_and_then_the_end_whatever_held_them_back(string how)
    {
        ConnectionScript script = new()
        {
            Received = (self, bytes) =>
            {
                self.Keep(bytes);
                if (how == "suspended at each delivery")
                {
                    self.SuspendReading();
                }

                return bytes.Length;
            },
        };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        int before = how == "without demand" ? 1 : 0;
        if (how == "without demand")
        {
            await connection.Do(static self => self.Demand(1, DemandUnit.Bytes));
        }
        else
        {
            await connection.Do(static self => self.SuspendReading());
        }

        await peer.SendAsync(_bytes);
        await Eventually.Equal("bytes before the reset", before, () => connection.ReceivedBytes.Length);
        peer.Reset();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Reset, closed.Reason);
        Assert.IsAssignableFrom<IOException>(closed.Exception);
        Assert.Equal(Size, closed.BytesReceived);
        Assert.True(_bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
        Assert.Equal(["connected", closed], connection.Events);
        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task A_plain_actor_that_suspended_gets_them_before_the_end()
    {
        RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync("plain", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID connection = (await handler.Next<Connected>()).Connection;
        await _server.Ask<ReadingSuspended>(connection, SuspendReading.Instance);
        await peer.SendAsync(_bytes);

        peer.Reset();

        byte[] received = await handler.NextBytes(Size);
        Assert.True(_bytes.AsSpan().SequenceEqual(received));
        ConnectionClosed closed = await handler.Next<ConnectionClosed>();
        Assert.Equal(CloseReason.Reset, closed.Reason);
    }

    [Fact]
    public async Task Frames_that_a_handler_takes_one_after_the_other_are_all_handled_before_the_end()
    {
        SlowLines lines = new();
        Listener listener = await _server.ListenAsync(() => lines);
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await lines.HasConnected.Soon();
        await peer.SendAsync(string.Concat(Enumerable.Range(0, 1000).Select(static number => $"{number}\n")));

        peer.Reset();
        ConnectionClosed closed = await lines.WhenClosed.Soon();

        Assert.Equal(Enumerable.Range(0, 1000), lines.Numbers);
        Assert.Equal(CloseReason.Reset, closed.Reason);
    }

    [Theory]
    [InlineData("bytes")]
    [InlineData("a payload")]
    public async Task What_is_sent_when_the_corked_bytes_before_it_break_does_not_hold_the_close_up(string second)
    {
        const int Corked = 100;
        const int Rest = 200_000;
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        await connection.Do(static self => self.SuspendReading());
        await peer.SendAsync(_bytes);

        await connection.Do(self =>
        {
            // The event of it waits behind this turn.
            peer.Reset();
            self.Send(new byte[Corked]);
            if (second == "bytes")
            {
                self.Send(new byte[Rest]);
            }
            else
            {
                using SharedPayload payload = SharedPayload.Copy(new byte[Rest]);
                self.Send(payload);
            }

            self.Close();
        });
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(Corked + Rest, closed.BytesSent + closed.BytesUnsent);
    }

    [Fact]
    public async Task Above_the_high_watermark_they_come_and_what_waits_counts_as_unsent()
    {
        const int Sent = 8 * 1024 * 1024;
        ConnectionScript script = new();
        ConnectionOptions options = new() { OutputHighWatermark = 64 * 1024, MaxOutputBytes = 64 * 1024 * 1024 };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        await connection.Do(static self => self.Send(new byte[Sent]));
        await Eventually.True("the handler was told", () => connection.Events.Contains("writes suspended"));
        await peer.SendAsync(_bytes);

        peer.Reset();
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.True(_bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
        Assert.Equal(CloseReason.Reset, closed.Reason);
        Assert.Equal(Sent, closed.BytesSent + closed.BytesUnsent);
        Assert.NotEqual(0, closed.BytesUnsent);
    }

    [Fact]
    public async Task Whether_a_write_or_the_event_meets_the_reset_first_makes_no_difference()
    {
        ConnectionScript script = new()
        {
            Received = static (self, bytes) =>
            {
                self.Keep(bytes);
                self.Send(bytes);
                return bytes.Length;
            },
        };
        Listener listener = await _server.ListenAsync(script);
        for (int round = 0; round < StressScale.Rounds(40); round++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            using Peer _ = peer;
            await connection.Do(static self => self.SuspendReading());
            await peer.SendAsync(_bytes);

            Task<bool> writes = _server.OnPoller(() =>
            {
                // Nobody else runs on this thread: the reset is met by the second write at the latest, and the event waits.
                peer.Reset();
                connection.Send(new byte[100]);
                connection.FlushAsync().AsTask().ContinueWith(static flush => flush.Exception, TaskScheduler.Default);
                connection.Send(new byte[100]);
                return true;
            });
            await writes;
            ConnectionClosed closed = await connection.WhenClosed;

            Assert.True(_bytes.AsSpan().SequenceEqual(connection.ReceivedBytes), $"{connection.ReceivedBytes.Length} of {Size} bytes came in round {round}.");
            Assert.Equal(CloseReason.Reset, closed.Reason);
            Assert.Equal(1, connection.Closings);
        }

        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task Everything_before_a_FIN_waits_for_the_resume_however_much_it_is()
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        byte[] bytes = ConnectionReadingTests.Pattern(1024 * 1024);
        await connection.Do(static self => self.SuspendReading());
        Task sending = peer.SendAsync(bytes).ContinueWith(_ => peer.CloseWrite(), TaskScheduler.Default);
        await connection.Do(static _ => { });
        Assert.Empty(connection.ReceivedBytes);

        await connection.Do(static self => self.ResumeReading());
        ConnectionClosed closed = await connection.WhenClosed;
        await sending.Soon();

        Assert.True(bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
        Assert.Equal(["connected", "peer closed", closed], connection.Events);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private sealed class SlowLines : LineConnectionActor
    {
        private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<ConnectionClosed> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task HasConnected => _connected.Task;

        public Task<ConnectionClosed> WhenClosed => _closed.Task;

        public List<int> Numbers { get; } = [];

        protected override void OnConnected()
        {
            // Until the reset nothing is taken.
            SuspendReading();
            _connected.SetResult();
        }

        protected override Task OnLine(ReadOnlySpan<byte> line) => Add(int.Parse(line, System.Globalization.CultureInfo.InvariantCulture));

        protected override void OnClosed(ConnectionClosed closed) => _closed.SetResult(closed);

        private async Task Add(int number)
        {
            await Task.Yield();
            Numbers.Add(number);
        }
    }
}
