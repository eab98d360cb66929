using System.Buffers;
using NetPoll.Core;

namespace NetPoll.Actors.Datagrams;

/// <summary>Datagrams that wait until the system takes them: at most so many, in pooled memory. The poller's thread only.</summary>
internal sealed class DatagramQueue
{
    private readonly int _limit;
    private readonly DatagramDropPolicy _policy;
    private readonly Queue<Waiting> _datagrams = new();

    internal DatagramQueue(int limit, DatagramDropPolicy policy)
    {
        _limit = limit;
        _policy = policy;
    }

    internal int Count => _datagrams.Count;

    /// <summary>Adds a copy.</summary>
    /// <returns>How many were dropped for it or with it: 0 or 1.</returns>
    internal int Add(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        int dropped = 0;
        if (_datagrams.Count >= _limit)
        {
            dropped = 1;
            if (_policy == DatagramDropPolicy.DropNewest || _limit == 0)
            {
                return dropped;
            }

            RemoveFirst();
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(payload.Length);
        payload.CopyTo(buffer);
        _datagrams.Enqueue(new Waiting(buffer, payload.Length, to));
        return dropped;
    }

    /// <summary>The one that has waited longest.</summary>
    internal bool TryPeek(out ReadOnlySpan<byte> payload, out DatagramAddress to)
    {
        bool isThere = _datagrams.TryPeek(out Waiting first);
        payload = isThere ? first.Buffer.AsSpan(0, first.Length) : default;
        to = first.To;
        return isThere;
    }

    /// <summary>Takes it out.</summary>
    internal void RemoveFirst() => ArrayPool<byte>.Shared.Return(_datagrams.Dequeue().Buffer);

    private readonly record struct Waiting(byte[] Buffer, int Length, DatagramAddress To);
}
