using System.Net;
using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreServer
{
    internal static async Task RunAsync(NetListener listener)
    {
        while (true)
        {
            NetConnection connection = await listener.AcceptAsync();
            connection.Poller.Post(() => _ = ServeAsync(connection));
        }
    }

    private static async Task ServeAsync(NetConnection connection)
    {
        await using (connection)
        {
            byte[] buffer = new byte[4096];
            int count;
            while ((count = await connection.ReadAsync(buffer)) > 0)
            {
                await connection.WriteAsync(buffer.AsMemory(0, count));
            }
        }
    }

    internal static NetListener Start() => NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0));
}
