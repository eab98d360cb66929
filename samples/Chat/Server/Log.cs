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

    [LoggerMessage(
        6,
        LogLevel.Information,
        "{People} people in {Rooms} rooms by {Connections} connections; {Messages} messages in {Seconds} s; refused since the start: "
        + "{Flood} for flooding, {Refused} connections; {Memory} MiB")]
    internal static partial void Status(
        ILogger logger, long people, long rooms, int connections, long messages, double seconds, long flood, long refused, double memory);
}
