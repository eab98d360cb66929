using System.Net;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Moving;

/// <summary>A connection that a plain actor handles changes its poller.</summary>
public sealed class HandledMovingTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 2);
    private readonly RecordingHandler _handler = new();

    [Fact]
    public async Task The_handler_sees_nothing_of_it_and_its_verbs_keep_their_order()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        int moves = StressScale.Rounds(200);
        for (int move = 0; move < moves; move++)
        {
            _server.System.Root.Send(connection, new Write(BitConverter.GetBytes(2 * move)));
            _server.System.Root.Send(connection, new MoveConnection(_server.NetPoll.Pollers[move % 2]));
            _server.System.Root.Send(connection, new Write(BitConverter.GetBytes((2 * move) + 1)));
        }

        byte[] bytes = await peer.ReceiveAsync(moves * 8);
        Assert.Equal(Enumerable.Range(0, 2 * moves), bytes.Chunk(4).Select(static number => BitConverter.ToInt32(number)));
        await peer.SendAsync("hello");
        Assert.Equal("hello"u8.ToArray(), await _handler.NextBytes(5));
        ConnectionMoved moved = await MoveAsync(connection, 1);
        Assert.Contains(moved.Outcome, new[] { MoveOutcome.Moved, MoveOutcome.AlreadyThere });
        Assert.Equal(1, _server.Find(connection)!.Home.Poller.Index);
        Assert.DoesNotContain(_handler.All, static what => what is ConnectionMoved);
    }

    [Fact]
    public async Task When_its_handler_stops_it_is_reset_at_its_new_poller()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        await MoveAsync(connection, 0);
        await MoveAsync(connection, 1);

        await _server.System.Root.StopAsync(_handler.Pid).Soon();

        await peer.ExpectResetAsync();
    }

    [Fact]
    public async Task A_handler_that_stops_during_a_move_resets_it()
    {
        for (int round = 0; round < StressScale.Rounds(100); round++)
        {
            RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
            (Peer peer, PID connection) = await OpenAsync(handler, $"round{round}");
            using Peer _ = peer;
            int here = _server.Find(connection)!.Home.Poller.Index;
            _server.System.Root.Send(connection, new MoveConnection(_server.NetPoll.Pollers[1 - here]));
            await _server.System.Root.StopAsync(handler.Pid).Soon();

            await peer.ExpectResetAsync();
        }
    }

    [Fact]
    public async Task The_handler_may_be_changed_behind_a_move()
    {
        (Peer peer, PID connection) = await OpenAsync();
        using Peer _ = peer;
        RecordingHandler second = new RecordingHandler().Spawn(_server.System);
        int here = _server.Find(connection)!.Home.Poller.Index;
        _server.System.Root.Send(connection, new MoveConnection(_server.NetPoll.Pollers[1 - here]));
        _server.System.Root.Send(connection, new SetHandler(second.Pid));
        await peer.SendAsync("to whom");

        Assert.Equal(connection, (await second.Next<Connected>()).Connection);
        await Eventually.Equal("bytes", 7, () => _handler.BytesReceived + second.BytesReceived);
        await _server.System.Root.StopAsync(_handler.Pid).Soon();
        await peer.SendAsync("again");
        await Eventually.Equal("bytes", 12, () => _handler.BytesReceived + second.BytesReceived);
        await _server.System.Root.StopAsync(second.Pid).Soon();
        await peer.ExpectResetAsync();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Task<ConnectionMoved> MoveAsync(PID connection, int poller) =>
        _server.Ask<ConnectionMoved>(connection, new MoveConnection(_server.NetPoll.Pollers[poller]));

    private Task<(Peer Peer, PID Connection)> OpenAsync() => OpenAsync(_handler.Spawn(_server.System), "handled");

    private async Task<(Peer Peer, PID Connection)> OpenAsync(RecordingHandler handler, string name)
    {
        Listener listener = await _server.NetPoll.ListenAsync(name, new IPEndPoint(IPAddress.Loopback, 0), handler.Pid).Soon();
        Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        return (peer, (await handler.Next<Connected>()).Connection);
    }
}
