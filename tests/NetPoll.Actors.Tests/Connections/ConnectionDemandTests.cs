using System.Collections.Concurrent;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Receiving on demand, in calls, frames and bytes.</summary>
public sealed class ConnectionDemandTests : IAsyncDisposable
{
    private readonly TestServer _server = new();

    [Fact]
    public async Task As_many_frames_as_were_demanded_are_handed_over_though_more_were_received()
    {
        ConcurrentQueue<string> lines = new();
        Listener listener = await _server.ListenAsync(() => new OnDemand(lines));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        PID connection = PID.FromAddress(_server.System.Address, TestServer.IdOf(listener, 1));

        await peer.SendAsync("one\ntwo\nthree\nfour\nfive\nsix\n");
        await Eventually.Equal("lines", 2, () => lines.Count);
        await peer.SendAsync("seven\n");
        await Ask(connection, 1);
        await Eventually.Equal("lines", 3, () => lines.Count);
        await Ask(connection, 3);
        await Eventually.Equal("lines", 6, () => lines.Count);
        await _server.OnPoller(static () => true);
        Assert.Equal(["one", "two", "three", "four", "five", "six"], lines);

        await Ask(connection, 100);
        await Eventually.Equal("lines", 7, () => lines.Count);
    }

    [Fact]
    public async Task Byte_demands_deliver_every_byte_once_and_in_order()
    {
        Random random = new(Seed.Next());
        byte[] bytes = ConnectionReadingTests.Pattern(200_000);
        ConnectionScript script = new() { Connected = static self => self.Demand(1, DemandUnit.Bytes) };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        Task sending = peer.SendAsync(bytes);
        long demanded = 1;

        while (demanded < bytes.Length)
        {
            long more = Math.Min(random.Next(1, 20_000), bytes.Length - demanded);
            demanded += more;
            await connection.Do(self => self.Demand(more, DemandUnit.Bytes));
            await Eventually.Equal("bytes received", demanded, () => connection.ReceivedBytes.LongLength);
        }

        await sending;
        Assert.True(bytes.AsSpan().SequenceEqual(connection.ReceivedBytes));
    }

    [Fact]
    public async Task The_end_of_a_peer_is_told_when_the_bytes_before_it_were_demanded()
    {
        ConnectionScript script = new() { Connected = static self => self.Demand(2, DemandUnit.Bytes) };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;
        await peer.SendAsync("abc");
        peer.CloseWrite();
        await Eventually.Equal("bytes received", 2, () => connection.ReceivedBytes.Length);
        Assert.DoesNotContain("peer closed", connection.Events);

        await connection.Do(static self => self.ResumeReading());

        Assert.Equal(CloseReason.Peer, (await connection.WhenClosed).Reason);
        Assert.Equal("abc"u8.ToArray(), connection.ReceivedBytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task A_demand_for_nothing_is_refused_by_name(long count)
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;

        await connection.Do(self => Assert.Throws<ArgumentOutOfRangeException>(nameof(count), () => self.Demand(count)));
    }

    [Fact]
    public async Task After_our_side_has_ended_nothing_can_be_sent_and_bytes_still_come()
    {
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;

        await connection.Do(static self =>
        {
            self.Send("last"u8);
            self.CloseWrite();
            Assert.False(self.IsWritable);
            self.Send("never"u8);
        });
        Assert.Equal("last"u8.ToArray(), await peer.ReceiveToEndAsync());
        await peer.SendAsync("more");
        await Eventually.Equal("bytes received", 4, () => connection.ReceivedBytes.Length);
        Assert.False(connection.HasClosed);
        peer.CloseWrite();

        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal((CloseReason.Local, 0L), (closed.Reason, closed.BytesUnsent));
        Assert.DoesNotContain("peer closed", connection.Events);
    }

    [Fact]
    public async Task Our_side_ends_after_everything_that_waits_was_sent()
    {
        byte[] bytes = ConnectionReadingTests.Pattern(3_000_000);
        ConnectionScript script = new();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script, receiveBuffer: 8 * 1024);
        using Peer _ = peer;

        await connection.Do(self =>
        {
            self.Send(bytes);
            self.CloseWrite();
        });

        byte[] received = await peer.ReceiveToEndAsync();
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        peer.CloseWrite();
        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Task Ask(PID connection, int frames)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _server.System.Root.Send(connection, new More(frames, done));
        return done.Task.Soon();
    }

    private sealed record More(int Frames, TaskCompletionSource Done);

    private sealed class OnDemand(ConcurrentQueue<string> lines) : LineConnectionActor(1_000)
    {
        protected override void OnConnected() => Demand(2);

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            lines.Enqueue(Encoding.UTF8.GetString(line));
            return Task.CompletedTask;
        }

        protected override Task OnMessage(object message)
        {
            More more = (More)message;
            Demand(more.Frames);
            more.Done.SetResult();
            return Task.CompletedTask;
        }
    }
}
