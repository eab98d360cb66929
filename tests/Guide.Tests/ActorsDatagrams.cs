using System.Net;
using System.Net.Sockets;
using System.Text;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

internal sealed class Sensors : DatagramActor
{
    private readonly Dictionary<DatagramAddress, int> _readings = [];

    protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes)
    {
        if (datagram.IsTruncated)
        {
            return;
        }

        // The bytes are lent; what is sent is copied, and leaves together with what else this poller has to send.
        _readings[datagram.From] = _readings.GetValueOrDefault(datagram.From) + 1;
        Send(bytes, datagram.From);
    }

    protected override void OnDropped(long count) => Console.WriteLine($"{count} answers were dropped: the network takes no more.");
}

internal sealed class Player(DatagramAddress address) : IActor
{
    private int _moves;

    public Task ReceiveAsync(IContext context)
    {
        if (context.Message is Datagram datagram)
        {
            // Bytes that came by message are this actor's own.
            context.Send(datagram.Socket, new SendDatagram(Encoding.UTF8.GetBytes($"{address.Port} moved {++_moves} times"), address));
        }

        return Task.CompletedTask;
    }
}

internal sealed class TimeClient(TaskCompletionSource<string> answered) : DatagramActor
{
    protected override void OnBound() => Send("what time is it?"u8);

    protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes)
    {
        answered.TrySetResult(Encoding.UTF8.GetString(bytes));
        Close();
    }

    protected override void OnRefused(SocketError reason) => answered.TrySetResult("nobody is there");
}

internal static class ActorsDatagrams
{
    internal static Task<DatagramSocket> BindAsync(ActorSystem system, IPEndPoint endPoint) =>
        system.NetPoll().BindDatagramsAsync("sensors", endPoint, static () => new Sensors(), new DatagramOptions { MaxDatagramBytes = 512 });

    internal static Task<DatagramSocket> BindGameAsync(ActorSystem system, IPEndPoint endPoint)
    {
        DatagramOptions options = new() { MaxPeers = 1_000, PeerIdleTimeout = TimeSpan.FromSeconds(20) };
        return system.NetPoll().BindDatagramsAsync("game", endPoint, static from => new Player(from), options);
    }

    internal static async Task<string> AskTheTimeAsync(ActorSystem system, IPEndPoint server)
    {
        TaskCompletionSource<string> answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await system.NetPoll().ConnectDatagramsAsync(server, () => new TimeClient(answered));
        return await answered.Task;
    }
}
