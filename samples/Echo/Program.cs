using System.Net;
using NetPoll.Actors;
using Proto;

ActorSystem system = new ActorSystem().WithNetPoll();
Listener listener = await system.NetPoll().ListenAsync("echo", new IPEndPoint(IPAddress.Loopback, 7007), () => new Echo());
Console.WriteLine($"listening on {listener.EndPoint}; Enter stops");
Console.ReadLine();
await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(5));

internal sealed class Echo : ConnectionActor
{
    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        Send(bytes);
        return bytes.Length;
    }
}
