using Microsoft.Extensions.Logging;

namespace NetPoll.Core.Diagnostics;

/// <summary>What the pollers report. Event ids 1 to 99; an id that goes out of use stays reserved.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Started {Group}: {Count} pollers on {Backend}; this process may open {DescriptorLimit} descriptors")]
    internal static partial void GroupStarted(ILogger logger, string group, int count, string backend, long descriptorLimit);

    [LoggerMessage(8, LogLevel.Information, "Started {Group}: {Count} pollers on {Backend}; how many descriptors this process may open is not known")]
    internal static partial void GroupStartedWithoutLimit(ILogger logger, string group, int count, string backend);

    [LoggerMessage(9, LogLevel.Debug, "{Poller} runs on core {Core}")]
    internal static partial void Pinned(ILogger logger, string poller, int core);

    [LoggerMessage(10, LogLevel.Warning, "{Poller} could not be confined to a core: {Error} (errno {NativeError}); it runs where the system puts it")]
    internal static partial void NotPinned(ILogger logger, string poller, System.Net.Sockets.SocketError error, int nativeError);

    [LoggerMessage(2, LogLevel.Error, "Work on {Poller} threw; the poller goes on")]
    internal static partial void WorkFailed(ILogger logger, Exception exception, string poller);

    [LoggerMessage(3, LogLevel.Critical, "{Poller} has failed and stops; whatever waits on it ends with Closing")]
    internal static partial void PollerFailed(ILogger logger, Exception exception, string poller);

    [LoggerMessage(5, LogLevel.Warning, "A connection {LocalEndPoint} <- {RemoteEndPoint} was forgotten without being closed; it is closed now")]
    internal static partial void ConnectionForgotten(ILogger logger, System.Net.EndPoint? localEndPoint, System.Net.EndPoint? remoteEndPoint);

    [LoggerMessage(6, LogLevel.Warning, "A listener on {LocalEndPoint} was forgotten without being closed; it is closed now")]
    internal static partial void ListenerForgotten(ILogger logger, System.Net.EndPoint? localEndPoint);

    [LoggerMessage(11, LogLevel.Warning, "{Descriptor} was forgotten without being closed; it is closed now")]
    internal static partial void DescriptorForgotten(ILogger logger, string descriptor);

    [LoggerMessage(7, LogLevel.Warning, "{Poller} has been held for {Held} by {Work}; everything else on it waits")]
    internal static partial void PollerStalled(ILogger logger, string poller, TimeSpan held, object work);

    [LoggerMessage(12, LogLevel.Warning, "{Poller} goes on; it was held for {Held} by {Work}")]
    internal static partial void PollerGoesOn(ILogger logger, string poller, TimeSpan held, object work);

    [LoggerMessage(4, LogLevel.Warning, "Accepting on {EndPoint} failed with {Error} (errno {NativeError}); trying again in {Delay}")]
    internal static partial void AcceptFailed(ILogger logger, System.Net.EndPoint? endPoint, System.Net.Sockets.SocketError error, int nativeError, TimeSpan delay);
}
