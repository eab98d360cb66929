using NetPoll.Actors;

namespace Chat.Server.Doors;

/// <summary>The limits of the connections of every door.</summary>
internal static class ConnectionLimits
{
    public static ConnectionOptions Of(ServerOptions options) => new()
    {
        MaxOutputBytes = options.MaxOutputBytes,

        // Who does not read answers is not read from, long before they are cut off.
        OutputHighWatermark = options.MaxOutputBytes / 4,
        WriteTimeout = options.WriteTimeout,
    };
}
