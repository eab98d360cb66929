using System.Net;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The examples of docs/actors.md about moving do what the guide says.</summary>
public sealed class ActorsMovingTests
{
    [Fact]
    public async Task A_player_takes_a_seat_at_another_poller_and_is_moved_back()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { PollerCount = 2 } });
        Listener listener = await system.NetPoll().ListenAsync("players", new IPEndPoint(IPAddress.Loopback, 0), static () => new SeatedPlayer());
        await using NetConnection peer = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader hears = new(peer.AsStream());
        await peer.WriteAsync("hello\n"u8.ToArray());
        Assert.Equal("hello", await hears.ReadLineAsync());
        ConnectionTable table = await system.Root.RequestAsync<ConnectionTable>(system.NetPoll().ConnectionTable, new GetConnections());
        ConnectionInfo row = Assert.Single(table.Connections);
        PID other = system.NetPoll().Pollers.First(poller => !poller.Equals(row.Poller));

        system.Root.Send(row.Pid, new Seat(other));
        Assert.Equal("you have a seat", await hears.ReadLineAsync());
        Assert.True(await ActorsMoving.MoveAsync(system, row.Pid, row.Poller));
        Assert.Equal("you have a seat", await hears.ReadLineAsync());
        Assert.False(await ActorsMoving.MoveAsync(system, row.Pid, row.Poller));

        await system.Root.RequestAsync<PollerDrained>(other, new DrainPoller(TimeSpan.Zero));
        system.Root.Send(row.Pid, new Seat(other));
        Assert.Equal("the table is closed", await hears.ReadLineAsync());
    }
}
