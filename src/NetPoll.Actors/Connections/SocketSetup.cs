using NetPoll.Core.Backends;

namespace NetPoll.Actors.Connections;

/// <summary>What every socket of a connection is told before it is used.</summary>
internal static class SocketSetup
{
    /// <summary>Small writes leave at once, and the system gives up on a vanished peer when the connection would.</summary>
    internal static void Prepare(PollableSocket socket, ConnectionOptions options)
    {
        _ = socket.SetOption(SocketSetting.NoDelay, 1);
        if (options.WriteTimeout != Timeout.InfiniteTimeSpan)
        {
            _ = socket.SetOption(SocketSetting.UserTimeoutMilliseconds, (int)Math.Min(options.WriteTimeout.TotalMilliseconds, int.MaxValue));
        }
    }
}
