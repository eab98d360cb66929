using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using NetPoll.Actors;
using NetPoll.Actors.Tests.Support;
using NetPoll.Hosting.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Hosting.Tests;

/// <summary>Options come from the host, and a bad value stops its start.</summary>
public sealed class OptionsTests
{
    public static TheoryData<string, Action<NetPollOptions>> BadValues => new()
    {
        { "PollerOptions.PollerCount is 0; expected 1 to 4,096.", static options => options.Pollers.PollerCount = 0 },
        { "NetPollOptions.DrainTimeout is -00:00:01; expected 0 to 1 day.", static options => options.DrainTimeout = TimeSpan.FromSeconds(-1) },
        { "Pollers", static options => options.Pollers = null! },
        { "Logger", static options => options.Logger = null! },
    };

    public static TheoryData<string, Action<ListenerOptions>> BadListenerValues => new()
    {
        { "Listener 'echo': ListenerOptions.Backlog is -1; expected 1 or more.", static options => options.Backlog = -1 },
        { "Listener 'echo': ConnectionOptions.MaxInputBytes is 0; expected 1 byte or more.", static options => options.Connections.MaxInputBytes = 0 },
    };

    [Theory]
    [MemberData(nameof(BadValues), DisableDiscoveryEnumeration = true)]
    public async Task A_value_out_of_range_stops_the_start_and_is_named(string message, Action<NetPollOptions> configure)
    {
        await using TestHost host = TestHost.Build(services => services.AddNetPoll(configure).Listen<EchoConnection>("echo", TestHost.AnyPort));

        OptionsValidationException failure = await Assert.ThrowsAsync<OptionsValidationException>(host.StartAsync);

        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(BadListenerValues), DisableDiscoveryEnumeration = true)]
    public async Task A_listener_s_value_out_of_range_stops_the_start_and_is_named_with_the_listener(string message, Action<ListenerOptions> configure)
    {
        await using TestHost host = TestHost.Build(services => services.AddNetPoll()
            .Listen<EchoConnection>("other", TestHost.AnyPort)
            .Listen<EchoConnection>("echo", TestHost.AnyPort, configure));

        OptionsValidationException failure = await Assert.ThrowsAsync<OptionsValidationException>(host.StartAsync);

        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_listener_takes_the_options_of_its_name()
    {
        Journal journal = new();
        await using TestHost host = await TestHost.StartAsync(services =>
        {
            services.AddSingleton(journal);
            services.AddNetPoll().Listen<HoardingConnection>("small", TestHost.AnyPort);
            services.Configure<ListenerOptions>("small", static options => options.Connections.MaxInputBytes = 10);
        });
        using Peer peer = await host.ConnectAsync("small");

        await peer.SendAsync("eleven byte");
        Assert.Empty(await peer.ReceiveToEndAsync());

        await Eventually.Equal("what the connection noted", "closed: Error", () => journal.Entries.SingleOrDefault());
    }

    [Fact]
    public void Two_listeners_of_one_name_are_refused()
    {
        NetPollBuilder builder = new ServiceCollection().AddNetPoll().Listen<EchoConnection>(TestHost.AnyPort);

        ArgumentException failure = Assert.Throws<ArgumentException>(() => builder.Listen<EchoConnection>(TestHost.AnyPort));

        Assert.Contains("There is a listener 'EchoConnection' already", failure.Message, StringComparison.Ordinal);
    }
}
