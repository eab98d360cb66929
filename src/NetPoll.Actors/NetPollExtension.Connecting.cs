using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Connecting;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors;

/// <content>Outbound connections: made once, or kept by a connector.</content>
public sealed partial class NetPollExtension
{
#pragma warning disable CA2213 // Late attempts still look at its token; without a timer of its own it holds nothing.
    private readonly CancellationTokenSource _stopping = new();
#pragma warning restore CA2213

    // Under the gate.
    private readonly HashSet<PID> _connectors = [];

    // Any thread.
    private long _outbound;

    /// <summary>Cancelled when the shutdown begins.</summary>
    internal CancellationToken Stopping => _stopping.Token;

    /// <summary>Connectors that have not stopped.</summary>
    internal int ConnectorCount
    {
        get
        {
            lock (_gate)
            {
                return _connectors.Count;
            }
        }
    }

    /// <summary>Where dialed connections begin.</summary>
    internal PollerGroup Group => _group;

    /// <summary>Connects to a server; the connection gets an actor, as an accepted one does.</summary>
    /// <param name="endPoint">
    /// An <see cref="IPEndPoint"/>, a <see cref="UnixDomainSocketEndPoint"/>, or a <see cref="DnsEndPoint"/>: a host's addresses are tried one after the other, families in turn, the next
    /// beside those before it after <see cref="ConnectOptions.FallbackDelay"/> (Happy Eyeballs). Or a <see cref="HandleEndPoint"/>: what is open already, a
    /// connected socket, a pipe or a terminal, becomes a connection. What is no socket has no end points and no half-close.
    /// </param>
    /// <param name="factory">Makes the actor, on the connection's poller's thread: it must not block.</param>
    /// <param name="options">Null for the defaults: 30 s for the whole attempt.</param>
    /// <param name="cancellationToken">Ends the attempt; a connection that is there is not ended by it.</param>
    /// <returns>The connection's PID, <c>netpoll/outbound/</c> and a number. It takes messages at once.</returns>
    /// <exception cref="ArgumentException">No such end point; or what is open is no stream. Its handle still is the caller's.</exception>
    /// <exception cref="NotSupportedException">What is open cannot be watched, as a file.</exception>
    /// <exception cref="IOException">Refused, unreachable or unknown: the message names the end point, the inner exception has the system's error.</exception>
    /// <exception cref="DeadlineExceededException">No connection within the timeout; the message names the end point.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">NetPoll is shut down.</exception>
    /// <remarks>An exception that the factory throws comes out as it is. In a connection's handler, do not await it: ask and be told by message.</remarks>
    public Task<PID> ConnectAsync(
        EndPoint endPoint, Func<ConnectionActor> factory, ConnectOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return ConnectAsync(endPoint, () => factory(), handlerOf: null, options, cancellationToken);
    }

    /// <summary>Connects to a server; a plain actor handles the connection, by messages. See <see cref="Connected"/> and <see cref="Write"/>.</summary>
    /// <param name="endPoint">See the overload with a factory, as for what this throws.</param>
    /// <param name="handler">Gets the connection's events, <see cref="Connected"/> first. When it stops the connection is reset.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <param name="cancellationToken">Ends the attempt; a connection that is there is not ended by it.</param>
    /// <returns>The connection's PID. A handler may be told of it before.</returns>
    public Task<PID> ConnectAsync(EndPoint endPoint, PID handler, ConnectOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return ConnectAsync(endPoint, NoActor, _ => handler, options, cancellationToken);
    }

    /// <summary>Keeps a connection to a server: connects, and connects again after a while whenever that fails or the connection ends.</summary>
    /// <param name="name">The connector's PID is <c>netpoll/connector-</c> and this; its connections' PIDs are numbered below it.</param>
    /// <param name="endPoint">As for <c>ConnectAsync</c>; a name is looked up for each attempt.</param>
    /// <param name="factory">Makes the actor of each connection, on the connection's poller's thread: it must not block.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <returns>
    /// The connector's PID: takes <see cref="ObserveConnector"/> and <see cref="GetConnectorState"/>, can be watched and stopped. Stopped, it ends
    /// an attempt and tells the connection to finish (<c>OnShutdown</c>).
    /// </returns>
    /// <exception cref="ProcessNameExistException">There is a connector of that name.</exception>
    /// <exception cref="ObjectDisposedException">NetPoll or the actor system is shut down.</exception>
    public PID StartConnector(string name, EndPoint endPoint, Func<ConnectionActor> factory, ConnectorOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return StartConnector(name, endPoint, () => factory(), handlerOf: null, options);
    }

    /// <summary>Keeps a connection to a server that a plain actor handles: each gets <see cref="Connected"/> first, <see cref="ConnectionClosed"/> last.</summary>
    /// <param name="name">The connector's PID is <c>netpoll/connector-</c> and this; its connections' PIDs are numbered below it.</param>
    /// <param name="endPoint">See the overload with a factory, as for what this returns and throws.</param>
    /// <param name="handler">Gets the events of every connection. When it stops the connection is reset, and the next one, too: stop the connector first.</param>
    /// <param name="options">Null for the defaults.</param>
    public PID StartConnector(string name, EndPoint endPoint, PID handler, ConnectorOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return StartConnector(name, endPoint, NoActor, _ => handler, options);
    }

    private Task<PID> ConnectAsync(
        EndPoint endPoint, Producer factory, Func<PID, PID>? handlerOf, ConnectOptions? options, CancellationToken cancellationToken)
    {
        CheckEndPoint(endPoint);
        options ??= new ConnectOptions();
        options.Validate();
        ObjectDisposedException.ThrowIf(IsStopping, this);
        cancellationToken.ThrowIfCancellationRequested();
        Props props = Props.FromProducer(factory).WithStartDeadline(TimeSpan.Zero);
        string id = $"netpoll/outbound/{Interlocked.Increment(ref _outbound)}";
        return new OutboundConnection(this, endPoint, props, options, id) { HandlerOf = handlerOf }.ConnectAsync(cancellationToken);
    }

    private PID StartConnector(string name, EndPoint endPoint, Producer factory, Func<PID, PID>? handlerOf, ConnectorOptions? options)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        CheckEndPoint(endPoint);
        if (endPoint is HandleEndPoint)
        {
            throw new ArgumentException($"A connector connects again, which {endPoint} cannot; expected an address.", nameof(endPoint));
        }

        options ??= new ConnectorOptions();
        options.Validate();
        string id = $"netpoll/connector-{name}";
        lock (_gate)
        {
            // Spawned under the gate, so that a shutdown finds every connector that may still connect. The actor itself runs elsewhere.
            ObjectDisposedException.ThrowIf(_isStopping, this);
            PID pid = System.Root.SpawnNamed(Props.FromProducer(() => new ConnectorActor(this, id, endPoint, factory, options) { HandlerOf = handlerOf }), id);
            ObjectDisposedException.ThrowIf(pid.Id != id, System);
            _connectors.Add(pid);
            return pid;
        }
    }

    /// <summary>A connector has stopped. Any thread.</summary>
    internal void Forget(PID connector)
    {
        lock (_gate)
        {
            _connectors.Remove(connector);
        }
    }

    // No attempt goes on, and no new one begins.
    private async Task StopConnectingAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        PID[] connectors;
        lock (_gate)
        {
            connectors = [.. _connectors];
        }

        await Task.WhenAll(connectors.Select(System.Root.StopAsync)).ConfigureAwait(false);
    }

    private static void CheckEndPoint(EndPoint endPoint)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        if (endPoint is DnsEndPoint { Port: 0 })
        {
            throw new ArgumentException($"The port of {endPoint} is 0; expected 1 to 65,535.", nameof(endPoint));
        }

        bool isKnown = endPoint is UnixDomainSocketEndPoint or HandleEndPoint
            || (endPoint is IPEndPoint or DnsEndPoint && endPoint.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6 or AddressFamily.Unspecified);
        if (!isKnown)
        {
            throw new ArgumentException(
                $"{endPoint} is a {endPoint.GetType().Name} of {endPoint.AddressFamily}; expected an IPEndPoint, a DnsEndPoint or a UnixDomainSocketEndPoint.",
                nameof(endPoint));
        }
    }
}
