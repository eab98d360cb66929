using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using Proto;

namespace NetPoll.Actors.Connecting;

/// <summary>One outbound connection, from its first packet to its end: dials, makes the actor, and tells who asked for it how it ended.</summary>
internal sealed class OutboundConnection : IConnectionOwner
{
    private readonly NetPollExtension _extension;
    private readonly EndPoint _endPoint;
    private readonly ConnectOptions _options;
    private readonly string _id;
    private readonly Action<ConnectionClosed>? _ended;

    private Connection? _connection;
    private int _isStopped;
    private int _isTold;
    // Words    the connection once it is there; whether it was stopped; whether the connection was told so.
    // Writers  its poller's thread, once; any thread, by exchange; whoever tells, by exchange.
    // Race     the connection is made while it is stopped.
    // Order    make: exchange the connection in, then read the stop. stop: exchange it in, then read the connection. Both have a full fence
    //          between store and load, so at least one sees the other; the third word lets one of them tell.
    // Proof    ConnectorTests.

    /// <param name="extension">Whose pollers.</param>
    /// <param name="endPoint">An address, or a host and a port.</param>
    /// <param name="props">The actor's.</param>
    /// <param name="options">Validated.</param>
    /// <param name="id">The PID's.</param>
    /// <param name="ended">Told, on a poller's thread, when the connection has ended and its actor knows.</param>
    internal OutboundConnection(NetPollExtension extension, EndPoint endPoint, Props props, ConnectOptions options, string id, Action<ConnectionClosed>? ended = null)
    {
        _extension = extension;
        _endPoint = endPoint;
        _options = options;
        _id = id;
        _ended = ended;
        Props = props;
        ConnectionOptions = options.Connections;
    }

    /// <inheritdoc/>
    public ActorSystem System => _extension.System;

    /// <summary>Without the number: the connector's, or that of all that were asked for once.</summary>
    public string Id => _id[.._id.LastIndexOf('/')];

    /// <inheritdoc/>
    public Func<PID, PID>? HandlerOf { get; init; }

    /// <inheritdoc/>
    public Props Props { get; }

    /// <inheritdoc/>
    public ConnectionOptions ConnectionOptions { get; private set; }

    /// <inheritdoc/>
    public void ConnectionClosed() => _extension.Connections.Leave();

    /// <inheritdoc/>
    public void ConnectionEnded(ConnectionClosed closed) => _ended?.Invoke(closed);

    /// <summary>Connects, once.</summary>
    /// <returns>The connection's PID.</returns>
    /// <exception cref="IOException">Refused, unreachable, unknown: the message names the end point, the inner exception is the system's error.</exception>
    /// <exception cref="DeadlineExceededException">The timeout has passed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">NetPoll stops.</exception>
    internal async Task<PID> ConnectAsync(CancellationToken cancellationToken)
    {
        // Both are about the thread that asks, which the first await may leave.
        ActorPoller? caller = ActorPoller.OfCurrentThread;
        ActorPoller? chosen = _options.Poller?.Choose(System);
        using CancellationTokenSource any = CancellationTokenSource.CreateLinkedTokenSource(_extension.Stopping, cancellationToken);
        try
        {
            PollableSocket socket = _endPoint is HandleEndPoint open ? Adopt(open) : await DialAsync(any.Token).ConfigureAwait(false);
            return await SpawnAsync(chosen ?? ChooseHome(caller), socket, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException && _extension.IsStopping)
        {
            throw new ObjectDisposedException(nameof(NetPollExtension), exception);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException($"connect {_endPoint}: cancelled.", cancellationToken);
        }
    }

    /// <summary>
    /// A connection that is there, or comes from an attempt whose token was cancelled too late, is told as by a shutdown. Any thread; harmless
    /// when it has ended.
    /// </summary>
    internal void Stop()
    {
        Interlocked.Exchange(ref _isStopped, 1);
        TellShutdown(Volatile.Read(ref _connection));
    }

    private PollableSocket Adopt(HandleEndPoint open)
    {
        PollableSocket socket = _extension.Platform.AdoptStream(open.Handle);
        if (socket.Name is not null)
        {
            ConnectionOptions = _options.Connections.WithoutLinger();
        }

        return socket;
    }

    private async Task<PollableSocket> DialAsync(CancellationToken cancellationToken)
    {
        NetConnection dialed = await DialConnectionAsync(cancellationToken).ConfigureAwait(false);
        return await dialed.DetachAsync().ConfigureAwait(false) ?? throw new ObjectDisposedException(nameof(NetPollExtension));
    }

    private async Task<NetConnection> DialConnectionAsync(CancellationToken cancellationToken)
    {
        NetDialer dialer = new()
        {
            Timeout = _options.ConnectTimeout,
            FallbackDelay = _options.FallbackDelay,
            LocalEndPoint = _options.LocalEndPoint,
            Group = _extension.Group,
        };
        dialer.Resolver = _options.Resolver ?? dialer.Resolver;
        if (_endPoint is not DnsEndPoint host)
        {
            return await dialer.ConnectAsync(_endPoint, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            return await dialer.ConnectAsync(host, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            throw new IOException($"connect {host.Host}:{host.Port}: {exception.Message}", exception.InnerException ?? exception);
        }
    }

    private ActorPoller ChooseHome(ActorPoller? caller) =>
        caller is { TakesNewcomers: true } && ReferenceEquals(caller.Extension, _extension) ? caller : _extension.NextHome();

    // In a turn of its own poller: a producer runs on the spawner's thread, and the connection must be whole before its first event.
    private Task<PID> SpawnAsync(ActorPoller home, PollableSocket socket, CancellationToken cancellationToken)
    {
        TaskCompletionSource<PID> spawned = new(TaskCreationOptions.RunContinuationsAsynchronously);
        home.Poller.Post(() =>
        {
            try
            {
                spawned.SetResult(Spawn(home, socket, cancellationToken));
            }
#pragma warning disable CA1031 // Whoever awaits the connection gets it: mostly the user's constructor threw.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                spawned.SetException(exception);
            }
        });
        return spawned.Task;
    }

    private PID Spawn(ActorPoller home, PollableSocket socket, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested || _extension.IsStopping || home.IsDraining)
        {
            // Whoever stops has told the connections that there were: this one would never learn of it.
            _ = socket.Close();
            cancellationToken.ThrowIfCancellationRequested();
            throw new ObjectDisposedException(home.Pid.Id, $"connect {_endPoint}: the poller takes no connections any more.");
        }

        string? name = socket.Name;
        SocketSetup.Prepare(socket, _options.Connections);
        _ = _extension.Connections.TryEnter();
        IoResult result = Connection.Spawn(home, socket, this, _id);
        if (!result.IsSuccess)
        {
            ConnectionClosed();
            throw result.IsNotPollable
                ? new NotSupportedException($"{name} cannot be watched, as a file cannot: expected a pipe, a terminal, or what else tells when it is ready.")
                : result.ToException($"connect {name ?? (object)_endPoint}");
        }

        PID pid = PID.FromAddress(System.Address, _id);
        Connection connection = System.ProcessRegistry.Get(pid) as Connection ?? throw new ObjectDisposedException(nameof(ActorSystem));
        Interlocked.Exchange(ref _connection, connection);
        if (Volatile.Read(ref _isStopped) != 0)
        {
            TellShutdown(connection);
        }

        return pid;
    }

    private void TellShutdown(Connection? connection)
    {
        if (connection is not null && Interlocked.Exchange(ref _isTold, 1) == 0)
        {
            connection.RequestShutdown();
        }
    }
}
