using System.Net;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;

namespace Chat.Server;

/// <summary>What the server reports.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "{Name} came in from {RemoteEndPoint} with '{Client}'")]
    internal static partial void CameIn(ILogger logger, string name, EndPoint? remoteEndPoint, string client);

    [LoggerMessage(2, LogLevel.Information, "{Name} ({RemoteEndPoint}) left: {Why}")]
    internal static partial void Left(ILogger logger, string name, EndPoint? remoteEndPoint, string why);

    [LoggerMessage(3, LogLevel.Warning, "{Name} ({RemoteEndPoint}) was cut off ({Reason}): {Why}")]
    internal static partial void CutOff(ILogger logger, string name, EndPoint? remoteEndPoint, CloseReason reason, string why);

    [LoggerMessage(4, LogLevel.Information, "{Cause}: saying goodbye to everybody, for up to {Drain}")]
    internal static partial void Stopping(ILogger logger, string cause, TimeSpan drain);

    [LoggerMessage(5, LogLevel.Information, "Stopped")]
    internal static partial void Stopped(ILogger logger);

    [LoggerMessage(7, LogLevel.Information, "{Name} ({RemoteEndPoint}) is {NewName} now")]
    internal static partial void Renamed(ILogger logger, string name, EndPoint? remoteEndPoint, string newName);

    [LoggerMessage(
        6,
        LogLevel.Information,
        "people: {People}, rooms: {Rooms}, connections: {Connections}, messages in {Seconds} s: {Messages}, "
        + "refused since the start: {Flood} for flooding, {Refused} connections; memory: {Memory} MiB")]
    internal static partial void Status(
        ILogger logger, long people, long rooms, int connections, double seconds, long messages, long flood, long refused, double memory);
}
