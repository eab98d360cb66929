using System.Net;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The examples of docs/actors.md about supervision, shutdown, blocking and testing do what the guide says.</summary>
public sealed class ActorsLifeTests
{
    [Fact]
    public async Task A_guest_who_fails_is_gone_the_others_stay_and_a_shutdown_tells_them()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        PID presence = system.Root.Spawn(Props.FromProducer(static () => new Presence()));
        Listener listener = await system.NetPoll().ListenAsync("guests", new IPEndPoint(IPAddress.Loopback, 0), () => new Guest(presence));
        await using NetConnection loud = await new NetDialer().ConnectAsync(listener.EndPoint);
        await using NetConnection silent = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader loudHears = new(loud.AsStream());
        using StreamReader silentHears = new(silent.AsStream());
        Assert.Equal("welcome", await loudHears.ReadLineAsync());
        Assert.Equal("welcome", await silentHears.ReadLineAsync());
        Assert.Equal(2, await system.Root.RequestAsync<int>(presence, new CountPresent()));

        await loud.WriteAsync("hello!\n"u8.ToArray());
        Assert.Null(await loudHears.ReadLineAsync());
        while (await system.Root.RequestAsync<int>(presence, new CountPresent()) != 1)
        {
            await Task.Yield();
        }

        Task stopped = ActorsShutdown.StopAsync(system);
        Assert.Equal("we are closing\n", await silentHears.ReadToEndAsync());
        silent.CloseWrite();
        await stopped;
    }

    [Fact]
    public async Task A_test_owns_the_time() => Assert.Equal("PING", await ActorsTesting.FirstLineAfterAQuietMinuteAsync());

    [Fact]
    public async Task A_handler_that_blocks_answers()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ActorsBlocking.ListenAsync(system, new IPEndPoint(IPAddress.Loopback, 0), static word => word.Length);
        await using NetConnection connection = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader reader = new(connection.AsStream());

        await connection.WriteAsync("four\nfives\n"u8.ToArray());

        Assert.Equal("4", await reader.ReadLineAsync());
        Assert.Equal("5", await reader.ReadLineAsync());
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }
}
