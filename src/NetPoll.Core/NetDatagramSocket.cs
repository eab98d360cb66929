using System.Net;
using System.Runtime.InteropServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Diagnostics;
using NetPoll.Core.Sockets;

namespace NetPoll.Core;

/// <summary>A UDP socket on a poller. Every member may be called from any thread.</summary>
/// <remarks>
/// At most one receive and one send are in progress at a time; others queue. Once warm, nothing is allocated for a datagram. A refusal that
/// the peer's system reports (ICMP) of a connected socket is one operation's <see cref="IOException"/>, and the socket goes on as before; one that
/// is not connected hears of none. Go: <c>net.UDPConn</c>.
/// </remarks>
public sealed class NetDatagramSocket : IAsyncDisposable, IDisposable
{
    private readonly NetFd _fd;
    private readonly DatagramFd _datagrams;

    private NetDatagramSocket(NetFd fd, IDatagramSocket socket)
    {
        _fd = fd;
        _datagrams = new DatagramFd(fd, socket);
        fd.Owner = this;
    }

    /// <summary>Closes a socket that its user forgot.</summary>
    ~NetDatagramSocket()
    {
        Log.ConnectionForgotten(_fd.Poller.Logger, _fd.LocalEndPoint, _fd.RemoteEndPoint);
        _ = _fd.CloseAsync();
    }

    /// <summary>The poller that watches this socket.</summary>
    public Poller Poller => _fd.Poller;

    /// <summary>Where it is bound, with the port that the system chose if none was given.</summary>
    public IPEndPoint LocalEndPoint => (IPEndPoint)_fd.LocalEndPoint!;

    /// <summary>The only peer of a connected socket; otherwise null.</summary>
    public IPEndPoint? RemoteEndPoint => (IPEndPoint?)_fd.RemoteEndPoint;

    internal NetFd Fd => _fd;

    /// <summary>A socket that receives from anybody. On <see cref="IPAddress.IPv6Any"/> it receives from IPv4 as well.</summary>
    /// <param name="endPoint">The address; port 0 lets the system choose.</param>
    /// <param name="group">Where it lives; null for the default group.</param>
    /// <param name="shareAddress">Whether others may bind the same address, as the members of a multicast group on one machine do.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    public static NetDatagramSocket Bind(IPEndPoint endPoint, PollerGroup? group = null, bool shareAddress = false)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        return Open(endPoint, null, group, shareAddress);
    }

    /// <summary>A socket with one peer: it sends to it, and receives from nobody else. Nothing is sent by this.</summary>
    /// <param name="remote">The peer.</param>
    /// <param name="local">The address to come from; null lets the system choose.</param>
    /// <param name="group">Where it lives; null for the default group.</param>
    /// <exception cref="IOException">The peer's network is unreachable, or the own address is in use or not ours.</exception>
    public static NetDatagramSocket Connect(IPEndPoint remote, IPEndPoint? local = null, PollerGroup? group = null)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return Open(local, remote, group, shareAddress: false);
    }

    /// <summary>Takes over a UDP socket that somebody else has made, as one of <see cref="SocketActivation"/>.</summary>
    /// <param name="handle">
    /// The socket's from here on: its open file gets another number, close-on-exec, and is made non-blocking, and the handle is disposed. After
    /// an <see cref="ArgumentException"/> it still is the caller's.
    /// </param>
    /// <param name="group">Where it lives; null for the default group.</param>
    /// <exception cref="ArgumentException">The handle is closed, or is no UDP socket; the message tells what it is.</exception>
    /// <exception cref="IOException">The system refuses; the socket is closed.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend adopts no sockets.</exception>
    /// <remarks>Go: <c>net.FilePacketConn</c>, which leaves the file to its caller.</remarks>
    public static NetDatagramSocket Adopt(SafeHandle handle, PollerGroup? group = null)
    {
        ArgumentNullException.ThrowIfNull(handle);
        group ??= PollerGroup.Default;
        group.Start();
        PollableSocket socket = group.Platform.AdoptSocket(handle, PollKind.Datagram);
        return new NetDatagramSocket(NetFd.OpenOrClose(group, socket), (IDatagramSocket)socket);
    }

    /// <summary>Takes a datagram out of the queue, or waits for one.</summary>
    /// <param name="buffer">Not touched after the task has completed. What does not fit is lost, which is reported.</param>
    /// <param name="cancellationToken">Ends this wait and touches nothing else.</param>
    /// <exception cref="DeadlineExceededException">The read deadline has passed; nothing was consumed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; nothing was consumed.</exception>
    /// <exception cref="ObjectDisposedException">The socket was closed.</exception>
    /// <exception cref="IOException">The system reports an error, as the refusal of a datagram that was sent; the next receive works.</exception>
    public ValueTask<ReceivedDatagram> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<ReceivedDatagram>(cancellationToken)
            : _datagrams.ReceiveAsync(buffer, cancellationToken);

    /// <summary>Takes what is in the queue, as far as the batch has room, or waits for the first; with one system call where there is one.</summary>
    /// <param name="batch">What it held is replaced. The task's until it has completed.</param>
    /// <param name="cancellationToken">Ends this wait and touches nothing else.</param>
    /// <returns>How many, 1 or more.</returns>
    /// <inheritdoc cref="ReceiveAsync" path="/exception"/>
    public ValueTask<int> ReceiveBatchAsync(DatagramBatch batch, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<int>(cancellationToken)
            : _datagrams.ReceiveAsync(batch, cancellationToken);
    }

    /// <summary>Sends a datagram, waiting while the system has no room for it. That it arrives nobody promises.</summary>
    /// <param name="payload">Its bytes, perhaps none. Must not change until the task has completed.</param>
    /// <param name="to">Whom to send to; the default value for a connected socket's peer.</param>
    /// <param name="cancellationToken">Ends the wait; nothing was sent.</param>
    /// <exception cref="DeadlineExceededException">The write deadline has passed; nothing was sent.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; nothing was sent.</exception>
    /// <exception cref="ObjectDisposedException">The socket was closed.</exception>
    /// <exception cref="IOException">
    /// It is too long, the peer is unreachable, or an earlier datagram was refused, which is reported in this one's place: it was not sent.
    /// </exception>
    public ValueTask SendAsync(ReadOnlyMemory<byte> payload, DatagramAddress to = default, CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : _datagrams.SendAsync(payload, to, cancellationToken);

    /// <summary>Sends datagrams of a batch in order, as many as the system takes at once, or waits until it takes one.</summary>
    /// <param name="batch">The task's until it has completed; it keeps what it holds.</param>
    /// <param name="start">The first to be sent, 0 to <see cref="DatagramBatch.Count"/> minus 1.</param>
    /// <param name="cancellationToken">Ends the wait; nothing was sent.</param>
    /// <returns>How many were sent, 1 or more: the next call goes on behind them.</returns>
    /// <exception cref="IOException">An error of the datagram <paramref name="start"/>; see <see cref="SendAsync"/>.</exception>
    /// <inheritdoc cref="SendAsync" path="/exception[@cref='T:System.ObjectDisposedException']"/>
    public ValueTask<int> SendBatchAsync(DatagramBatch batch, int start = 0, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(start, batch.Count);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<int>(cancellationToken)
            : _datagrams.SendAsync(batch, start, cancellationToken);
    }

    /// <summary>Sets when receives and sends stop waiting: those in progress and all later ones.</summary>
    /// <exception cref="ObjectDisposedException">The socket was closed.</exception>
    public void SetDeadline(Deadline deadline) => Set(PollMode.Both, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for receives.</summary>
    public void SetReadDeadline(Deadline deadline) => Set(PollMode.Read, deadline);

    /// <summary>As <see cref="SetDeadline"/>, for sends.</summary>
    public void SetWriteDeadline(Deadline deadline) => Set(PollMode.Write, deadline);

    /// <summary>Whether it may send to broadcast addresses. Default false.</summary>
    public void SetBroadcast(bool broadcast) => Set(DatagramSetting.Broadcast, broadcast ? 1 : 0);

    /// <summary>How many networks a multicast datagram may cross, 0 to 255. The system's default is 1: the local network.</summary>
    public void SetMulticastTimeToLive(int hops)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(hops);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(hops, 255);
        Set(DatagramSetting.MulticastTimeToLive, hops);
    }

    /// <summary>Whether what is sent to a group comes back to its members on this machine. The system's default is true.</summary>
    public void SetMulticastLoopback(bool loopback) => Set(DatagramSetting.MulticastLoopback, loopback ? 1 : 0);

    /// <summary>The interface that multicast leaves by.</summary>
    /// <param name="interfaceIndex">As <see cref="System.Net.NetworkInformation.NetworkInterface"/> tells it; 0 for the system's choice.</param>
    public void SetMulticastInterface(int interfaceIndex)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(interfaceIndex);
        Set(DatagramSetting.MulticastInterface, interfaceIndex);
    }

    /// <summary>Asks for a size of the system's send buffer, in bytes.</summary>
    public void SetSendBuffer(int bytes) => Set(SocketSetting.SendBufferBytes, bytes);

    /// <summary>Asks for a size of the system's receive buffer, in bytes: what comes when it is full is lost.</summary>
    public void SetReceiveBuffer(int bytes) => Set(SocketSetting.ReceiveBufferBytes, bytes);

    /// <summary>Receives what is sent to a group, too.</summary>
    /// <param name="group">A multicast address.</param>
    /// <param name="interfaceIndex">The interface that it comes by; 0 for the system's choice.</param>
    /// <exception cref="ArgumentException">No multicast address.</exception>
    /// <exception cref="IOException">The system refuses; the message names the group.</exception>
    public void JoinGroup(IPAddress group, int interfaceIndex = 0) => ChangeMembership(group, interfaceIndex, join: true);

    /// <summary>Ends a membership. See <see cref="JoinGroup"/>.</summary>
    public void LeaveGroup(IPAddress group, int interfaceIndex = 0) => ChangeMembership(group, interfaceIndex, join: false);

    /// <summary>Ends waiting operations as closed; completes when the descriptor's number is released. Harmless when closed.</summary>
    public Task CloseAsync() => DisposeAsync().AsTask();

    /// <summary>Begins to close and does not wait.</summary>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        _ = _fd.CloseAsync();
    }

    /// <inheritdoc cref="CloseAsync"/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return new ValueTask(_fd.CloseAsync());
    }

    /// <summary>Whether it is one of 224.0.0.0/4 or ff00::/8.</summary>
    internal static bool IsMulticast(IPAddress address) => address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork
        ? address.GetAddressBytes()[0] is >= 224 and < 240
        : address.IsIPv6Multicast;

    private static NetDatagramSocket Open(IPEndPoint? local, IPEndPoint? remote, PollerGroup? group, bool shareAddress)
    {
        group ??= PollerGroup.Default;
        group.Start();
        IoResult result = group.Platform.OpenDatagram(local, remote, shareAddress, out PollableSocket? socket);
        NetFd? fd = null;
        if (result.IsSuccess)
        {
            result = NetFd.OpenOrClose(group, socket!, out fd);
        }

        return result.IsSuccess
            ? new NetDatagramSocket(fd!, (IDatagramSocket)socket!)
            : throw OperationOutcome.From(result).ToException(remote is null ? "bind" : "connect", remote ?? local);
    }

    private void ChangeMembership(IPAddress group, int interfaceIndex, bool join)
    {
        ArgumentNullException.ThrowIfNull(group);
        ArgumentOutOfRangeException.ThrowIfNegative(interfaceIndex);
        if (!IsMulticast(group))
        {
            throw new ArgumentException($"{group} is no multicast address; expected one of 224.0.0.0/4 or ff00::/8.", nameof(group));
        }

        ThrowUnless(_fd.Use(_datagrams.Socket, socket => socket.ChangeMembership(group, interfaceIndex, join)), $"{(join ? "join" : "leave")} {group} on");
    }

    private void Set(PollMode mode, Deadline deadline) => ThrowUnless(OperationOutcome.From(_fd.SetDeadline(mode, deadline)), "set deadline");

    private void Set(DatagramSetting setting, int value) =>
        ThrowUnless(_fd.Use(_datagrams.Socket, socket => socket.SetDatagramSetting(setting, value)), $"set {setting}");

    private void Set(SocketSetting setting, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        ThrowUnless(_fd.SetOption(setting, bytes), $"set {setting}");
    }

    private void ThrowUnless(OperationOutcome outcome, string operation)
    {
        if (!outcome.IsSuccess)
        {
            throw _fd.ToException(outcome, operation);
        }
    }
}
