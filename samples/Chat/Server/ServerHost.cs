using System.Net;
using Chat.Domain;
using Chat.Server.Doors;
using Chat.Server.Irc;
using Chat.Server.Operation;
using Chat.Server.Protobuf;
using Chat.Storage;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Chat.Server;

/// <summary>A running server: actor system, pollers, the chat, its doors, and the page with its figures.</summary>
internal sealed class ServerHost : IAsyncDisposable
{
    private readonly ServerOptions _options;
    private readonly ChatDomain _chat;
    private readonly MetricsPage? _metrics;
    private readonly StatusLine? _status;
    private Task? _stopped;

    private ServerHost(
        ServerOptions options, ActorSystem system, ChatDomain chat, IPEndPoint endPoint, IPEndPoint? ircEndPoint, MetricsPage? metrics, StatusLine? status)
    {
        _options = options;
        System = system;
        _chat = chat;
        EndPoint = endPoint;
        IrcEndPoint = ircEndPoint;
        _metrics = metrics;
        _status = status;
    }

    /// <summary>Where it listens, with the port that the system chose if none was given.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Where it listens for IRC clients; null if it does not.</summary>
    public IPEndPoint? IrcEndPoint { get; }

    /// <summary>The actor system that all of it lives in.</summary>
    public ActorSystem System { get; }

    /// <summary>Completes when an operator asks for the server to stop, with who that was.</summary>
    public Task<string> DrainRequested => _chat.DrainRequested;

    /// <summary>Starts a server; when it returns, clients can connect.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="IOException">The address cannot be listened on, or the data folder cannot be used.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend that was asked for does not run on this system.</exception>
    public static async Task<ServerHost> StartAsync(ServerOptions options, ILoggerFactory loggers)
    {
        options.Validate();
        var system = new ActorSystem();
        ChatDomain? chat = null;
        try
        {
            system.WithNetPoll(new NetPollOptions
            {
                Pollers = new PollerOptions { PollerCount = options.Pollers, Logger = loggers.CreateLogger("NetPoll.Core") },
                Logger = loggers.CreateLogger("NetPoll.Actors"),
            });
            IChatStore store = options.Data is null ? new MemoryStore() : SqliteStore.Open(options.Data);
            chat = ChatDomain.Start(
                system, options.Chat, [new ProtobufDoor(system), .. IrcDoor.All(system, options.IrcName)], store, loggers: loggers);
            return await OpenAsync(options, system, chat, loggers);
        }
        catch
        {
            await ShutdownAsync(system, chat, TimeSpan.Zero);
            throw;
        }
    }

    /// <summary>Tells everybody goodbye, waits until they have taken it, and ends. Harmless when it has been called.</summary>
    public Task StopAsync() => _stopped ??= StopOnceAsync();

    public async ValueTask DisposeAsync() => await StopAsync();

    private static async Task<ServerHost> OpenAsync(ServerOptions options, ActorSystem system, ChatDomain chat, ILoggerFactory loggers)
    {
        ILogger logger = loggers.CreateLogger("Chat.Server");
        var admission = new Admission(options.MaxConnections, options.MaxConnectionsPerAddress);
        var irc = new IrcOptions(options.IrcName, "NetPoll", options.MessageOfTheDay, options.IrcHistory, TimeProvider.System.GetUtcNow());
        IPEndPoint endPoint = await ListenAsync("chat", options.Port, () => new ProtobufSession(chat, options, admission, logger));
        IPEndPoint? ircEndPoint = options.IrcPort is { } port
            ? await ListenAsync("irc", port, () => new IrcSession(chat, options, irc, admission, logger))
            : null;
        MetricsPage? metrics = options.MetricsPort is { } metricsPort ? MetricsPage.Open(metricsPort, chat.Figures, admission) : null;
        StatusLine? status = options.StatusInterval > TimeSpan.Zero
            ? new StatusLine(options.StatusInterval, chat.Figures, admission, logger)
            : null;
        return new ServerHost(options, system, chat, endPoint, ircEndPoint, metrics, status);

        async Task<IPEndPoint> ListenAsync(string name, int port, Func<ConnectionActor> connection)
        {
            try
            {
                Listener listener = await system.NetPoll().ListenAsync(
                    name, new IPEndPoint(options.Address, port), connection, new ListenerOptions { Connections = ConnectionLimits.Of(options) });
                return (IPEndPoint)listener.EndPoint;
            }
            catch (IOException exception)
            {
                throw new ListenException(port, exception);
            }
        }
    }

    private async Task StopOnceAsync()
    {
        if (_status is not null)
        {
            await _status.DisposeAsync();
        }

        _metrics?.Dispose();

        // The connections first: each tells its client, and then leaves its rooms. Proto.Actor's own shutdown stops no actor.
        await ShutdownAsync(System, _chat, _options.DrainTimeout);
    }

    private static async Task ShutdownAsync(ActorSystem system, ChatDomain? chat, TimeSpan drain)
    {
        if (system.Extensions.Get<NetPollExtension>() is { } netPoll)
        {
            await netPoll.ShutdownAsync(drain);
        }

        if (chat is not null)
        {
            await chat.StopAsync();
        }

        await system.ShutdownAsync();
        await system.DisposeAsync();
    }
}
