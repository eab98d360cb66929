using System.Net;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;

namespace Chat.Server.Doors;

/// <summary>What is said of a connection that has ended.</summary>
internal static class Farewells
{
    /// <summary>Why, for the log.</summary>
    public static string Why(ConnectionClosed closed) => closed.Exception?.Message ?? closed.Reason switch
    {
        CloseReason.Local => "quit",
        CloseReason.Peer => "closed the connection",
        CloseReason.Reset => "reset the connection",
        CloseReason.SlowConsumer => "took what was sent too slowly",
        _ => closed.Reason.ToString(),
    };

    /// <summary>Why, for those who stay.</summary>
    public static string ForOthers(ConnectionClosed closed, string why) => closed.Reason switch
    {
        CloseReason.Reset => "the connection was reset",
        CloseReason.SlowConsumer => "read too slowly",
        CloseReason.Error => "the connection failed",
        _ => why,
    };

    /// <summary>Why somebody goes who has not answered a ping, for those who stay; IRC clients know it by these words.</summary>
    public static string PingTimeout(TimeSpan silence) => $"Ping timeout: {silence.TotalSeconds} seconds";

    /// <summary>Logs it: as news, or as a warning if the server had to end it.</summary>
    public static void Report(ILogger logger, string name, EndPoint? remoteEndPoint, CloseReason reason, string why)
    {
        if (reason is CloseReason.Local or CloseReason.Peer or CloseReason.Reset or CloseReason.Shutdown)
        {
            Log.Left(logger, name, remoteEndPoint, why);
        }
        else
        {
            Log.CutOff(logger, name, remoteEndPoint, reason, why);
        }
    }
}
