using NetPoll.Core;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Datagrams;

/// <summary>
/// Where the datagrams of one poller land and gather: those that one system call receives, and those that a socket sends with the next one.
/// One for each size of datagrams. The poller's thread only.
/// </summary>
/// <remarks>
/// What was received is the next socket's as soon as a turn has ended. What is to be sent is one socket's at a time, and leaves when it is full,
/// when another socket sends, or when the turns of the loop's batch have run.
/// </remarks>
internal sealed class DatagramScratch : IPollerWork
{
    // Few long datagrams, or more short ones.
    private const int Bytes = 256 * 1024;
    private const int LeastDatagrams = 4;
    private const int MostDatagrams = 64;

    private readonly Poller _poller;
    private readonly DatagramBatch _sending;
    private DatagramPort? _sender;
    private bool _isQueued;

    internal DatagramScratch(Poller poller, int maxBytes)
    {
        _poller = poller;
        int capacity = Math.Clamp(Bytes / maxBytes, LeastDatagrams, MostDatagrams);
        Received = new DatagramBatch(capacity, maxBytes);
        _sending = new DatagramBatch(capacity, maxBytes);
    }

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    internal DatagramBatch Received { get; }

    /// <summary>How long a datagram may be to be gathered.</summary>
    internal int MaxBytes => _sending.MaxBytes;

    /// <summary>Takes a datagram that is to be sent soon.</summary>
    internal void Gather(DatagramPort sender, ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        if (!ReferenceEquals(sender, _sender))
        {
            Flush();
            _sender = sender;
        }

        _sending.Add(payload, to);
        if (_sending.Count == _sending.Capacity)
        {
            Flush();
        }
        else if (!_isQueued)
        {
            _isQueued = true;
            _poller.Post(this);
        }
    }

    /// <summary>Sends what has gathered for a socket.</summary>
    internal void Flush(DatagramPort sender)
    {
        if (ReferenceEquals(sender, _sender))
        {
            Flush();
        }
    }

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        _isQueued = false;
        Flush();
    }

    private void Flush()
    {
        if (_sending.Count > 0)
        {
            _sender!.SendGathered(_sending);
            _sending.Clear();
        }

        _sender = null;
    }
}
