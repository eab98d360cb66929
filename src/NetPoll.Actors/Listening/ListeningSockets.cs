using System.Net;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Listening;

/// <summary>
/// The sockets of one listener: one for each poller, on the same address, each with a queue of its own; where the address cannot be
/// shared so, as no Unix domain socket's can, one for all.
/// </summary>
internal static class ListeningSockets
{
    /// <summary>Binds them all, or none.</summary>
    /// <param name="platform">The operating system.</param>
    /// <param name="endPoint">Where to listen; port 0 lets the system choose.</param>
    /// <param name="backlog">How many connections may wait in each queue.</param>
    /// <param name="count">How many pollers there are.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    internal static PollableSocket[] Bind(PollPlatform platform, EndPoint endPoint, int backlog, int count)
    {
        if (endPoint is not IPEndPoint address || !platform.CanSharePort)
        {
            IoResult result = platform.ListenStream(endPoint, backlog, out PollableSocket? socket);
            return result.IsSuccess ? [socket!] : throw result.ToException($"Listening on {endPoint}");
        }

        return BindShared(platform, address, backlog, count);
    }

    private static PollableSocket[] BindShared(PollPlatform platform, IPEndPoint endPoint, int backlog, int count)
    {
        PollableSocket[] sockets = new PollableSocket[count];
        int made = 0;
        try
        {
            if (endPoint.Port != 0)
            {
                // Without sharing first: otherwise a second server of the same user would take half of the connections and neither would know.
                _ = BindOne(platform, endPoint, backlog, sharePort: false).Close();
            }

            for (; made < sockets.Length; made++)
            {
                sockets[made] = BindOne(platform, made == 0 ? endPoint : (IPEndPoint)sockets[0].LocalEndPoint!, backlog, sharePort: true);
            }

            return sockets;
        }
        catch
        {
            Close(sockets.AsSpan(0, made));
            throw;
        }
    }

    internal static void Close(ReadOnlySpan<PollableSocket> sockets)
    {
        foreach (PollableSocket socket in sockets)
        {
            _ = socket.Close();
        }
    }

    private static PollableSocket BindOne(PollPlatform platform, IPEndPoint endPoint, int backlog, bool sharePort)
    {
        IoResult result = platform.Listen(endPoint, backlog, sharePort, out PollableSocket? socket);
        return result.IsSuccess ? socket! : throw result.ToException($"Listening on {endPoint}");
    }
}
