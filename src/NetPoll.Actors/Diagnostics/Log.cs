using System.Net;
using Microsoft.Extensions.Logging;
using NetPoll.Core;

namespace NetPoll.Actors.Diagnostics;

/// <summary>What the actor layer reports. Event ids 100 to 199; an id that goes out of use stays reserved.</summary>
internal static partial class Log
{
    [LoggerMessage(100, LogLevel.Error, "{Connection} ({RemoteEndPoint}) failed while it handled {MessageType}; it is closed, no other is touched")]
    internal static partial void HandlerFailed(ILogger logger, Exception exception, string connection, EndPoint? remoteEndPoint, string messageType);

    [LoggerMessage(110, LogLevel.Error, "{Connection} ({RemoteEndPoint}) failed while it handled {MessageType}; its actor is restarted, or it is closed if that was done too often")]
    internal static partial void RestartableFailed(ILogger logger, Exception exception, string connection, EndPoint? remoteEndPoint, string messageType);

    [LoggerMessage(101, LogLevel.Error, "{Connection} ({RemoteEndPoint}) threw while it was told that it has closed")]
    internal static partial void ClosingHandlerFailed(ILogger logger, Exception exception, string connection, EndPoint? remoteEndPoint);

    [LoggerMessage(102, LogLevel.Error, "A supervisor threw when it was told: {Failure}")]
    internal static partial void SupervisionFailed(ILogger logger, Exception exception, string failure);

    [LoggerMessage(103, LogLevel.Information, "Listening on {EndPoint} as {Listener}")]
    internal static partial void Listening(ILogger logger, EndPoint endPoint, string listener);

    [LoggerMessage(104, LogLevel.Warning, "Accepting on {EndPoint} failed with {Error} (errno {NativeError}); trying again in {Delay}")]
    internal static partial void AcceptFailed(ILogger logger, EndPoint? endPoint, System.Net.Sockets.SocketError error, int nativeError, TimeSpan delay);

    [LoggerMessage(105, LogLevel.Error, "No connection could be made of a socket that {Listener} accepted from {RemoteEndPoint}; it is closed")]
    internal static partial void SpawnFailed(ILogger logger, Exception exception, string listener, EndPoint? remoteEndPoint);

    [LoggerMessage(107, LogLevel.Warning, "{Count} connections did not end within {Drain}; they are reset")]
    internal static partial void DrainTimedOut(ILogger logger, long count, TimeSpan drain);

    [LoggerMessage(120, LogLevel.Warning, "{Count} connections of {Poller} did not end within {Drain}; they are reset")]
    internal static partial void PollerDrainTimedOut(ILogger logger, int count, string poller, TimeSpan drain);

    [LoggerMessage(106, LogLevel.Debug, "{Connection} ({RemoteEndPoint}) closed: {Reason}")]
    internal static partial void Closed(ILogger logger, string connection, EndPoint? remoteEndPoint, CloseReason reason);

    [LoggerMessage(108, LogLevel.Error, "A service of a {Connection} threw while it was disposed, after the connection had ended")]
    internal static partial void ScopeFailed(ILogger logger, Exception exception, string connection);

    [LoggerMessage(130, LogLevel.Warning, "{Listener} refused {Count} connections because of {Reason}; the last one was {RemoteEndPoint}'s")]
    internal static partial void Refused(ILogger logger, string listener, long count, RefusalReason reason, EndPoint? remoteEndPoint);

    [LoggerMessage(133, LogLevel.Warning, "{Listener} refused {Count} connections because of {Reason}; the last one was {RemoteEndPoint}'s: {Detail}")]
    internal static partial void RefusedInDetail(ILogger logger, string listener, long count, RefusalReason reason, EndPoint? remoteEndPoint, string detail);

    [LoggerMessage(131, LogLevel.Error, "The farewell of {Listener} for a connection refused because of {Reason} threw; none was sent")]
    internal static partial void FarewellFailed(ILogger logger, Exception exception, string listener, RefusalReason reason);

    [LoggerMessage(132, LogLevel.Error, "Accepting what waited on {EndPoint} when it stopped failed with {Error} (errno {NativeError}); some clients are not served")]
    internal static partial void AcceptFailedAtStop(ILogger logger, EndPoint? endPoint, System.Net.Sockets.SocketError error, int nativeError);

    [LoggerMessage(109, LogLevel.Warning, "A stream that {Connection} was told to send was not sent to its end")]
    internal static partial void StreamFailed(ILogger logger, Exception exception, string connection);

    [LoggerMessage(140, LogLevel.Information, "{Connector} is connected to {EndPoint}, at attempt {Attempt}")]
    internal static partial void Connected(ILogger logger, string connector, EndPoint endPoint, int attempt);

    [LoggerMessage(141, LogLevel.Warning, "{Connector} could not connect to {EndPoint}, at attempt {Attempt}")]
    internal static partial void AttemptFailed(ILogger logger, Exception exception, string connector, EndPoint endPoint, int attempt);

    [LoggerMessage(142, LogLevel.Information, "{Connector} has lost its connection to {EndPoint}: {Reason}")]
    internal static partial void ConnectionLost(ILogger logger, string connector, EndPoint endPoint, CloseReason reason);

    [LoggerMessage(150, LogLevel.Information, "{Socket} receives datagrams on {EndPoint}")]
    internal static partial void ReceivingDatagrams(ILogger logger, string socket, EndPoint endPoint);

    [LoggerMessage(151, LogLevel.Error, "The actor of {Socket} failed while it handled {MessageType}; the socket stays, the actor is made anew")]
    internal static partial void DatagramHandlerFailed(ILogger logger, Exception exception, string socket, string messageType);

    [LoggerMessage(152, LogLevel.Error, "{Socket} ({EndPoint}) is closed: it reports {Error} (errno {NativeError}) again and again")]
    internal static partial void DatagramSocketFailed(
        ILogger logger, string socket, EndPoint endPoint, System.Net.Sockets.SocketError error, int nativeError);

    [LoggerMessage(153, LogLevel.Error, "{Peer} failed while it handled {MessageType}; it is stopped, no other peer is touched")]
    internal static partial void PeerFailed(ILogger logger, Exception exception, string peer, string messageType);

    [LoggerMessage(154, LogLevel.Error, "{Socket} could make no actor for {Peer}; the datagram is dropped")]
    internal static partial void PeerNotMade(ILogger logger, Exception exception, string socket, DatagramAddress peer);

    [LoggerMessage(155, LogLevel.Warning, "{Socket} has {Peers} peers, as many as may be; {Dropped} datagrams of others were dropped so far, the last one was {Peer}'s")]
    internal static partial void PeersFull(ILogger logger, string socket, int peers, long dropped, DatagramAddress peer);

    [LoggerMessage(156, LogLevel.Error, "The actor of {Socket} threw while it was told that it stops")]
    internal static partial void StoppingDatagramHandlerFailed(ILogger logger, Exception exception, string socket);
}
