using NetPoll.Actors;

namespace Chat.Server.Doors;

/// <summary>The limits of the connections of every door.</summary>
internal static class ConnectionLimits
{
    /// <summary>What those are told who read too little: what waits for them, and when they are cut off.</summary>
    public static string TooSlow(ServerOptions options, long waitingBytes) =>
        $"you read too slowly: {waitingBytes} bytes wait for you; you are cut off when it is more than {options.MaxOutputBytes}, "
        + $"or when you take nothing for {options.WriteTimeout.TotalSeconds} s";

    public static ConnectionOptions Of(ServerOptions options) => new()
    {
        MaxOutputBytes = options.MaxOutputBytes,

        // Who does not read answers is not read from, long before they are cut off.
        OutputHighWatermark = options.MaxOutputBytes / 4,
        WriteTimeout = options.WriteTimeout,
    };
}
