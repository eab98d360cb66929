using System.Net;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Sockets;
using Proto;

namespace NetPoll.Actors.Listening;

/// <summary>The control of a listener: PID <c>netpoll/listener-name</c>. The accepting itself is done on the pollers.</summary>
internal sealed class ListenerActor : IActor, IConnectionOwner
{
    private const string IdPrefix = "netpoll/listener-";

    private readonly NetPollExtension _extension;
    private readonly string _name;
    private readonly Acceptor[] _acceptors;

    // One for each poller.
    private readonly Admission[] _admissions;
    private readonly bool _isOneForAll;
    private Admission? _lastAdmission;
    private readonly LiveCount _connections = new();
    private readonly int _maxConnections;
    private long _names;
    private long _accepted;
    private bool _isPaused;

    internal ListenerActor(NetPollExtension extension, string id, Producer factory, ListenerOptions options, PollableSocket[] sockets)
    {
        _extension = extension;
        _maxConnections = options.MaxConnections;
        Id = id;
        _name = id[IdPrefix.Length..];
        EndPoint = sockets[0].LocalEndPoint!;
        Backlog = options.Backlog;
        ConnectionOptions = options.Connections;
        Farewell = options.Farewell;
        Addresses = options.AddressLimits.Count == 0 ? null : new AddressTable(options.AddressLimits, options.ExemptNetworks);
        ProxyProtocol = options.ProxyProtocol is { } proxy ? new TrustedProxies(proxy) : null;
        Clock = new PollerClock(extension.Options.Pollers.TimeProvider);
        Refusals = new RefusalLog(id, extension.Logger, Clock);
        Reserve = new DescriptorReserve(extension.Platform);

        // The start is timed by nobody: a stopwatch for every connection would only cost.
        Props = Props.FromProducer(factory).WithStartDeadline(TimeSpan.Zero);
        _isOneForAll = extension.HasOneAcceptorForAll || sockets.Length < extension.Homes.Length;
        _admissions = [.. extension.Homes.Select(home => new Admission(home, this))];
        _acceptors = [.. sockets.Select((socket, index) => new Acceptor(_admissions[index], this, socket, _isOneForAll))];
    }

    /// <inheritdoc/>
    public ActorSystem System => _extension.System;

    /// <inheritdoc/>
    public string Id { get; }

    /// <inheritdoc/>
    public Func<PID, PID>? HandlerOf { get; init; }

    /// <inheritdoc/>
    public Props Props { get; }

    /// <inheritdoc/>
    public ConnectionOptions ConnectionOptions { get; }

    internal EndPoint EndPoint { get; }

    /// <summary>What users are given.</summary>
    internal Listener Handle => new(PID.FromAddress(System.Address, Id), EndPoint);

    /// <summary>Whether it accepts on every poller, or will when it is resumed. Any thread.</summary>
    internal bool IsAccepting => Array.Exists(_acceptors, static acceptor => acceptor.IsAccepting)
        && Array.TrueForAll(_acceptors, static acceptor => acceptor.IsAccepting || acceptor.IsLeftOut);

    internal long Accepted => Volatile.Read(ref _accepted);

    internal long Active => _connections.Live;

    internal int Backlog { get; }

    internal Func<Refusal, ReadOnlyMemory<byte>>? Farewell { get; }

    /// <summary>The limits by address; null without any.</summary>
    internal AddressTable? Addresses { get; }

    /// <summary>Who tells whose connections they are; null where the connections tell it themselves.</summary>
    internal TrustedProxies? ProxyProtocol { get; }

    /// <summary>One clock for all pollers, whose own each begin at another moment.</summary>
    internal PollerClock Clock { get; }

    internal RefusalLog Refusals { get; }

    /// <summary>What the acceptors of all pollers share for the day on which there are no descriptors.</summary>
    internal DescriptorReserve Reserve { get; }

    /// <summary>The PID's id of the listener of that name.</summary>
    internal static string IdOf(string name) => IdPrefix + name;

    /// <inheritdoc/>
    public void ConnectionClosed() => Leave();

    /// <inheritdoc/>
    public async Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case GetListenerStatistics:
                context.Respond(new ListenerStatistics(Accepted, Active) { Refused = Refusals.Counts, IsPaused = _isPaused });
                break;

            case PauseAccepting:
                await Task.WhenAll(_acceptors.Select(static acceptor => acceptor.PauseAsync()));
                _isPaused = true;
                Answer(context, new AcceptingPaused());
                break;

            case ResumeAccepting:
                await Task.WhenAll(_acceptors.Select(static acceptor => acceptor.ResumeAsync()));
                _isPaused = false;
                Answer(context, new AcceptingResumed());
                break;

            case Stopping:
                await StopAcceptingAsync();
                _extension.Forget(this);
                break;
        }
    }

    /// <summary>Begins to accept, on every poller.</summary>
    internal Task StartAcceptingAsync() => Task.WhenAll(_acceptors.Select(static acceptor => acceptor.StartAsync()));

    /// <summary>Takes what waits in the queues, and closes the sockets. Harmless when they are closed.</summary>
    internal async Task StopAcceptingAsync()
    {
        await Task.WhenAll(_acceptors.Select(static acceptor => acceptor.StopAsync())).ConfigureAwait(false);
        Reserve.Dispose();
    }

    /// <summary>The server stops: what waits for its PROXY header is refused. After the accepting has stopped.</summary>
    internal Task RefuseWaitingAsync() => Task.WhenAll(_admissions.Select(static admission => admission.RefuseWaitingAsync()));

    /// <summary>Ends accepting on one poller: what waits in its queue is taken, whose PROXY header has not come is refused.</summary>
    internal async Task StopAcceptingOnAsync(ActorPoller home)
    {
        Admission admission = _admissions[home.Poller.Index];
        if (!_isOneForAll)
        {
            await _acceptors[home.Poller.Index].StopAsync().ConfigureAwait(false);
        }
        else if (_extension.IsClosedToNewcomers)
        {
            // What waits in the queue still goes to the poller that was the last to be told, which tells them.
            Interlocked.Exchange(ref _lastAdmission, admission);
            await _acceptors[0].StopAsync().ConfigureAwait(false);
        }
        else
        {
            await _acceptors[0].HandedOverAsync().ConfigureAwait(false);
        }

        await admission.RefuseWaitingAsync().ConfigureAwait(false);
    }

    /// <summary>Where the next newcomer goes who may live on any poller. Any poller's thread.</summary>
    internal Admission NextAdmission() => Volatile.Read(ref _lastAdmission) ?? _admissions[_extension.NextHome().Poller.Index];

    /// <summary>Counts a connection in, unless there are as many as may be. Any poller's thread.</summary>
    internal bool TryEnter() => _connections.TryEnter(_maxConnections) && _extension.Connections.TryEnter();

    /// <summary>Counts a connection out. Any poller's thread.</summary>
    internal void Leave()
    {
        _connections.Leave();
        _extension.Connections.Leave();
    }

    /// <summary>Names a connection, shortly: every idle one carries its name. Any poller's thread.</summary>
    internal string NextConnectionId() => $"{_name}/{Interlocked.Increment(ref _names)}";

    /// <summary>A connection has its actor. Any poller's thread.</summary>
    internal void CountAccepted() => Interlocked.Increment(ref _accepted);

    private static void Answer(IContext context, object answer)
    {
        if (context.Sender is not null)
        {
            context.Respond(answer);
        }
    }
}
