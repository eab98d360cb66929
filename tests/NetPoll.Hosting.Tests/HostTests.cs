using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NetPoll.Actors;
using NetPoll.Actors.Tests.Support;
using NetPoll.Hosting.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Hosting.Tests;

/// <summary>NetPoll starts and stops with the host.</summary>
public sealed class HostTests
{
    [Fact]
    public async Task A_listener_serves_from_the_start_of_the_host_to_its_stop()
    {
        await using TestHost host = await TestHost.StartAsync(static services =>
            services.AddNetPoll(static options => options.Pollers.PollerCount = 2).Listen<EchoConnection>(TestHost.AnyPort));
        using Peer peer = await host.ConnectAsync(nameof(EchoConnection));

        await peer.SendAsync("hello");
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        Assert.Equal(2, host.NetPoll.Pollers.Count);
        peer.CloseWriteWhenItEnds();
        await host.StopAsync();

        Assert.Empty(host.NetPoll.Listeners);
        Assert.True(host.System.Shutdown.IsCancellationRequested);
    }

    [Fact]
    public async Task A_listener_of_the_host_may_be_at_a_path()
    {
        using TemporaryFolder folder = new();
        await using TestHost host = await TestHost.StartAsync(services =>
            services.AddNetPoll(static options => options.Pollers.PollerCount = 2).Listen<EchoConnection>(new UnixDomainSocketEndPoint(folder["socket"])));
        using Peer peer = await host.ConnectAsync(nameof(EchoConnection));

        await peer.SendAsync("hello");
        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        peer.CloseWriteWhenItEnds();
        await host.StopAsync();

        Assert.False(File.Exists(folder["socket"]));
    }

    [Fact]
    public async Task Connections_end_and_their_services_are_disposed_before_any_other_service_is_told_to_stop()
    {
        Journal journal = new();
        TaskCompletionSource gate = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddSingleton(journal);
            services.AddScoped<Ticket>();
            services.AddNetPoll().Listen<TicketConnection>("tickets", TestHost.AnyPort);
            services.AddHostedService<Neighbour>();
        });
        journal.Gate = gate.Task;
        using Peer peer = await host.ConnectAsync("tickets");
        string ticket = (await peer.ReceiveTextAsync(6)).TrimStart('0');

        peer.CloseWriteWhenItEnds();
        Task stopping = host.StopAsync();
        await Eventually.True("the connection's service is being disposed", () => journal.Entries.Contains($"ticket {ticket} is being disposed"));
        Assert.False(stopping.IsCompleted);
        gate.SetResult();
        await stopping;

        Assert.Equal(
            [
                "neighbour started",
                $"connection {ticket} closed: Shutdown",
                $"connection {ticket} disposed",
                $"ticket {ticket} is being disposed",
                $"ticket {ticket} disposed",
                "neighbour stopped",
            ],
            journal.Entries);
    }

    [Fact]
    public async Task The_host_s_shutdown_timeout_cuts_the_drain_short()
    {
        Journal journal = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddSingleton(journal);
            services.Configure<HostOptions>(static options => options.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
            services.AddNetPoll(static options => options.DrainTimeout = TimeSpan.FromHours(1)).Listen<StubbornConnection>("stubborn", TestHost.AnyPort);
        });
        using Peer peer = await host.ConnectAsync("stubborn");
        Assert.Equal("here", await peer.ReceiveTextAsync(4));

        await host.StopAsync();

        await peer.ExpectResetAsync();
        Assert.Equal(["told to stop", "closed: Shutdown"], journal.Entries);
    }

    [Fact]
    public async Task The_drain_timeout_ends_the_drain()
    {
        Journal journal = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddSingleton(journal);
            services.AddNetPoll(static options => options.DrainTimeout = TimeSpan.Zero).Listen<StubbornConnection>("stubborn", TestHost.AnyPort);
        });
        using Peer peer = await host.ConnectAsync("stubborn");
        Assert.Equal("here", await peer.ReceiveTextAsync(4));

        await host.StopAsync();

        await peer.ExpectResetAsync();
        Assert.Equal("closed: Shutdown", journal.Entries[^1]);
    }

    [Fact]
    public async Task An_actor_system_of_the_caller_s_is_used_and_left_running()
    {
        await using ActorSystem system = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddSingleton(system);
            services.AddNetPoll().Listen<EchoConnection>(TestHost.AnyPort);
        });

        Assert.Same(host.NetPoll, system.NetPoll());
        await host.StopAsync();

        Assert.False(system.Shutdown.IsCancellationRequested);
    }

    [Fact]
    public async Task A_host_that_is_disposed_without_a_stop_leaves_no_listener()
    {
        EndPoint endPoint;
        await using (TestHost host = await TestHost.StartAsync(static services => services.AddNetPoll().Listen<EchoConnection>(TestHost.AnyPort)))
        {
            endPoint = host.NetPoll.FindListener(nameof(EchoConnection))!.EndPoint;
        }

        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        SocketException refused = await Assert.ThrowsAsync<SocketException>(() => socket.ConnectAsync(endPoint, TestContext.Current.CancellationToken).Soon());
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
    }

    [Fact]
    public async Task An_address_that_is_in_use_stops_the_start_and_leaves_nothing_behind()
    {
        using Socket occupant = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        occupant.Bind(TestHost.AnyPort);
        occupant.Listen();
        IPEndPoint occupied = (IPEndPoint)occupant.LocalEndPoint!;
        await using TestHost host = TestHost.Build(services => services.AddNetPoll()
            .Listen<EchoConnection>("free", TestHost.AnyPort)
            .Listen<EchoConnection>("occupied", occupied));

        Exception failure = await Assert.ThrowsAnyAsync<Exception>(host.StartAsync);

        Assert.Contains(occupied.ToString(), failure.Message, StringComparison.Ordinal);
        Assert.Empty(host.NetPoll.Listeners);
        Assert.True(host.NetPoll.CheckHealth().Pollers.All(static poller => !poller.IsRunning));
        Assert.True(host.System.Shutdown.IsCancellationRequested);
    }

    [Fact]
    public async Task The_host_s_loggers_are_told()
    {
        await using TestHost host = await TestHost.StartAsync(static services => services.AddNetPoll().Listen<EchoConnection>("echo", TestHost.AnyPort));

        Assert.Contains(host.Loggers["NetPoll.Actors"].Entries, static entry => entry.Text.EndsWith("as netpoll/listener-echo", StringComparison.Ordinal));
        Assert.Contains(host.Loggers["NetPoll.Core"].Entries, static entry => entry.Text.StartsWith("Started ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Added_twice_it_runs_once_with_all_that_was_said()
    {
        await using TestHost host = await TestHost.StartAsync(static services =>
        {
            services.AddNetPoll(static options => options.Pollers.PollerCount = 3).Listen<EchoConnection>("one", TestHost.AnyPort);
            services.AddNetPoll(static options => options.DrainTimeout = TimeSpan.Zero).Listen<EchoConnection>("two", TestHost.AnyPort);
        });

        Assert.Equal(3, host.NetPoll.Pollers.Count);
        Assert.Equal(2, host.NetPoll.Listeners.Count);
    }

    private sealed class Neighbour : IHostedService
    {
        private readonly Journal _journal;

        public Neighbour(Journal journal) => _journal = journal;

        public Task StartAsync(CancellationToken cancellationToken)
        {
            _journal.Note("neighbour started");
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken)
        {
            _journal.Note("neighbour stopped");
            return Task.CompletedTask;
        }
    }
}
