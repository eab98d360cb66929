using System.Net;
using NetPoll.Bench;
using NetPoll.Core;

BenchArguments arguments = BenchArguments.Parse(args);
await using PollerGroup group = new(new PollerOptions { PollerCount = arguments.Pollers, Backend = arguments.Backend });
await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, arguments.Port), group);
Console.WriteLine($"listening on {listener.LocalEndPoint}");
while (true)
{
    NetConnection connection = await listener.AcceptAsync();
    connection.Poller.Post(() => _ = EchoAsync(connection));
}

// Runs on the connection's poller from the first line to the last: every await comes back there.
static async Task EchoAsync(NetConnection connection)
{
    byte[] buffer = new byte[64 * 1024];
    try
    {
        int count;
        while ((count = await connection.ReadAsync(buffer)) > 0)
        {
            await connection.WriteAsync(buffer.AsMemory(0, count));
        }
    }
    catch (IOException)
    {
        // The peer went away; that is its right.
    }
    finally
    {
        await connection.CloseAsync();
    }
}
