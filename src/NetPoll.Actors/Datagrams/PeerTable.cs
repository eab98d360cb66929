using NetPoll.Actors.Pollers;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors.Datagrams;

/// <summary>The peers of a socket that have an actor, by address, and in the order in which they were heard last. Every step takes constant time.</summary>
internal sealed class PeerTable
{
    private readonly Dictionary<DatagramAddress, Peer> _byAddress = [];
    private readonly Dictionary<PID, Peer> _byPid = [];

    // A ring through the peers, with itself as the seam: after it the one that was heard longest ago, before it the one heard last.
    private readonly Peer _seam = new(default, null!, null!);

    internal PeerTable()
    {
        _seam.Later = _seam;
        _seam.Earlier = _seam;
    }

    internal int Count => _byAddress.Count;

    /// <summary>The peer that has sent nothing for longest; null where there is none.</summary>
    internal Peer? Idlest => ReferenceEquals(_seam.Later, _seam) ? null : _seam.Later;

    internal Peer? Find(DatagramAddress address) => _byAddress.GetValueOrDefault(address);

    internal void Add(Peer peer)
    {
        _byAddress.Add(peer.Address, peer);
        _byPid.Add(peer.Pid, peer);
        LinkLast(peer);
    }

    /// <summary>It has sent something.</summary>
    /// <param name="peer">One of these.</param>
    /// <param name="now">On the poller's clock.</param>
    internal void Heard(Peer peer, long now)
    {
        peer.HeardAt = now;
        if (!ReferenceEquals(_seam.Earlier, peer))
        {
            Unlink(peer);
            LinkLast(peer);
        }
    }

    /// <summary>Takes a peer out whose actor ends, or is to.</summary>
    internal void Remove(Peer peer)
    {
        _byAddress.Remove(peer.Address);
        _byPid.Remove(peer.Pid);
        Unlink(peer);
    }

    /// <summary>As <see cref="Remove(Peer)"/>; harmless when it was taken out before.</summary>
    internal void Remove(PID pid)
    {
        if (_byPid.TryGetValue(pid, out Peer? peer))
        {
            Remove(peer);
        }
    }

    private void LinkLast(Peer peer)
    {
        peer.Earlier = _seam.Earlier;
        peer.Later = _seam;
        peer.Earlier.Later = peer;
        _seam.Earlier = peer;
    }

    private static void Unlink(Peer peer)
    {
        peer.Earlier.Later = peer.Later;
        peer.Later.Earlier = peer.Earlier;
    }
}

/// <summary>A peer that has an actor.</summary>
internal sealed class Peer(DatagramAddress address, PID pid, ActorMailbox mailbox)
{
    internal DatagramAddress Address => address;

    internal PID Pid => pid;

    internal ActorMailbox Mailbox => mailbox;

    /// <summary>When it was heard last, on the poller's clock.</summary>
    internal long HeardAt { get; set; }

    internal Peer Later { get; set; } = null!;

    internal Peer Earlier { get; set; } = null!;
}
