using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NetPoll.Actors;

namespace NetPoll.Hosting;

/// <summary>Starts and stops NetPoll with the host.</summary>
/// <remarks>
/// The order: pollers with the hosted services, listeners when all of these have started; drained before any of these is told to stop, our
/// actor system last. It does not depend on the order of registration, so a service that a handler uses is there as long as the handler is.
/// </remarks>
internal sealed class NetPollHostedService : IHostedLifecycleService
{
    private readonly IServiceProvider _services;
    private readonly OwnActorSystem _system;
    private readonly IOptions<NetPollOptions> _options;
    private readonly IOptionsMonitor<ListenerOptions> _listenerOptions;
    private readonly IOptionsMonitor<DatagramOptions> _datagramOptions;
    private readonly ListenerRegistration[] _registrations;
    private readonly DatagramRegistration[] _datagrams;
    private NetPollExtension? _netPoll;

    public NetPollHostedService(
        IServiceProvider services,
        OwnActorSystem system,
        IOptions<NetPollOptions> options,
        IOptionsMonitor<ListenerOptions> listenerOptions,
        IOptionsMonitor<DatagramOptions> datagramOptions,
        IEnumerable<ListenerRegistration> registrations,
        IEnumerable<DatagramRegistration> datagrams)
    {
        _services = services;
        _system = system;
        _options = options;
        _listenerOptions = listenerOptions;
        _datagramOptions = datagramOptions;
        _registrations = [.. registrations];
        _datagrams = [.. datagrams];
    }

    /// <summary>Null before the start. Any thread.</summary>
    internal NetPollExtension? NetPoll => Volatile.Read(ref _netPoll);

    /// <summary>Names of the listeners that there should be.</summary>
    internal IEnumerable<string> ListenerNames => _registrations.Select(static registration => registration.Name);

    /// <summary>Names of the datagram sockets that there should be.</summary>
    internal IEnumerable<string> DatagramSocketNames => _datagrams.Select(static registration => registration.Name);

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        // Not in the constructor: this starts threads.
        Volatile.Write(ref _netPoll, _services.GetRequiredService<NetPollExtension>());
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        try
        {
            // First, and closed last: connections may use them.
            foreach (DatagramRegistration registration in _datagrams)
            {
                cancellationToken.ThrowIfCancellationRequested();
                _ = await registration.Start(_services, _netPoll!, _datagramOptions.Get(registration.Name)).ConfigureAwait(false);
            }

            foreach (ListenerRegistration registration in _registrations)
            {
                cancellationToken.ThrowIfCancellationRequested();
                _ = await registration.Start(_services, _netPoll!, _listenerOptions.Get(registration.Name)).ConfigureAwait(false);
            }
        }
        catch
        {
            // A host whose start failed stops nothing.
            await _netPoll!.ShutdownAsync(TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
            await _system.StopAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public Task StoppingAsync(CancellationToken cancellationToken) =>
        NetPoll is { } netPoll ? netPoll.ShutdownAsync(_options.Value.DrainTimeout, cancellationToken) : Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => _system.StopAsync();
}
