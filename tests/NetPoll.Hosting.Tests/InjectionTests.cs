using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using NetPoll.Actors;
using NetPoll.Actors.Tests.Support;
using NetPoll.Hosting.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Hosting.Tests;

/// <summary>Connection actors by constructor injection: an instance and a scope for each.</summary>
public sealed class InjectionTests
{
    [Fact]
    public async Task Every_connection_has_an_instance_and_services_of_its_own()
    {
        await using TestHost host = await StartTicketsAsync(new Journal());
        using Peer first = await host.ConnectAsync("tickets");
        using Peer second = await host.ConnectAsync("tickets");

        string one = await first.ReceiveTextAsync(6);
        string two = await second.ReceiveTextAsync(6);
        await first.SendAsync("a");
        await second.SendAsync("b");

        Assert.NotEqual(one, two);
        Assert.Equal("a", await first.ReceiveTextAsync(1));
        Assert.Equal("b", await second.ReceiveTextAsync(1));
    }

    [Fact]
    public async Task Its_services_are_disposed_with_it_and_after_it()
    {
        Journal journal = new();
        await using TestHost host = await StartTicketsAsync(journal);
        using Peer peer = await host.ConnectAsync("tickets");
        string ticket = (await peer.ReceiveTextAsync(6)).TrimStart('0');
        Assert.Empty(journal.Entries);

        peer.CloseWrite();
        await Eventually.Equal("entries", 4, () => journal.Entries.Count);

        Assert.Equal([$"connection {ticket} closed: Peer", $"connection {ticket} disposed", $"ticket {ticket} is being disposed", $"ticket {ticket} disposed"], journal.Entries);
    }

    [Fact]
    public async Task A_service_that_throws_when_it_is_disposed_is_logged_and_the_connection_s_watchers_are_told()
    {
        await using TestHost host = await TestHost.StartAsync(static services =>
        {
            services.AddScoped<Grenade>();
            services.AddNetPoll().Listen<GrenadeConnection>("grenade", TestHost.AnyPort);
        });
        using Peer peer = await host.ConnectAsync("grenade");
        string id = await peer.ReceiveTextAsync("grenade/1".Length);
        PID connection = PID.FromAddress(host.System.Address, id);

        await host.System.Root.StopAsync(connection).Soon();

        TestLog.Entry entry = Assert.Single(host.Loggers["NetPoll.Actors"].Errors);
        Assert.Equal(108, entry.Id);
        Assert.Equal("bang", entry.Exception!.Message);
    }

    [Fact]
    public async Task A_constructor_that_throws_costs_its_own_connection_alone_and_its_services_are_disposed()
    {
        Journal journal = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddSingleton(journal);
            services.AddScoped<Ticket>();
            services.AddNetPoll().Listen<MoodyConnection>("moody", TestHost.AnyPort);
        });

        // Reset: perhaps before the connecting side has seen that it is connected.
        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            using Peer refused = await host.ConnectAsync("moody");
            await refused.ReceiveToEndAsync();
        });
        using Peer served = await host.ConnectAsync("moody");
        Assert.Equal("fine", await served.ReceiveTextAsync(4));

        // The first one's: it tells when it begins and when it ends.
        await Eventually.Equal("tickets' entries", 2, () => journal.Entries.Count(static entry => entry.StartsWith("ticket", StringComparison.Ordinal)));
        Assert.Equal("in a bad mood", Assert.Single(host.Loggers["NetPoll.Actors"].Errors).Exception!.Message);
    }

    [Fact]
    public async Task A_missing_service_stops_the_start_and_is_named()
    {
        await using TestHost host = TestHost.Build(static services => services.AddNetPoll().Listen<TicketConnection>("tickets", TestHost.AnyPort));

        InvalidOperationException failure = await Assert.ThrowsAsync<InvalidOperationException>(host.StartAsync);

        Assert.Equal(
            $"{typeof(TicketConnection)} cannot be made: its constructor takes {typeof(Ticket)} ticket, and no such service is registered.",
            failure.Message);
    }

    [Fact]
    public async Task An_actor_with_several_constructors_and_none_marked_stops_the_start()
    {
        await using TestHost host = TestHost.Build(static services => services.AddNetPoll().Listen<TwoWayConnection>(TestHost.AnyPort));

        InvalidOperationException failure = await Assert.ThrowsAsync<InvalidOperationException>(host.StartAsync);

        Assert.Contains(nameof(TwoWayConnection), failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Marked_constructors_keyed_services_and_default_values_work()
    {
        await using TestHost host = await TestHost.StartAsync(static services =>
        {
            services.AddKeyedSingleton("greeting", "hello ");
            services.AddNetPoll().Listen<MarkedConnection>(TestHost.AnyPort);
        });
        using Peer peer = await host.ConnectAsync(nameof(MarkedConnection));

        Assert.Equal("hello world", await peer.ReceiveTextAsync(11));
    }

    [Fact]
    public async Task A_factory_gets_the_host_s_services()
    {
        Journal journal = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddSingleton(journal);
            services.AddNetPoll().Listen("made", TestHost.AnyPort, static provider => new StubbornConnection(provider.GetRequiredService<Journal>()));
        });
        using Peer peer = await host.ConnectAsync("made");
        Assert.Equal("here", await peer.ReceiveTextAsync(4));

        peer.CloseWrite();

        await Eventually.Equal("what the connection noted", "closed: Peer", () => journal.Entries.SingleOrDefault());
    }

    [Fact]
    public async Task A_plain_actor_can_handle_the_connections()
    {
        await using TestHost host = await TestHost.StartAsync(static services => services.AddNetPoll(static options => options.DrainTimeout = TimeSpan.Zero).Listen(
            "handled",
            TestHost.AnyPort,
            static provider => provider.GetRequiredService<ActorSystem>().Root.Spawn(Props.FromFunc(static context =>
            {
                if (context.Message is Received received)
                {
                    context.Send(received.Connection, new Write(received.Bytes));
                }

                return Task.CompletedTask;
            }))));
        using Peer peer = await host.ConnectAsync("handled");

        await peer.SendAsync("hello");

        Assert.Equal("hello", await peer.ReceiveTextAsync(5));
    }

    private static Task<TestHost> StartTicketsAsync(Journal journal) => TestHost.StartAsync(services =>
    {
        services.AddSingleton(journal);
        services.AddScoped<Ticket>();
        services.AddNetPoll().Listen<TicketConnection>("tickets", TestHost.AnyPort);
    });

    private sealed class Grenade : IDisposable
    {
        public void Dispose() => throw new InvalidOperationException("bang");
    }

    private sealed class GrenadeConnection : ConnectionActor
    {
        public GrenadeConnection(Grenade grenade) => Assert.NotNull(grenade);

        protected override void OnConnected() => Send(System.Text.Encoding.UTF8.GetBytes(Context.Self.Id));
    }

    private sealed class MoodyConnection : ConnectionActor
    {
        public MoodyConnection(Journal journal, Ticket ticket)
        {
            Assert.True(ticket.Number > 0);
            journal.Note("made");
            if (journal.Entries.Count(static entry => entry == "made") == 1)
            {
                throw new InvalidOperationException("in a bad mood");
            }
        }

        protected override void OnConnected() => Send("fine"u8);
    }

    private sealed class TwoWayConnection : ConnectionActor
    {
        public TwoWayConnection()
        {
        }

        public TwoWayConnection(IServiceProvider services) => Assert.NotNull(services);
    }

    private sealed class MarkedConnection : ConnectionActor
    {
        private readonly string _greeting;
        private readonly string _name;

        public MarkedConnection()
            : this("wrong ", "constructor")
        {
        }

        [ActivatorUtilitiesConstructor]
        public MarkedConnection([FromKeyedServices("greeting")] string greeting, string name = "world")
        {
            _greeting = greeting;
            _name = name;
        }

        protected override void OnConnected() => Send(System.Text.Encoding.UTF8.GetBytes(_greeting + _name));
    }
}
