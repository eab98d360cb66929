using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The examples of docs/actors.md do what the guide says.</summary>
public sealed class ActorsGuideTests
{
    [Fact]
    public async Task A_host_serves_with_injected_services_and_is_healthy()
    {
        using IHost host = ActorsHosting.Build(["--Logging:LogLevel:Default=Warning"], new IPEndPoint(IPAddress.Loopback, 0));
        await host.StartAsync();
        Listener listener = host.Services.GetRequiredService<NetPollExtension>().FindListener("greetings")!;

        Assert.Equal("hello ada, message 1 of this connection", await AskAsync(listener.EndPoint, "ada"));
        Assert.Equal("hello bob, message 1 of this connection", await AskAsync(listener.EndPoint, "bob"));
        HealthReport health = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        await host.StopAsync();

        Assert.Equal(HealthStatus.Healthy, health.Status);
    }

    [Fact]
    public async Task The_live_table_finds_the_slow_and_closes_the_idle()
    {
        ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await system.NetPoll().ListenAsync(
            "flood", new IPEndPoint(IPAddress.Loopback, 0), static () => new FloodingConnection(), new ListenerOptions { Connections = { MaxOutputBytes = 64 << 20 } });
        using TcpClient client = new();
        await client.ConnectAsync((IPEndPoint)listener.EndPoint);
        await client.GetStream().ReadExactlyAsync(new byte[1]);

        IReadOnlyList<ConnectionInfo> slowest = await ActorsTable.SlowestAsync(system);
        int none = await ActorsTable.CloseIdleAsync(system, TimeSpan.FromHours(1));
        int closed = await ActorsTable.CloseIdleAsync(system, TimeSpan.Zero);

        Assert.Equal(((IPEndPoint)client.Client.LocalEndPoint!).Port, Assert.Single(slowest).RemoteEndPoint!.Port);
        Assert.Equal((0, 1), (none, closed));
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
        await system.ShutdownAsync();
    }

    [Fact]
    public async Task An_actor_lives_on_a_poller_and_a_poller_is_an_actor()
    {
        await using ActorSystem system = new();
        system.WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { PollerCount = 2 } });

        PID scores = ActorsOnPollers.SpawnScores(system);
        system.Root.Send(scores, new Scored("ada", 3));
        system.Root.Send(scores, new Scored("bob", 2));
        system.Root.Send(scores, new Scored("bob", 2));

        Assert.Equal("bob", await system.Root.RequestAsync<string>(scores, new GetBest()));
        Assert.Equal(42, await ActorsOnPollers.CountOnPoller(system, static () => 42));
        Assert.Equal("poller-0 had 0 descriptors; 0 connections had to be reset", await ActorsOnPollers.DrainAsync(system));
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }

    private static async Task<string> AskAsync(EndPoint endPoint, string question)
    {
        using TcpClient client = new();
        await client.ConnectAsync((IPEndPoint)endPoint);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(question));
        byte[] buffer = new byte[256];
        int count = await stream.ReadAsync(buffer);
        return Encoding.UTF8.GetString(buffer, 0, count);
    }

    private sealed class FloodingConnection : ConnectionActor
    {
        protected override void OnConnected() => Send(new byte[32 << 20]);
    }
}
