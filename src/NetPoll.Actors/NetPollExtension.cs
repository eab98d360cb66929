using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using NetPoll.Actors.Listening;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using Proto;
using Proto.Extensions;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors;

/// <summary>NetPoll in an actor system: its pollers, and the listeners on them.</summary>
/// <remarks>
/// Stop it by <see cref="ShutdownAsync"/> before the actor system: Proto.Actor's own shutdown stops no actor. If the system goes away first,
/// the descriptors are closed all the same, and no handler is told.
/// </remarks>
public sealed class NetPollExtension : IActorSystemExtension<NetPollExtension>, IAsyncDisposable
{
    private readonly PollerGroup _group;
    private readonly CancellationTokenRegistration _onSystemShutdown;
    private readonly Lock _gate = new();
    private readonly List<ListenerActor> _listeners = [];
    private int _isStopping;
    private Task? _shutdown;

    internal NetPollExtension(ActorSystem system, NetPollOptions options)
    {
        System = system;
        Options = options;
        if (options.Pollers.Logger == NullLogger.Instance)
        {
            options.Pollers.Logger = options.Logger;
        }

        _group = new PollerGroup(options.Pollers);
        _group.Start();
        Homes = [.. _group.Pollers.Select(poller => new ActorPoller(this, poller))];
        foreach (ActorPoller home in Homes)
        {
            home.Pid = SpawnPollerActor(home);
        }

        _onSystemShutdown = system.Shutdown.Register(CloseAbruptly);
    }

    /// <summary>The pollers' actors: parents of the connections, and they answer <see cref="GetPollerSnapshot"/>.</summary>
    public IReadOnlyList<PID> Pollers => [.. Homes.Select(static home => home.Pid)];

    internal ActorSystem System { get; }

    internal NetPollOptions Options { get; }

    internal ActorPoller[] Homes { get; }

    /// <summary>Begins to listen; every connection gets an actor of its own.</summary>
    /// <param name="name">The listener's PID is <c>netpoll/listener-</c> and this; its connections' PIDs are numbered below it.</param>
    /// <param name="endPoint">The address; port 0 lets the system choose.</param>
    /// <param name="factory">Makes the actor of a connection, on the connection's poller's thread: it must not block.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    /// <exception cref="ProcessNameExistException">There is a listener of that name.</exception>
    public async Task<Listener> ListenAsync(string name, IPEndPoint endPoint, Func<ConnectionActor> factory, ListenerOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentNullException.ThrowIfNull(factory);
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isStopping) != 0, this);
        options ??= new ListenerOptions();
        options.Validate();
        PollableSocket[] sockets = Bind(endPoint, options.Backlog);
        IPEndPoint bound = sockets[0].LocalEndPoint!;
        string id = $"netpoll/listener-{name}";
        ListenerActor listener = new(this, id, bound, factory, options, sockets);
        PID pid;
        try
        {
            pid = System.Root.SpawnNamed(Props.FromProducer(() => listener), id);
        }
        catch
        {
            Close(sockets);
            throw;
        }

        lock (_gate)
        {
            _listeners.Add(listener);
        }

        try
        {
            await listener.StartAcceptingAsync().ConfigureAwait(false);
        }
        catch
        {
            await System.Root.StopAsync(pid).ConfigureAwait(false);
            throw;
        }

        Log.Listening(Options.Logger, bound, id);
        return new Listener(pid, bound);
    }

    /// <summary>
    /// Stops accepting, tells every connection (<c>OnShutdown</c>), waits until all have ended or the time is over, stops the rest, then the
    /// pollers. Not to be awaited on a poller's thread. Harmless when it is stopped.
    /// </summary>
    /// <param name="drain">How long the connections may take to finish.</param>
    public Task ShutdownAsync(TimeSpan drain)
    {
        lock (_gate)
        {
            Volatile.Write(ref _isStopping, 1);
            return _shutdown ??= DrainAsync(drain);
        }
    }

    /// <summary>As <see cref="ShutdownAsync"/>, with five seconds to drain.</summary>
    public ValueTask DisposeAsync() => new(ShutdownAsync(TimeSpan.FromSeconds(5)));

    private async Task DrainAsync(TimeSpan drain)
    {
        await Task.WhenAll(_listeners.Select(static listener => listener.StopAcceptingAsync())).ConfigureAwait(false);
        await ForEachConnectionAsync(static connection => connection.RequestShutdown()).ConfigureAwait(false);
        Task drained = Task.WhenAll(_listeners.Select(static listener => listener.WhenEmptyAsync()));
        try
        {
            await drained.WaitAsync(drain, Options.Pollers.TimeProvider).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Log.DrainTimedOut(Options.Logger, _listeners.Sum(static listener => listener.Active), drain);
        }

        await ForEachConnectionAsync(static connection => connection.Abandon(CloseReason.Shutdown)).ConfigureAwait(false);
        foreach (ListenerActor listener in _listeners)
        {
            await System.Root.StopAsync(PID.FromAddress(System.Address, listener.Id)).ConfigureAwait(false);
        }

        foreach (PID poller in Pollers)
        {
            await System.Root.StopAsync(poller).ConfigureAwait(false);
        }

        await _onSystemShutdown.DisposeAsync().ConfigureAwait(false);
        await _group.DisposeAsync().ConfigureAwait(false);
    }

    private Task ForEachConnectionAsync(Action<Connections.Connection> action) => Task.WhenAll(Homes.Select(home =>
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        home.Poller.Post(
            _ =>
            {
                foreach (Connections.Connection connection in home.Connections.ToArray())
                {
                    action(connection);
                }

                done.SetResult();
            },
            null);
        return done.Task;
    }));

    // The actor system went away without a word: its actors are not heard any more, so the descriptors are all there is to save.
    private void CloseAbruptly()
    {
        if (Interlocked.Exchange(ref _isStopping, 1) != 0)
        {
            return;
        }

        foreach (ListenerActor listener in _listeners)
        {
            _ = listener.StopAcceptingAsync();
        }

        _ = CloseAllAsync();

        async Task CloseAllAsync()
        {
            await ForEachConnectionAsync(static connection => connection.CloseWithoutActor()).ConfigureAwait(false);
            await _group.DisposeAsync().ConfigureAwait(false);
        }
    }

    private PID SpawnPollerActor(ActorPoller home)
    {
        Props props = Props.FromProducer(() => new PollerActor(home))
            .WithChildSupervisorStrategy(PollerActor.Strategy)
            .WithMailbox(() => new PollerMailbox(System, home, PollerMailbox.DefaultThroughput));
        return System.Root.SpawnNamed(props, $"netpoll/poller-{home.Poller.Index}");
    }

    // One socket a poller on the same port. The address is bound once without sharing first: otherwise a second server of the same user
    // would take half of the connections and neither would know.
    private PollableSocket[] Bind(IPEndPoint endPoint, int backlog)
    {
        PollableSocket[] sockets = new PollableSocket[Homes.Length];
        int made = 0;
        try
        {
            if (endPoint.Port != 0)
            {
                _ = BindOne(endPoint, backlog, sharePort: false).Close();
            }

            for (; made < sockets.Length; made++)
            {
                sockets[made] = BindOne(made == 0 ? endPoint : sockets[0].LocalEndPoint!, backlog, sharePort: true);
            }

            return sockets;
        }
        catch
        {
            Close(sockets.AsSpan(0, made));
            throw;
        }
    }

    private PollableSocket BindOne(IPEndPoint endPoint, int backlog, bool sharePort)
    {
        IoResult result = _group.Platform.Listen(endPoint, backlog, sharePort, out PollableSocket? socket);
        return result.IsSuccess
            ? socket!
            : throw result.ToException($"Listening on {endPoint}");
    }

    private static void Close(ReadOnlySpan<PollableSocket> sockets)
    {
        foreach (PollableSocket socket in sockets)
        {
            _ = socket.Close();
        }
    }
}
