using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using NetPoll.Actors;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Hosting.Tests.Support;
using Proto;

namespace NetPoll.Hosting.Tests;

/// <summary>Datagram sockets of a host.</summary>
public sealed class DatagramTests
{
    [Fact]
    public async Task They_serve_from_the_start_of_the_host_to_its_stop_whichever_way_they_are_handled()
    {
        await using TestHost host = await TestHost.StartAsync(static services =>
        {
            services.AddSingleton(new Suffix("!"));
            services.AddNetPoll(static options => options.Pollers.PollerCount = 2)
                .BindDatagrams<Shout>(TestHost.AnyPort)
                .BindDatagrams("peers", TestHost.AnyPort, static (services, _) => new Counter(services.GetRequiredService<Suffix>()))
                .BindDatagrams("plain", TestHost.AnyPort, static services =>
                    services.GetRequiredService<ActorSystem>().Root.Spawn(Props.FromProducer(() => new Counter(services.GetRequiredService<Suffix>()))));
        });

        Assert.Equal("hello!", await AskAsync(host, nameof(Shout), "hello"));
        Assert.Equal("1!", await AskAsync(host, "peers", "hello"));
        Assert.Equal("1!", await AskAsync(host, "peers", "hello"));
        Assert.Equal("1!", await AskAsync(host, "plain", "hello"));
        Assert.Equal("2!", await AskAsync(host, "plain", "hello"));
        await host.StopAsync();

        Assert.Empty(host.NetPoll.DatagramSockets);
    }

    [Fact]
    public async Task Wrong_options_and_missing_services_stop_the_start()
    {
        await using TestHost wrong = TestHost.Build(static services =>
        {
            services.AddSingleton(new Suffix("!"));
            services.AddNetPoll().BindDatagrams<Shout>("shout", TestHost.AnyPort, static options => options.MaxPeers = 0);
        });
        OptionsValidationException options = await Assert.ThrowsAsync<OptionsValidationException>(() => wrong.StartAsync());
        Assert.Contains("Datagram socket 'shout': DatagramOptions.MaxPeers is 0; expected 1 or more", options.Message, StringComparison.Ordinal);

        await using TestHost missing = TestHost.Build(static services => services.AddNetPoll().BindDatagrams<Shout>(TestHost.AnyPort));
        InvalidOperationException service = await Assert.ThrowsAsync<InvalidOperationException>(() => missing.StartAsync());
        Assert.Contains(nameof(Suffix), service.Message, StringComparison.Ordinal);

        ArgumentException name = Assert.Throws<ArgumentException>(
            () => new ServiceCollection().AddNetPoll().BindDatagrams<Shout>(TestHost.AnyPort).BindDatagrams<Shout>(TestHost.AnyPort));
        Assert.Contains("'Shout'", name.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_was_stopped_makes_the_host_unhealthy()
    {
        await using TestHost host = await TestHost.StartAsync(static services =>
        {
            services.AddSingleton(new Suffix("!"));
            services.AddNetPoll().BindDatagrams<Shout>("shout", TestHost.AnyPort);
            services.AddHealthChecks().AddNetPoll();
        });
        HealthCheckService checks = host.Services.GetRequiredService<HealthCheckService>();
        Assert.Equal(HealthStatus.Healthy, (await checks.CheckHealthAsync(TestContext.Current.CancellationToken)).Status);

        await host.System.Root.StopAsync(host.NetPoll.FindDatagramSocket("shout")!.Pid).Soon();

        HealthReport report = await checks.CheckHealthAsync(TestContext.Current.CancellationToken);
        Assert.Equal("datagram socket 'shout' is not open.", Assert.Single(report.Entries).Value.Description);
    }

    private static async Task<string> AskAsync(TestHost host, string socket, string question)
    {
        using DatagramPeer peer = new();
        peer.Say(question, host.NetPoll.FindDatagramSocket(socket)!.LocalEndPoint);
        return await peer.Hears();
    }

    private sealed record Suffix(string Text);

    private sealed class Shout(Suffix suffix) : DatagramActor
    {
        protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes) =>
            Send(Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes) + suffix.Text), datagram.From);
    }

    private sealed class Counter(Suffix suffix) : IActor
    {
        private int _count;

        public Task ReceiveAsync(IContext context)
        {
            if (context.Message is Datagram datagram)
            {
                context.Send(datagram.Socket, new SendDatagram(Encoding.UTF8.GetBytes($"{++_count}{suffix.Text}"), datagram.From));
            }

            return Task.CompletedTask;
        }
    }
}
