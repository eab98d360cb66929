using NetPoll.Actors.Pollers;

namespace NetPoll.Actors.Connections;

/// <content>
/// Output for which there is no room: the connection's own limit, the process's, and the policy that decides what is given up. Nothing is kept
/// before there is room for it.
/// </content>
internal partial class Connection
{
    /// <summary>Bytes that the system did not take yet; those that gather in the poller's scratch are not among them.</summary>
    internal long QueuedBytes => _output?.Bytes ?? 0;

    // Counts so many bytes in that are to wait, if they may.
    private bool TryMakeRoom(ActorPoller home, int size, bool isPayload)
    {
        if (_cold?.Broken is { } broken)
        {
            // It broke within this very call, when what was corked left. Nothing may wait for a peer that is gone: a close would wait for it.
            _cold.Broken = broken with { BytesUnsent = broken.BytesUnsent + size };
            return false;
        }

        ConnectionOptions options = _owner.ConnectionOptions;
        int most = options.MaxOutputBytes;
        if (QueuedBytes + size > most)
        {
            // Perhaps the system just was not asked yet.
            WriteQueued(home);
            if (QueuedBytes + size > most && !TryShed(home, QueuedBytes + size - most, isPayload))
            {
                Refuse(home, size, isPayload, $"{nameof(ConnectionOptions.MaxOutputBytes)} is {most}");
                return false;
            }
        }

        OutputBudget budget = home.Extension.OutputBudget;
        while (!budget.TryTake(size))
        {
            // Whoever is furthest behind pays, and not the one who comes along just then.
            Connection largest = home.Connections.FindMostOutput(this, QueuedBytes + size);
            if (!ReferenceEquals(largest, this))
            {
                largest.GiveRoom(home, size, budget.Limit);
            }
            else if (!TryShed(home, size, isPayload))
            {
                Refuse(home, size, isPayload, $"{nameof(NetPollOptions)}.{nameof(NetPollOptions.MaxOutputBytes)} is {budget.Limit}");
                return false;
            }
        }

        return true;
    }

    // Drops what waits, as the policy says. Bytes are worth more than payloads, so under each of them payloads give way to bytes.
    private bool TryShed(ActorPoller home, long bytes, bool isPayload) => _owner.ConnectionOptions.SlowConsumerPolicy switch
    {
        SlowConsumerPolicy.DropOldest => Drop(home, bytes, isOldest: true) >= bytes,
        SlowConsumerPolicy.DropNewest => !isPayload && Drop(home, bytes, isOldest: false) >= bytes,
        _ => false,
    };

    // For another connection of the process, which has less waiting.
    private void GiveRoom(ActorPoller home, int size, long limit)
    {
        if (_owner.ConnectionOptions.SlowConsumerPolicy == SlowConsumerPolicy.Close || Drop(home, size, isOldest: true) == 0)
        {
            CutOff(home, refused: 0, $"{nameof(NetPollOptions)}.{nameof(NetPollOptions.MaxOutputBytes)} is {limit}");
        }
    }

    private long Drop(ActorPoller home, long bytes, bool isOldest)
    {
        long dropped = 0;
        while (dropped < bytes && _output?.Drop(isOldest, BytesSent, _cold?.Outbound) is > 0 and int length)
        {
            dropped += length;
            CountDropped(length);
        }

        home.Traffic.QueuedBytes -= dropped;
        home.Extension.OutputBudget.Give(dropped);
        return dropped;
    }

    private void Refuse(ActorPoller home, int size, bool isPayload, string limit)
    {
        if (isPayload && Pending is null && _owner.ConnectionOptions.SlowConsumerPolicy != SlowConsumerPolicy.Close)
        {
            CountDropped(size);
        }
        else
        {
            CutOff(home, size, limit);
        }
    }

    private void CountDropped(int length)
    {
        Cold.CountDropped(1, length);
        Signal(ConnectionSignals.OutputNotice);
    }

    // What waits is given up at once, whenever the handler may be told.
    private void CutOff(ActorPoller home, int refused, string limit)
    {
        long unsent = QueuedBytes + refused;
        RequestClose(CloseReason.SlowConsumer, new IOException($"{unsent} bytes would wait to be sent to {Subject}; {limit}."), reset: true);
        AddUnsent(unsent);
        DropOutput(home);
    }

    // Bytes that are lost with the end that was asked for, and are not in the queue.
    private void AddUnsent(long bytes)
    {
        if (Pending is { } pending)
        {
            Pending = pending with { BytesUnsent = pending.BytesUnsent + bytes };
        }
    }
}
