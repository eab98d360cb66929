using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NetPoll.Actors;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Hosting.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Hosting.Tests;

/// <summary>The health check tells whether the host can serve, and what is wrong.</summary>
public sealed class HealthCheckTests
{
    [Fact]
    public async Task A_host_that_serves_is_healthy()
    {
        await using TestHost host = await TestHost.StartAsync(Configure);

        HealthReportEntry entry = await CheckAsync(host);

        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.Equal("2 pollers run; 1 listeners listen.", entry.Description);
        Assert.Equal([host.NetPoll.FindListener("echo")!.EndPoint.ToString()], Assert.IsType<string[]>(entry.Data["listeners"]));
    }

    [Fact]
    public async Task It_is_unhealthy_before_the_start_and_from_the_stop_on()
    {
        await using TestHost host = TestHost.Build(Configure);

        HealthReportEntry before = await CheckAsync(host);
        await host.StartAsync();
        await host.StopAsync();
        HealthReportEntry after = await CheckAsync(host);

        Assert.Equal((HealthStatus.Unhealthy, "NetPoll has not started."), (before.Status, before.Description));
        Assert.Equal((HealthStatus.Unhealthy, "NetPoll is stopping."), (after.Status, after.Description));
    }

    [Fact]
    public async Task A_listener_that_was_stopped_is_named()
    {
        await using TestHost host = await TestHost.StartAsync(Configure);

        await host.System.Root.StopAsync(host.NetPoll.FindListener("echo")!.Pid).Soon();

        HealthReportEntry entry = await CheckAsync(host);
        Assert.Equal((HealthStatus.Unhealthy, "listener 'echo' does not listen."), (entry.Status, entry.Description));
    }

    [Fact]
    public async Task A_poller_that_is_held_is_named_while_it_is()
    {
        using ManualResetEventSlim gate = new();
        TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            Configure(services);
            services.Configure<NetPollOptions>(static options => options.Pollers.StallThreshold = TimeSpan.FromMilliseconds(50));
            services.AddNetPoll().Listen("blocking", TestHost.AnyPort, _ => new BlockingConnection(entered, gate));
        });
        using Peer peer = await host.ConnectAsync("blocking");
        await entered.Task.Soon();

        HealthReportEntry entry = default;
        await Eventually.True("the check notices it", () => (entry = CheckAsync(host).GetAwaiter().GetResult()).Status != HealthStatus.Healthy);

        gate.Set();
        Assert.Equal(HealthStatus.Degraded, entry.Status);
        Assert.Matches(@"^netpoll/poller-\d has been held for 00:00:\d\d\.\d+\.$", entry.Description);
        await Eventually.Equal("the status after the turn has ended", HealthStatus.Healthy, () => CheckAsync(host).GetAwaiter().GetResult().Status);
    }

    [Fact]
    public async Task A_poller_that_has_ended_is_named()
    {
        ScriptedPlatform platform = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddHealthChecks().AddNetPoll();
            services.AddNetPoll(options => options.Pollers = new PollerOptions { PollerCount = 2, Platform = platform });
        });
        platform.Backends[1].FailWait(new IOException("the system refuses"));

        await Eventually.Equal("the status", HealthStatus.Unhealthy, () => CheckAsync(host).GetAwaiter().GetResult().Status);

        Assert.Equal("netpoll/poller-1 has ended.", (await CheckAsync(host)).Description);
    }

    private static void Configure(IServiceCollection services)
    {
        services.AddHealthChecks().AddNetPoll();
        services.AddNetPoll(static options => options.Pollers.PollerCount = 2).Listen<EchoConnection>("echo", TestHost.AnyPort);
    }

    private static async Task<HealthReportEntry> CheckAsync(TestHost host)
    {
        HealthReport report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken).Soon();
        return report.Entries["netpoll"];
    }

    private sealed class BlockingConnection : ConnectionActor
    {
        private readonly TaskCompletionSource _entered;
        private readonly ManualResetEventSlim _gate;

        public BlockingConnection(TaskCompletionSource entered, ManualResetEventSlim gate)
        {
            _entered = entered;
            _gate = gate;
        }

        protected override void OnConnected()
        {
            _entered.SetResult();
            _gate.Wait();
        }
    }
}
