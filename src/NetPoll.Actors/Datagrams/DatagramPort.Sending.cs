using System.Net.Sockets;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Datagrams;

/// <content>
/// What is sent gathers in the poller's scratch and leaves with one system call; what the system does not take waits in the queue, and
/// everything behind it. What goes wrong is noted, and told in a turn.
/// </content>
internal sealed partial class DatagramPort
{
    // What is told of one by one; the rest is counted.
    private const int MostTroubles = 64;

    private readonly DatagramQueue _queue;
    private readonly DatagramAddress _remote;
    private readonly DatagramAddress _remoteAsIPv6;
    private readonly bool _isReachableByIPv6;

    // We are parked in the write slot, or the signal of it is on its way.
    private bool _isWriteArmed;

    // To be told. Null while nothing ever went wrong.
    private Queue<Trouble>? _troubles;
    private long _droppedUntold;

    private long _received;
    private long _bytesReceived;
    private long _truncated;
    private long _sent;
    private long _bytesSent;
    private long _refused;
    private long _failed;
    private long _dropped;
    private long _peersRefused;
    private long _peerDropped;
    private int _peers;

    /// <summary>Datagrams that wait because the system takes none.</summary>
    internal int Queued => _queue.Count;

    /// <summary>The figures, now. The poller's thread.</summary>
    internal DatagramStatistics Statistics => new(_received, _sent)
    {
        BytesReceived = _bytesReceived,
        BytesSent = _bytesSent,
        Truncated = _truncated,
        Refused = _refused,
        Failed = _failed,
        Dropped = _dropped,
        Queued = _queue.Count,
        Peers = _peers,
        PeersRefused = _peersRefused,
        PeerDropped = _peerDropped,
    };

    private bool IsConnected => RemoteEndPoint is not null;

    /// <summary>Sends a datagram, soon. The poller's thread; nothing happens when it has closed.</summary>
    /// <exception cref="ArgumentException">It cannot be sent to that address by this socket, ever.</exception>
    internal void Send(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        if (_isClosed)
        {
            return;
        }

        _ = CheckThread();
        if (!TryTarget(ref to))
        {
            throw new ArgumentException(DescribeTarget(to), nameof(to));
        }

        SendTo(payload, to);
    }

    /// <summary>Sends a datagram for whoever asked by message; what cannot be sent is told the handler. The poller's thread.</summary>
    internal void Obey(SendDatagram send)
    {
        if (_isClosed)
        {
            return;
        }

        DatagramAddress to = send.To;
        if (TryTarget(ref to))
        {
            SendTo(send.Bytes.Span, to);
        }
        else
        {
            Fail(to, SocketError.AddressNotAvailable);
        }
    }

    /// <summary>Sends what has gathered. The poller's thread.</summary>
    internal void SendGathered(DatagramBatch batch)
    {
        int next = 0;
        while (next < batch.Count && !_isClosed)
        {
            IoResult result = _queue.Count > 0 ? IoResult.TryAgain : _datagrams.SendBatch(batch, next);
            if (IsEarlierRefusal(result))
            {
                // It was this call's error and another datagram's fate.
                result = _datagrams.SendBatch(batch, next);
            }

            if (result.IsSuccess)
            {
                for (int end = next + result.Count; next < end; next++)
                {
                    CountSent(batch[next].Count);
                }
            }
            else
            {
                DatagramAddress to = batch[next].From;
                if (result.WouldBlock)
                {
                    Enqueue(batch.Payload(next).Span, to);
                }
                else
                {
                    Fail(to, result.Error);
                }

                next++;
            }
        }
    }

    /// <summary>A datagram was not handed to a peer, since there are as many peers as may be. A turn.</summary>
    internal void CountPeerRefused()
    {
        _peersRefused++;
        Traffic.PeersRefused++;
    }

    /// <summary>A datagram was not handed to a peer that does not keep up. A turn.</summary>
    internal void CountPeerDropped()
    {
        _peerDropped++;
        Traffic.PeerDropped++;
    }

    /// <summary>So many peers have an actor. The poller's thread.</summary>
    internal void CountPeers(int peers)
    {
        Traffic.Peers += peers - _peers;
        _peers = peers;
    }

    private void SendTo(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        if (_queue.Count > 0)
        {
            Enqueue(payload, to);
        }
        else if (payload.Length <= _scratch.MaxBytes)
        {
            _scratch.Gather(this, payload, to);
        }
        else
        {
            _scratch.Flush(this);
            if (_queue.Count > 0 || !TrySend(payload, to))
            {
                Enqueue(payload, to);
            }
        }
    }

    // A turn, on the news that there is room.
    private void SendQueued()
    {
        _descriptor.ForgetReadiness(PollMode.Write);
        for (int sends = 0; sends < DatagramsPerTurn; sends++)
        {
            if (!_queue.TryPeek(out ReadOnlySpan<byte> payload, out DatagramAddress to))
            {
                return;
            }

            if (!TrySend(payload, to))
            {
                WaitForRoom();
                return;
            }

            _queue.RemoveFirst();
        }

        Signal(DatagramSignals.Writable);
    }

    // False where the system has no room.
    private bool TrySend(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        IoResult result = _datagrams.SendTo(payload, to);
        if (IsEarlierRefusal(result))
        {
            result = _datagrams.SendTo(payload, to);
        }

        if (result.IsSuccess)
        {
            CountSent(payload.Length);
        }
        else if (!result.WouldBlock)
        {
            Fail(to, result.Error);
        }

        return !result.WouldBlock;
    }

    private void Enqueue(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        int dropped = _queue.Add(payload, to);
        if (dropped > 0)
        {
            CountDropped(dropped);
            if (_droppedUntold == 0)
            {
                Signal(DatagramSignals.Notice);
            }

            _droppedUntold += dropped;
        }

        if (_queue.Count > 0)
        {
            WaitForRoom();
        }
    }

    private void WaitForRoom()
    {
        if (_isWriteArmed)
        {
            return;
        }

        _isWriteArmed = true;
        Home.Poller.Arm(_descriptor, PollMode.Write);
        PollSignals signals = _descriptor.Arm(PollMode.Write, this);
        if (signals != PollSignals.None)
        {
            Signal((int)signals);
        }
    }

    // A connected socket reports by its next call that an earlier datagram was refused; the report is gone with it.
    private bool IsEarlierRefusal(IoResult result)
    {
        if (result.IsSuccess || !IsConnected || PollErrors.Classify(result.NativeError) != PollErrorClass.Refused)
        {
            return false;
        }

        _refused++;
        Note(new Trouble(default, result.Error, IsRefusal: true));
        return true;
    }

    private void Fail(DatagramAddress to, SocketError error)
    {
        _failed++;
        Traffic.Failed++;
        Note(new Trouble(to, error, IsRefusal: false));
    }

    private void Note(Trouble trouble)
    {
        _troubles ??= new Queue<Trouble>();
        if (_troubles.Count < MostTroubles)
        {
            _troubles.Enqueue(trouble);
            Signal(DatagramSignals.Notice);
        }
    }

    // Each once, whatever the handler does with it.
    private void TellNotices()
    {
        while (_troubles is not null && _troubles.TryDequeue(out Trouble trouble))
        {
            if (trouble.IsRefusal)
            {
                _handler!.Refuse(trouble.Error);
            }
            else
            {
                _handler!.Fail(trouble.To, trouble.Error);
            }
        }

        if (_droppedUntold > 0)
        {
            long dropped = _droppedUntold;
            _droppedUntold = 0;
            _handler!.Drop(dropped);
        }
    }

    private void CountSent(int bytes)
    {
        DatagramTraffic traffic = Traffic;
        _sent++;
        _bytesSent += bytes;
        traffic.Sent++;
        traffic.BytesSent += bytes;
    }

    private void CountDropped(int count)
    {
        _dropped += count;
        Traffic.QueueDropped += count;
    }

    private void DropQueue()
    {
        CountDropped(_queue.Count);
        while (_queue.Count > 0)
        {
            _queue.RemoveFirst();
        }

        CountPeers(0);
    }

    // The peer of a connected socket is nobody for the system.
    private bool TryTarget(ref DatagramAddress to)
    {
        if (IsConnected)
        {
            bool isPeer = to.IsEmpty || to == _remote || to == _remoteAsIPv6;
            to = isPeer ? default : to;
            return isPeer;
        }

        return !to.IsEmpty && (_isReachableByIPv6 || !to.Compact.IsIPv6);
    }

    private string DescribeTarget(DatagramAddress to) => this switch
    {
        { RemoteEndPoint: { } remote } => $"The socket {Id} is connected to {remote} and cannot send to {to}; expected that address, or none.",
        _ when to.IsEmpty => $"The socket {Id} is not connected: expected an address to send to.",
        _ => $"The socket {Id} is bound to {LocalEndPoint} and cannot reach {to}; expected an IPv4 address.",
    };

    private readonly record struct Trouble(DatagramAddress To, SocketError Error, bool IsRefusal);
}
