using System.Net.Sockets;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors.Datagrams;

/// <summary>The second door: a datagram socket that tells a plain actor, by messages, and is told by messages to its PID.</summary>
internal sealed class HandledDatagrams(PID handler) : DatagramActor
{
    /// <inheritdoc/>
    protected override void OnBound() => Context.Watch(handler);

    /// <inheritdoc/>
    protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes) =>
        Context.Send(handler, new Datagram(Context.Self, datagram.From, bytes.ToArray()) { IsTruncated = datagram.IsTruncated });

    /// <inheritdoc/>
    protected override Task OnMessage(object message)
    {
        switch (message)
        {
            case Terminated terminated when terminated.Who.Equals(handler):
                // Nobody is left to talk to the peers.
                Close();
                break;
            case Actors.SuspendReading:
                SuspendReading();
                Context.Send(Context.Sender ?? handler, new ReadingSuspended(Context.Self));
                break;
            case Actors.ResumeReading:
                ResumeReading();
                break;
            case Actors.Demand { Unit: DemandUnit.Messages, Count: > 0 } demand:
                Demand(demand.Count);
                break;
            case Actors.Close:
                Close();
                break;
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override void OnRefused(SocketError reason) => Context.Send(handler, new DatagramRefused(Context.Self, reason));

    /// <inheritdoc/>
    protected override void OnSendFailed(DatagramAddress peer, SocketError reason) => Context.Send(handler, new DatagramFailed(Context.Self, peer, reason));

    /// <inheritdoc/>
    protected override void OnDropped(long count) => Context.Send(handler, new DatagramsDropped(Context.Self, count));
}
