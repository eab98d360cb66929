using System.Net;
using System.Runtime.CompilerServices;
using NetPoll.Bench;
using NetPoll.Core;

BenchArguments arguments = BenchArguments.Parse(args);

// Nothing here has values that flow from await to await.
await using PollerGroup group = new(new PollerOptions
{
    PollerCount = arguments.Pollers,
    Backend = arguments.Backend,
    FlowExecutionContext = false,
});
await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, arguments.Port), group);
Console.WriteLine($"listening on {listener.LocalEndPoint}");
TaskCompletionSource ended = new();
listener.Poller.Post(async () =>
{
    try
    {
        await AcceptAsync(listener);
    }
    catch (Exception exception)
    {
        ended.SetException(exception);
    }
});
await ended.Task;

// On the listener's poller: what a connection needs is made in one go and lies together, which the caches thank it for.
[AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
static async Task AcceptAsync(NetListener listener)
{
    while (true)
    {
        NetConnection connection = await listener.AcceptAsync();
        if (connection.Poller.IsCurrent)
        {
            _ = EchoAsync(connection);
        }
        else
        {
            connection.Poller.Post(() => _ = EchoAsync(connection));
        }
    }
}

// Runs on the connection's poller from the first line to the last: every await comes back there. The buffer grows with what comes: thousands of
// large ones would lie a page apart, and share few places in the caches.
[AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]
static async Task EchoAsync(NetConnection connection)
{
    const int Largest = 64 * 1024;
    byte[] buffer = new byte[256];
    try
    {
        int count;
        while ((count = await connection.ReadAsync(buffer)) > 0)
        {
            await connection.WriteAsync(buffer.AsMemory(0, count));
            if (count == buffer.Length && count < Largest)
            {
                buffer = new byte[buffer.Length * 4];
            }
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
