using System.Diagnostics.CodeAnalysis;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Diagnostics;
using NetPoll.Actors.Listening;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Diagnostics;
using Proto;
using Proto.Extensions;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors;

/// <summary>NetPoll in an actor system: its pollers, and the listeners on them.</summary>
/// <remarks>
/// Stop it by <see cref="ShutdownAsync"/> before the actor system: Proto.Actor's own shutdown stops no actor. If the system goes away first,
/// or before that has ended, the descriptors are closed all the same, and no handler is told.
/// </remarks>
public sealed partial class NetPollExtension : IActorSystemExtension<NetPollExtension>, IAsyncDisposable
{
    private readonly PollerGroup _group;
    private readonly CancellationTokenRegistration _onSystemShutdown;
    private readonly Balancer? _balancer;

    // Guards what follows: whoever begins to listen either is seen by the shutdown, or sees it.
    private readonly Lock _gate = new();
    private readonly HashSet<ListenerActor> _listeners = [];
    private bool _isStopping;
    private Task? _shutdown;

    // Any thread.
    private uint _nextHome;

    internal NetPollExtension(ActorSystem system, NetPollOptions options)
    {
        options.Validate();
        System = system;
        Options = options;
        Logger = GuardedLogger.Of(options.Logger);
        if (options.Pollers.Logger == NullLogger.Instance)
        {
            options.Pollers.Logger = options.Logger;
        }

        OutputBudget = new OutputBudget(options.MaxOutputBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4);
        _group = new PollerGroup(options.Pollers);
        _group.Start();
        Homes = [.. _group.Pollers.Select(poller => new ActorPoller(this, poller))];
        foreach (ActorPoller home in Homes)
        {
            home.Pid = SpawnPollerActor(home);
        }

        ConnectionTable = system.Root.SpawnNamed(Props.FromProducer(() => new ConnectionTableActor(this)), ConnectionTableActor.Id);
        _balancer = options.Balancing is { } balancing && Homes.Length > 1 ? new Balancer(Homes, balancing, options.Pollers.TimeProvider) : null;
        _onSystemShutdown = system.Shutdown.UnsafeRegister(static extension => ((NetPollExtension)extension!).CloseAbruptly(), this);
        ActorMetrics.Add(this);
    }

    /// <summary>The pollers' actors: parents of the connections, and they answer <see cref="GetPollerSnapshot"/>.</summary>
    public IReadOnlyList<PID> Pollers => [.. Homes.Select(static home => home.Pid)];

    /// <summary>The live connections of all pollers: answers <see cref="GetConnections"/> and <see cref="CloseConnections"/>.</summary>
    public PID ConnectionTable { get; }

    /// <summary>The listeners that listen at this moment. Any thread.</summary>
    public IReadOnlyList<Listener> Listeners => [.. ListenerActors.Where(static listener => listener.IsAccepting).Select(static listener => listener.Handle)];

    /// <summary>The pollers themselves, in the same order, for code that is no actor: <see cref="Poller.Post(Action)"/> runs it on their threads.</summary>
    public IReadOnlyList<Poller> PollerThreads => [.. Homes.Select(static home => home.Poller)];

    /// <summary>The figures of all pollers at this moment, and how evenly they are loaded (<see cref="PollerGroupSnapshot.Skew"/>). Any thread; slow where there are many descriptors.</summary>
    public PollerGroupSnapshot Snapshot() => _group.Snapshot();

    internal ActorSystem System { get; }

    internal NetPollOptions Options { get; }

    /// <summary>The options' logger. It never throws.</summary>
    internal ILogger Logger { get; }

    /// <summary>The unsent output of all connections.</summary>
    internal OutputBudget OutputBudget { get; }

    internal ActorPoller[] Homes { get; }

    /// <summary>Keeps publishers and moves apart.</summary>
    internal Groups.GroupGate GroupGate { get; } = new();

    internal PollPlatform Platform => _group.Platform;

    /// <summary>The connections of all listeners, those that have stopped included.</summary>
    internal LiveCount Connections { get; } = new();

    /// <summary>The scopes of connections that were made by constructor injection.</summary>
    internal LiveCount Scopes { get; } = new();

    /// <summary>Whether a shutdown has begun.</summary>
    internal bool IsStopping
    {
        get
        {
            lock (_gate)
            {
                return _isStopping;
            }
        }
    }

    /// <summary>The listeners that have not stopped, as of now.</summary>
    internal ListenerActor[] ListenerActors
    {
        get
        {
            lock (_gate)
            {
                return [.. _listeners];
            }
        }
    }

    /// <summary>Begins to listen; every connection gets an actor of its own.</summary>
    /// <param name="name">The listener's PID is <c>netpoll/listener-</c> and this; those of its connections are this, a slash and a number.</param>
    /// <param name="endPoint">See <see cref="NetListener.Listen"/>; port 0 lets the system choose. A <see cref="HandleEndPoint"/> for a socket that listens already.</param>
    /// <param name="factory">Makes the actor of a connection, on the connection's poller's thread: it must not block.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    /// <exception cref="ProcessNameExistException">There is a listener of that name.</exception>
    public Task<Listener> ListenAsync(string name, EndPoint endPoint, Func<ConnectionActor> factory, ListenerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return StartListeningAsync(name, endPoint, () => factory(), options);
    }

    /// <summary>Begins to listen; the actor of a connection is made by constructor injection, in a scope of its own.</summary>
    /// <typeparam name="TConnection">
    /// The actor: constructor parameters are services. The scope lives as long as the connection, and is disposed on the connection's poller
    /// after the actor has stopped. A shutdown that drains waits for that.
    /// </typeparam>
    /// <param name="name">The listener's PID is <c>netpoll/listener-</c> and this; those of its connections are this, a slash and a number.</param>
    /// <param name="endPoint">See <see cref="NetListener.Listen"/>; port 0 lets the system choose. A <see cref="HandleEndPoint"/> for a socket that listens already.</param>
    /// <param name="services">Where the scopes come from. Its services are made on pollers' threads: their constructors must not block.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <exception cref="InvalidOperationException">The actor cannot be made: the message names the service that is missing.</exception>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    /// <exception cref="ProcessNameExistException">There is a listener of that name.</exception>
    public Task<Listener> ListenAsync<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TConnection>(
        string name, EndPoint endPoint, IServiceProvider services, ListenerOptions? options = null)
        where TConnection : ConnectionActor
    {
        ArgumentNullException.ThrowIfNull(services);
        return StartListeningAsync(name, endPoint, new InjectedConnections<TConnection>(services, this).Create, options);
    }

    /// <summary>Begins to listen; a plain actor handles the connections, by messages. See <see cref="Connected"/> and <see cref="Write"/>.</summary>
    /// <param name="name">The listener's PID is <c>netpoll/listener-</c> and this; those of its connections are this, a slash and a number.</param>
    /// <param name="endPoint">See <see cref="NetListener.Listen"/>; port 0 lets the system choose. A <see cref="HandleEndPoint"/> for a socket that listens already.</param>
    /// <param name="handler">Gets the events of every connection. When it stops they are reset.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    /// <exception cref="ProcessNameExistException">There is a listener of that name.</exception>
    public Task<Listener> ListenAsync(string name, EndPoint endPoint, PID handler, ListenerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return ListenAsync(name, endPoint, _ => handler, options);
    }

    /// <summary>Begins to listen; a plain actor handles each connection, by messages. See <see cref="Connected"/> and <see cref="Write"/>.</summary>
    /// <param name="name">The listener's PID is <c>netpoll/listener-</c> and this; those of its connections are this, a slash and a number.</param>
    /// <param name="endPoint">See <see cref="NetListener.Listen"/>; port 0 lets the system choose. A <see cref="HandleEndPoint"/> for a socket that listens already.</param>
    /// <param name="handlerOf">
    /// Gives the handler of a connection by the connection's PID, perhaps a new actor. On the connection's poller's thread: it must not block.
    /// </param>
    /// <param name="options">Null for the defaults.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    /// <exception cref="ProcessNameExistException">There is a listener of that name.</exception>
    public Task<Listener> ListenAsync(string name, EndPoint endPoint, Func<PID, PID> handlerOf, ListenerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(handlerOf);
        return StartListeningAsync(name, endPoint, NoActor, options, handlerOf);
    }

    /// <summary>The listener of that name if it listens; otherwise null. Any thread.</summary>
    public Listener? FindListener(string name)
    {
        string id = ListenerActor.IdOf(name);
        return Array.Find(ListenerActors, listener => listener.IsAccepting && listener.Id == id)?.Handle;
    }

    /// <summary>Whether the pollers run and the listeners listen, at this moment. Any thread; cheap.</summary>
    public NetPollHealth CheckHealth() => NetPollHealth.Of(this);

    private static IActor NoActor() => throw new InvalidOperationException("A connection with a handler is no actor itself.");

    private async Task<Listener> StartListeningAsync(string name, EndPoint endPoint, Producer factory, ListenerOptions? options, Func<PID, PID>? handlerOf = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(endPoint);
        options ??= new ListenerOptions();
        options.Validate();
        ObjectDisposedException.ThrowIf(IsStopping, this);
        ListenerActor listener = new(
            this, ListenerActor.IdOf(name), factory, options, ListeningSockets.Bind(Platform, endPoint, options.Backlog, HasOneAcceptorForAll ? 1 : Homes.Length))
        {
            HandlerOf = handlerOf,
        };
        PID? pid = null;
        try
        {
            pid = Spawn(listener);
            Remember(listener);
            await listener.StartAcceptingAsync().ConfigureAwait(false);
        }
        catch
        {
            await listener.StopAcceptingAsync().ConfigureAwait(false);
            if (pid is not null)
            {
                await System.Root.StopAsync(pid).ConfigureAwait(false);
            }

            Forget(listener);
            throw;
        }

        Log.Listening(Logger, listener.EndPoint, listener.Id);
        return listener.Handle;
    }

    /// <summary>
    /// Stops accepting, tells every connection (<c>OnShutdown</c>), waits until all have ended or the time is over, stops the rest, then the
    /// datagram sockets with their peers' actors, then the pollers. Not to be awaited on a poller's thread. Harmless when it is stopped.
    /// </summary>
    /// <param name="drain">
    /// How long the connections may take to finish; 0 resets them at once, <see cref="Timeout.InfiniteTimeSpan"/> waits for ever.
    /// </param>
    /// <param name="cutShort">Ends the wait for the connections at once; the rest goes on. Of the first call only.</param>
    /// <exception cref="ArgumentOutOfRangeException">Below 0, and not infinite; nothing has been stopped.</exception>
    public Task ShutdownAsync(TimeSpan drain, CancellationToken cutShort = default)
    {
        if (drain < TimeSpan.Zero && drain != Timeout.InfiniteTimeSpan)
        {
            throw new ArgumentOutOfRangeException(nameof(drain), drain, "Expected 0 or more, or infinite.");
        }

        lock (_gate)
        {
            _isStopping = true;
            return _shutdown ??= DrainAsync([.. _listeners], drain, cutShort);
        }
    }

    /// <summary>As <see cref="ShutdownAsync"/>, with <see cref="NetPollOptions.DrainTimeout"/> to drain.</summary>
    public ValueTask DisposeAsync() => new(ShutdownAsync(Options.DrainTimeout));

    /// <summary>The poller for the next newcomer, by <see cref="PollerOptions.Placement"/>; one that drains or has failed only where all do. Any thread.</summary>
    internal ActorPoller NextHome() => Options.Pollers.Placement == PollerPlacement.LeastLoaded ? LeastLoadedHome() : NextHomeInTurn();

    /// <summary>One poller after the other, those left out that drain or have failed. Any thread.</summary>
    internal ActorPoller NextHomeInTurn() => PollerGroup.NextInTurn(Homes, static home => home.TakesNewcomers, ref _nextHome);

    /// <summary>The poller with the fewest descriptors, those left out that drain or have failed. Any thread.</summary>
    internal ActorPoller LeastLoadedHome()
    {
        ActorPoller[] open = Array.FindAll(Homes, static home => home.TakesNewcomers);
        return PollerGroup.LeastLoaded(open.Length == 0 ? Homes : open, static home => home.Load, Interlocked.Increment(ref _nextHome));
    }

    /// <summary>Whether a listener has one socket, whose acceptor spreads the connections, instead of one for each poller.</summary>
    internal bool HasOneAcceptorForAll => !Platform.CanSharePort || Options.Pollers.Placement == PollerPlacement.LeastLoaded;

    /// <summary>Whether every poller drains or has failed, so that none is left for newcomers. Any thread.</summary>
    internal bool IsClosedToNewcomers => Array.TrueForAll(Homes, static home => !home.TakesNewcomers);

    /// <summary>No listener accepts on this poller any more when the task has ended; what waited in their queues was taken. Any thread.</summary>
    internal Task StopAcceptingOnAsync(ActorPoller home) =>
        Task.WhenAll(ListenerActors.Select(listener => listener.StopAcceptingOnAsync(home)));

    /// <summary>A listener has stopped. Any thread.</summary>
    internal void Forget(ListenerActor listener)
    {
        lock (_gate)
        {
            _listeners.Remove(listener);
        }
    }

    private async Task DrainAsync(ListenerActor[] listeners, TimeSpan drain, CancellationToken cutShort)
    {
        _balancer?.Dispose();
        await StopConnectingAsync().ConfigureAwait(false);
        await Task.WhenAll(listeners.Select(static listener => listener.StopAcceptingAsync())).ConfigureAwait(false);
        await Task.WhenAll(listeners.Select(static listener => listener.RefuseWaitingAsync())).ConfigureAwait(false);
        await WhenNoneMovesAsync().ConfigureAwait(false);
        await ForEachConnectionAsync(static connection => connection.RequestShutdown()).ConfigureAwait(false);
        TimeProvider clock = Options.Pollers.TimeProvider;
        long start = clock.GetTimestamp();
        try
        {
            using CancellationTokenSource cut = CancellationTokenSource.CreateLinkedTokenSource(cutShort, System.Shutdown);
            await WhenEmptyAsync().WaitAsync(ActorPoller.ForTimer(drain), clock, cut.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            // A timer may be a little early by another clock.
            Log.DrainTimedOut(Logger, Connections.Live, exception is TimeoutException ? drain : clock.GetElapsedTime(start));
        }

        await ForEachConnectionAsync(static connection => connection.Abandon(CloseReason.Shutdown)).ConfigureAwait(false);
        await StopDatagramsAsync().ConfigureAwait(false);
        foreach (ListenerActor listener in listeners)
        {
            await System.Root.StopAsync(PID.FromAddress(System.Address, listener.Id)).ConfigureAwait(false);
        }

        foreach (PID poller in Pollers)
        {
            await System.Root.StopAsync(poller).ConfigureAwait(false);
        }

        await System.Root.StopAsync(ConnectionTable).ConfigureAwait(false);
        ActorMetrics.Remove(this);
        if (System.Shutdown.IsCancellationRequested)
        {
            // It went away meanwhile, and whoever was stopped since has not heard of it.
            await CloseWithoutActorsAsync().ConfigureAwait(false);
        }

        await _onSystemShutdown.DisposeAsync().ConfigureAwait(false);
        await _group.DisposeAsync().ConfigureAwait(false);
    }

    // The last connection has ended, and what was injected into any is disposed.
    private async Task WhenEmptyAsync()
    {
        await Connections.WhenNoneAsync().ConfigureAwait(false);
        await Scopes.WhenNoneAsync().ConfigureAwait(false);
    }

    // Who is on the way from one poller to another is in nobody's list. Since the stop was marked nobody leaves any more.
    private Task WhenNoneMovesAsync() => Task.WhenAll(Homes.Select(static home => home.Arrivals.WhenNoneAsync()));

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
        ListenerActor[] listeners;
        lock (_gate)
        {
            if (_isStopping)
            {
                return;
            }

            _isStopping = true;
            listeners = [.. _listeners];
        }

        _balancer?.Dispose();
        _ = _stopping.CancelAsync();
        foreach (ListenerActor listener in listeners)
        {
            _ = listener.StopAcceptingAsync();
        }

        _ = CloseAllAsync();

        async Task CloseAllAsync()
        {
            ActorMetrics.Remove(this);
            await CloseWithoutActorsAsync().ConfigureAwait(false);
            await _group.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task CloseWithoutActorsAsync()
    {
        await WhenNoneMovesAsync().ConfigureAwait(false);
        await ForEachConnectionAsync(static connection => connection.CloseWithoutActor()).ConfigureAwait(false);
        await CloseDatagramsWithoutActorsAsync().ConfigureAwait(false);
    }

    private PID Spawn(ListenerActor listener)
    {
        PID pid = System.Root.SpawnNamed(Props.FromProducer(() => listener), listener.Id);

        // A system that has shut down hands out the PID of its dead letters.
        ObjectDisposedException.ThrowIf(pid.Id != listener.Id, System);
        return pid;
    }

    private void Remember(ListenerActor listener)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isStopping, this);
            _listeners.Add(listener);
        }
    }

    private PID SpawnPollerActor(ActorPoller home)
    {
        Props props = Props.FromProducer(() => new PollerActor(home))
            .WithChildSupervisorStrategy(new ConnectionSupervision(System))
            .OnPoller(new PollerChoice(_ => home));
        return System.Root.SpawnNamed(props, $"netpoll/poller-{home.Poller.Index}");
    }
}
