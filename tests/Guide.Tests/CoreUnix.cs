using System.Net.Sockets;
using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreUnix
{
    internal static async Task<string> WhoIsThereAsync(string path)
    {
        UnixDomainSocketEndPoint endPoint = new(path);
        await using NetListener listener = NetListener.Listen(endPoint);
        await using NetConnection client = await new NetDialer().ConnectAsync(endPoint);
        await using NetConnection server = await listener.AcceptAsync();

        // The system vouches for it: the peer cannot choose it.
        return server.PeerCredentials is { } peer ? $"process {peer.ProcessId} of user {peer.UserId}" : "unknown";
    }
}
