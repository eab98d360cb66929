using System.Net;
using NetPoll.Actors.Datagrams;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using Proto;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors;

/// <content>Datagram sockets: bound or connected, handled by an actor of their own, by a plain actor, or by one actor for each peer.</content>
public sealed partial class NetPollExtension
{
    private const string DatagramsPrefix = "netpoll/datagrams-";

    // Under the gate.
    private readonly HashSet<DatagramPort> _datagrams = [];

    // Any thread.
    private long _connectedDatagrams;

    /// <summary>The datagram sockets that are open at this moment. Any thread.</summary>
    public IReadOnlyList<DatagramSocket> DatagramSockets => [.. DatagramPorts.Select(static port => port.Handle)];

    private DatagramPort[] DatagramPorts
    {
        get
        {
            lock (_gate)
            {
                return [.. _datagrams];
            }
        }
    }

    /// <summary>Binds a UDP socket, which an actor of its own handles: the fastest way.</summary>
    /// <param name="name">The PID is <c>netpoll/datagrams-</c> and this.</param>
    /// <param name="endPoint">
    /// An <see cref="IPEndPoint"/>, whose port 0 lets the system choose; on <see cref="IPAddress.IPv6Any"/> it receives from IPv4 as well. Or a
    /// <see cref="HandleEndPoint"/> for a UDP socket that is open already, see <see cref="NetDatagramSocket.Adopt"/>.
    /// </param>
    /// <param name="factory">Makes the actor, now and after each failure of it, on the socket's poller's thread: it must not block.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <exception cref="ArgumentException">Another kind of end point, or the handle is closed or no UDP socket.</exception>
    /// <exception cref="IOException">The address is in use or not ours, or an option is refused; the message names it.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend adopts no sockets.</exception>
    /// <exception cref="ProcessNameExistException">There is a datagram socket of that name.</exception>
    /// <exception cref="ObjectDisposedException">NetPoll or the actor system is shut down.</exception>
    /// <remarks>One socket lives on one poller, chosen as for a connection. An exception that the factory throws comes out as it is.</remarks>
    public Task<DatagramSocket> BindDatagramsAsync(string name, EndPoint endPoint, Func<DatagramActor> factory, DatagramOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentNullException.ThrowIfNull(factory);
        return OpenDatagramsAsync(DatagramsPrefix + name, endPoint, remote: null, factory, options);
    }

    /// <summary>Binds a UDP socket, which a plain actor handles, by messages: <see cref="Datagram"/> and <see cref="SendDatagram"/>.</summary>
    /// <param name="name">The PID is <c>netpoll/datagrams-</c> and this.</param>
    /// <param name="endPoint">See the overload with a factory, as for what this throws.</param>
    /// <param name="handler">
    /// Gets what is received. One that is slower than its peers should ask for it by <see cref="Actors.Demand"/>, or its mailbox grows. When it stops the
    /// socket is closed.
    /// </param>
    /// <param name="options">Null for the defaults.</param>
    public Task<DatagramSocket> BindDatagramsAsync(string name, EndPoint endPoint, PID handler, DatagramOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return BindDatagramsAsync(name, endPoint, () => new HandledDatagrams(handler), options);
    }

    /// <summary>Binds a UDP socket whose peers have an actor each: made for the first <see cref="Datagram"/> of an address, which is its first message.</summary>
    /// <param name="name">The PID is <c>netpoll/datagrams-</c> and this; the peers' actors are its children, numbered below it.</param>
    /// <param name="endPoint">See the overload with a factory, as for what this throws.</param>
    /// <param name="peerFactory">Makes the actor of an address, on the socket's poller's thread, where the actor lives as well: neither may block.</param>
    /// <param name="options">Null for the defaults: 10,000 peers, and an actor is stopped when its peer has sent nothing for a minute.</param>
    public Task<DatagramSocket> BindDatagramsAsync(
        string name, EndPoint endPoint, Func<DatagramAddress, IActor> peerFactory, DatagramOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(peerFactory);
        return BindDatagramsAsync(name, endPoint, () => new PeerActors(peerFactory), options);
    }

    /// <summary>Connects a UDP socket: it sends to one peer and receives from nobody else. Nothing is sent by this.</summary>
    /// <param name="remote">The peer.</param>
    /// <param name="factory">Makes the actor, now and after each failure of it, on the socket's poller's thread: it must not block.</param>
    /// <param name="local">The address to come from; null lets the system choose.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <returns>The socket, whose PID is <c>netpoll/datagrams/</c> and a number.</returns>
    /// <exception cref="IOException">The peer's network is unreachable, the own address is in use or not ours, or an option is refused.</exception>
    /// <exception cref="ObjectDisposedException">NetPoll or the actor system is shut down.</exception>
    public Task<DatagramSocket> ConnectDatagramsAsync(
        IPEndPoint remote, Func<DatagramActor> factory, IPEndPoint? local = null, DatagramOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(remote);
        ArgumentNullException.ThrowIfNull(factory);
        return OpenDatagramsAsync($"netpoll/datagrams/{Interlocked.Increment(ref _connectedDatagrams)}", local, remote, factory, options);
    }

    /// <summary>Connects a UDP socket, which a plain actor handles, by messages: <see cref="Datagram"/> and <see cref="SendDatagram"/>.</summary>
    /// <param name="remote">See the overload with a factory, as for what this throws.</param>
    /// <param name="handler">Gets what is received, and <see cref="DatagramRefused"/>. When it stops the socket is closed.</param>
    /// <param name="local">The address to come from; null lets the system choose.</param>
    /// <param name="options">Null for the defaults.</param>
    public Task<DatagramSocket> ConnectDatagramsAsync(IPEndPoint remote, PID handler, IPEndPoint? local = null, DatagramOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return ConnectDatagramsAsync(remote, () => new HandledDatagrams(handler), local, options);
    }

    /// <summary>The bound datagram socket of that name if it is open; otherwise null. Any thread.</summary>
    public DatagramSocket? FindDatagramSocket(string name)
    {
        string id = DatagramsPrefix + name;
        return Array.Find(DatagramPorts, port => port.Id == id)?.Handle;
    }

    /// <summary>A socket is about to get its actor. Any thread.</summary>
    /// <exception cref="ObjectDisposedException">The shutdown has begun.</exception>
    internal void Remember(DatagramPort port)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isStopping || System.Shutdown.IsCancellationRequested, this);
            _datagrams.Add(port);
        }
    }

    /// <summary>A socket has closed. Any thread.</summary>
    internal void Forget(DatagramPort port)
    {
        lock (_gate)
        {
            _datagrams.Remove(port);
        }
    }

    private async Task<DatagramSocket> OpenDatagramsAsync(
        string id, EndPoint? local, IPEndPoint? remote, Func<DatagramActor> factory, DatagramOptions? options)
    {
        if (local is not (null or IPEndPoint or HandleEndPoint))
        {
            throw new ArgumentException($"{local} is a {local.GetType().Name}; expected an IPEndPoint or a HandleEndPoint.", nameof(local));
        }

        options ??= new DatagramOptions();
        options.Validate();
        ObjectDisposedException.ThrowIf(IsStopping, this);
        PollableSocket socket = OpenDatagramSocket(local, remote, options);
        ActorPoller home = NextHome();
        DatagramPort? port = null;
        await home.RunAsync(() => port = DatagramPort.Spawn(this, home, socket, id, factory, options)).ConfigureAwait(false);
        Log.ReceivingDatagrams(Logger, id, port!.LocalEndPoint);
        return port.Handle;
    }

    private PollableSocket OpenDatagramSocket(EndPoint? local, IPEndPoint? remote, DatagramOptions options)
    {
        PollableSocket? socket;
        IoResult opened = IoResult.Success;
        if (local is HandleEndPoint open)
        {
            socket = Platform.AdoptSocket(open.Handle, PollKind.Datagram);
        }
        else
        {
            opened = Platform.OpenDatagram((IPEndPoint?)local, remote, options.ShareAddress, out socket);
        }

        if (!opened.IsSuccess)
        {
            throw opened.ToException(remote is null ? $"bind {local}" : $"connect {remote}");
        }

        try
        {
            SetUp(socket!, (IDatagramSocket)socket!, options);
            return socket!;
        }
        catch
        {
            _ = socket!.Close();
            throw;
        }
    }

    private static void SetUp(PollableSocket socket, IDatagramSocket datagrams, DatagramOptions options)
    {
        Set(options.ReceiveBufferBytes is { } receive ? socket.SetOption(SocketSetting.ReceiveBufferBytes, receive) : IoResult.Success, "set the receive buffer");
        Set(options.SendBufferBytes is { } send ? socket.SetOption(SocketSetting.SendBufferBytes, send) : IoResult.Success, "set the send buffer");
        Set(options.Broadcast ? datagrams.SetDatagramSetting(DatagramSetting.Broadcast, 1) : IoResult.Success, "allow broadcast");
        Set(
            options.MulticastTimeToLive is { } hops ? datagrams.SetDatagramSetting(DatagramSetting.MulticastTimeToLive, hops) : IoResult.Success,
            "set the multicast time to live");
        Set(options.MulticastLoopback ? IoResult.Success : datagrams.SetDatagramSetting(DatagramSetting.MulticastLoopback, 0), "end the multicast loopback");
        Set(
            options.MulticastInterface > 0 ? datagrams.SetDatagramSetting(DatagramSetting.MulticastInterface, options.MulticastInterface) : IoResult.Success,
            $"use the interface {options.MulticastInterface} for multicast");
        foreach (IPAddress group in options.MulticastGroups)
        {
            Set(datagrams.ChangeMembership(group, options.MulticastInterface, join: true), $"join {group}");
        }

        void Set(IoResult result, string operation)
        {
            if (!result.IsSuccess)
            {
                throw result.ToException($"{operation} on {socket.LocalEndPoint}");
            }
        }
    }

    // Each stops its peers' actors first.
    private Task StopDatagramsAsync() =>
        Task.WhenAll(DatagramPorts.Select(port => System.Root.StopAsync(PID.FromAddress(System.Address, port.Id))));

    private Task CloseDatagramsWithoutActorsAsync() =>
        Task.WhenAll(DatagramPorts.Select(static port => port.Home.RunAsync(port.CloseWithoutActor)));
}
