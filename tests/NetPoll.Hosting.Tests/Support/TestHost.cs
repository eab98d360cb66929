using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Actors.Tests.Support;
using Proto;

namespace NetPoll.Hosting.Tests.Support;

/// <summary>A host with NetPoll, as a user builds one; it keeps what is logged.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    internal static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly IHost _host;

    private TestHost(IHost host, TestLoggers loggers)
    {
        _host = host;
        Loggers = loggers;
    }

    public IServiceProvider Services => _host.Services;

    public TestLoggers Loggers { get; }

    public ActorSystem System => Services.GetRequiredService<ActorSystem>();

    public NetPollExtension NetPoll => Services.GetRequiredService<NetPollExtension>();

    /// <summary>A host that is not started yet.</summary>
    public static TestHost Build(Action<IServiceCollection> configure)
    {
        TestLoggers loggers = new();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(settings: null);
        builder.Services.Replace(ServiceDescriptor.Singleton<ILoggerFactory>(loggers));
        builder.ConfigureContainer(new DefaultServiceProviderFactory(new ServiceProviderOptions { ValidateScopes = true, ValidateOnBuild = true }));
        configure(builder.Services);
        return new TestHost(builder.Build(), loggers);
    }

    public static async Task<TestHost> StartAsync(Action<IServiceCollection> configure)
    {
        TestHost host = Build(configure);
        await host.StartAsync();
        return host;
    }

    public Task StartAsync() => _host.StartAsync(TestContext.Current.CancellationToken).Soon();

    public Task StopAsync() => _host.StopAsync(TestContext.Current.CancellationToken).Soon();

    public Task<Peer> ConnectAsync(string listener) => Peer.ConnectAsync(NetPoll.FindListener(listener)!.EndPoint);

    public async ValueTask DisposeAsync()
    {
        if (_host is IAsyncDisposable disposable)
        {
            await disposable.DisposeAsync().Soon();
        }
    }
}

/// <summary>A logger for each category, which keeps what it is told.</summary>
internal sealed class TestLoggers : ILoggerFactory
{
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, TestLog> _logs = new();

    public TestLog this[string category] => _logs.GetOrAdd(category, static _ => new TestLog());

    public ILogger CreateLogger(string categoryName) => this[categoryName];

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public void Dispose()
    {
    }
}
