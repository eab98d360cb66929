using System.Net;
using NetPoll.Actors;
using NetPoll.Bench;
using NetPoll.Core;
using Proto;

BenchArguments arguments = BenchArguments.Parse(args);
PollerOptions pollers = new() { PollerCount = arguments.Pollers, Backend = arguments.Backend };
ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions { Pollers = pollers });
IPEndPoint endPoint = new(IPAddress.Loopback, arguments.Port);
Listener listener = arguments.Door == "actor"
    ? await system.NetPoll().ListenAsync("echo", endPoint, static () => new Echo())
    : await system.NetPoll().ListenAsync("echo", endPoint, EchoHandler.Spawn(system));
Console.WriteLine($"listening on {listener.EndPoint}");
await MemoryReport.AnswerAsync(static () => ConnectionCount.Now);

/// <summary>The first door: a connection that is an actor.</summary>
internal sealed class Echo : ConnectionActor
{
    protected override void OnConnected() => ConnectionCount.Add(1);

    protected override void OnClosed(ConnectionClosed closed) => ConnectionCount.Add(-1);

    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        Send(bytes);
        return bytes.Length;
    }
}

/// <summary>The second door: one plain actor for all connections.</summary>
internal sealed class EchoHandler : IActor
{
    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Connected:
                ConnectionCount.Add(1);
                break;
            case Received received:
                context.Send(received.Connection, new Write(received.Bytes));
                break;
            case PeerClosed closed:
                context.Send(closed.Connection, Close.Instance);
                break;
            case ConnectionClosed:
                ConnectionCount.Add(-1);
                break;
        }

        return Task.CompletedTask;
    }

    internal static PID Spawn(ActorSystem system) => system.Root.Spawn(Props.FromProducer(static () => new EchoHandler()));
}

internal static class ConnectionCount
{
    private static int _count;

    internal static int Now => Volatile.Read(ref _count);

    internal static void Add(int change) => Interlocked.Add(ref _count, change);
}
