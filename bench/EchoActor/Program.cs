using System.Net;
using NetPoll.Actors;
using NetPoll.Bench;
using NetPoll.Core;
using Proto;

BenchArguments arguments = BenchArguments.Parse(args);
ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { PollerCount = arguments.Pollers } });
Listener listener = await system.NetPoll().ListenAsync("echo", new IPEndPoint(IPAddress.Loopback, arguments.Port), static () => new Echo());
Console.WriteLine($"listening on {listener.EndPoint}");
await MemoryReport.AnswerAsync(() => Echo.Count);

internal sealed class Echo : ConnectionActor
{
    private static int _count;

    internal static int Count => Volatile.Read(ref _count);

    protected override void OnConnected() => Interlocked.Increment(ref _count);

    protected override void OnClosed(ConnectionClosed closed) => Interlocked.Decrement(ref _count);

    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        Send(bytes);
        return bytes.Length;
    }
}
