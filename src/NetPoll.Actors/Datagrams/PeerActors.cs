using System.Net.Sockets;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Deadlines;
using Proto;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors.Datagrams;

/// <summary>A socket whose peers have an actor each: made for the first datagram, stopped when the peer has sent nothing for a while.</summary>
/// <remarks>
/// The peers' actors are children, so they stop before the socket does, and live on its poller, so a datagram crosses no thread and what waits
/// for a peer can be bounded. A peer that fails is stopped: its next datagram makes a new actor.
/// </remarks>
internal sealed class PeerActors : DatagramActor, ISupervisorStrategy
{
    // Between two warnings that there is no room for more peers.
    private const long WarningInterval = 60_000 * PollerClock.NanosecondsPerMillisecond;

    private readonly Func<DatagramAddress, IActor> _factory;
    private readonly PeerTable _peers = new();
    private readonly Props _props;

    // Whose actor is being made, for the producer, which is called inside the spawn.
    private DatagramAddress _newcomer;
    private long _names;
    private bool _isReminded;
    private long _nextWarning;

    // With those that were told to stop and have not yet.
    private int _alive;

    internal PeerActors(Func<DatagramAddress, IActor> factory)
    {
        _factory = factory;
        _props = Props.FromProducer(() => _factory(_newcomer)).OnPoller(new PollerChoice(_ => Port.Home)).WithStartDeadline(TimeSpan.Zero);
    }

    /// <inheritdoc/>
    public void HandleFailure(ISupervisor supervisor, PID child, RestartStatistics rs, Exception cause, object? message)
    {
        ArgumentNullException.ThrowIfNull(supervisor);
        ArgumentNullException.ThrowIfNull(child);
        Log.PeerFailed(Port.Home.Logger, cause, child.Id, message?.GetType().Name ?? "nothing");
        _peers.Remove(child);
        supervisor.StopChildren(child);
    }

    /// <inheritdoc/>
    internal override void Reminded()
    {
        _isReminded = false;
        if (Port.Options.PeerIdleTimeout is not { } timeout)
        {
            return;
        }

        long deadline = Port.Home.Poller.Now - PollerClock.InNanoseconds(timeout);
        while (_peers.Idlest is { } idlest && idlest.HeardAt <= deadline)
        {
            StopPeer(idlest);
        }

        RemindOfIdlest();
    }

    /// <inheritdoc/>
    protected override void OnBound() => Port.CountPeers(0);

    /// <inheritdoc/>
    protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes)
    {
        Peer? peer = _peers.Find(datagram.From) ?? Open(datagram.From);
        if (peer is null)
        {
            return;
        }

        _peers.Heard(peer, Port.Home.Poller.Now);
        RemindOfIdlest();
        if (peer.Mailbox.UserMessageCount >= Port.Options.MaxQueuedPerPeer)
        {
            Port.CountPeerDropped();
            return;
        }

        peer.Mailbox.PostUserMessage(new Datagram(Context.Self, datagram.From, bytes.ToArray()) { IsTruncated = datagram.IsTruncated });
    }

    /// <inheritdoc/>
    protected override Task OnMessage(object message)
    {
        if (message is Terminated terminated)
        {
            _alive--;
            _peers.Remove(terminated.Who);
            Port.CountPeers(_peers.Count);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override void OnSendFailed(DatagramAddress peer, SocketError reason)
    {
        // It concerns the one who talks to that address.
        if (_peers.Find(peer) is { } found)
        {
            Context.Send(found.Pid, new DatagramFailed(Context.Self, peer, reason));
        }
    }

    private Peer? Open(DatagramAddress address)
    {
        if (!MakeRoom(address))
        {
            return null;
        }

        _newcomer = address;
        try
        {
            PID pid = Context.SpawnNamed(_props, $"{++_names}");
            Peer peer = new(address, pid, (ActorMailbox)Context.System.ProcessRegistry.Get(pid));
            _alive++;
            _peers.Add(peer);
            Port.CountPeers(_peers.Count);
            return peer;
        }
#pragma warning disable CA1031 // The user's factory and constructor: this peer has no actor, and the others go on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.PeerNotMade(Port.Home.Logger, exception, Port.Id, address);
            return null;
        }
    }

    private bool MakeRoom(DatagramAddress newcomer)
    {
        DatagramOptions options = Port.Options;
        if (_peers.Count < options.MaxPeers)
        {
            return true;
        }

        // Those that stop are still there: as many of them as may live, and no more.
        if (options.PeerOverflow == PeerOverflow.ReplaceIdlest && _alive < 2L * options.MaxPeers)
        {
            StopPeer(_peers.Idlest!);
            return true;
        }

        Port.CountPeerRefused();
        long now = Port.Home.Poller.Now;
        if (now >= _nextWarning)
        {
            _nextWarning = now + WarningInterval;
            Log.PeersFull(Port.Home.Logger, Port.Id, _peers.Count, Port.Statistics.PeersRefused, newcomer);
        }

        return false;
    }

    private void StopPeer(Peer peer)
    {
        _peers.Remove(peer);
        Port.CountPeers(_peers.Count);

        // Behind the datagrams that wait for it.
        Context.Poison(peer.Pid);
    }

    // The node only reminds: who was heard since then is looked up when it comes.
    private void RemindOfIdlest()
    {
        if (!_isReminded && Port.Options.PeerIdleTimeout is { } timeout && _peers.Idlest is { } idlest)
        {
            _isReminded = true;
            Port.RemindAt(idlest.HeardAt + PollerClock.InNanoseconds(timeout));
        }
    }
}
