using System.Net;
using Chat.Domain;
using Chat.Server.Protobuf;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Chat.Server;

/// <summary>A running server: actor system, pollers, the chat, and its doors.</summary>
internal sealed class ServerHost : IAsyncDisposable
{
    private readonly ServerOptions _options;
    private readonly ChatDomain _chat;
    private Task? _stopped;

    private ServerHost(ServerOptions options, ActorSystem system, ChatDomain chat, IPEndPoint endPoint)
    {
        _options = options;
        System = system;
        _chat = chat;
        EndPoint = endPoint;
    }

    /// <summary>Where it listens, with the port that the system chose if none was given.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>The actor system that all of it lives in.</summary>
    public ActorSystem System { get; }

    /// <summary>Starts a server; when it returns, clients can connect.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="IOException">The address cannot be listened on.</exception>
    /// <exception cref="PlatformNotSupportedException">NetPoll does not run on this operating system.</exception>
    public static async Task<ServerHost> StartAsync(ServerOptions options, ILoggerFactory loggers)
    {
        options.Validate();
        var system = new ActorSystem();
        try
        {
            system.WithNetPoll(new NetPollOptions
            {
                Pollers = new PollerOptions { PollerCount = options.Pollers, Logger = loggers.CreateLogger("NetPoll.Core") },
                Logger = loggers.CreateLogger("NetPoll.Actors"),
            });
            var door = new ProtobufDoor(system);
            ChatDomain chat = ChatDomain.Start(system, options.Chat, [door], loggers: loggers);
            ILogger logger = loggers.CreateLogger("Chat.Server");
            Listener listener = await system.NetPoll().ListenAsync(
                "chat",
                new IPEndPoint(options.Address, options.Port),
                () => new ProtobufSession(chat, options, logger),
                new ListenerOptions { Connections = ProtobufDoor.Limits(options) });
            return new ServerHost(options, system, chat, listener.EndPoint);
        }
        catch
        {
            await ShutdownAsync(system, TimeSpan.Zero);
            throw;
        }
    }

    /// <summary>Tells everybody goodbye, waits until they have taken it, and ends. Harmless when it has been called.</summary>
    public Task StopAsync() => _stopped ??= StopOnceAsync();

    public async ValueTask DisposeAsync() => await StopAsync();

    private async Task StopOnceAsync()
    {
        // The connections first: each tells its client, and then leaves its rooms. Proto.Actor's own shutdown stops no actor.
        await System.NetPoll().ShutdownAsync(_options.DrainTimeout);
        await _chat.StopAsync();
        await System.ShutdownAsync();
        await System.DisposeAsync();
    }

    private static async Task ShutdownAsync(ActorSystem system, TimeSpan drain)
    {
        if (system.Extensions.Get<NetPollExtension>() is { } netPoll)
        {
            await netPoll.ShutdownAsync(drain);
        }

        await system.ShutdownAsync();
        await system.DisposeAsync();
    }
}
