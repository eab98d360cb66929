namespace Chat.Load;

/// <summary>What all clients count together. Any thread.</summary>
internal sealed class Counters
{
    private long _sent;
    private long _delivered;
    private long _refused;
    private long _disconnected;
    private string? _problem;

    /// <summary>From sending to being heard by somebody else.</summary>
    public Latencies Delivery { get; } = new();

    /// <summary>From sending to the answer.</summary>
    public Latencies Answer { get; } = new();

    public long SentCount => Volatile.Read(ref _sent);

    public long AcknowledgedCount => Answer.Count;

    public long DeliveredCount => Volatile.Read(ref _delivered);

    public long RefusedCount => Volatile.Read(ref _refused);

    public long DisconnectedCount => Volatile.Read(ref _disconnected);

    /// <summary>The first thing that went wrong, if anything did.</summary>
    public string? Problem => Volatile.Read(ref _problem);

    public void Sent() => Interlocked.Increment(ref _sent);

    public void Acknowledged(long startTimestamp) => Answer.Add(startTimestamp);

    public void Delivered(long startTimestamp)
    {
        Interlocked.Increment(ref _delivered);
        if (startTimestamp > 0)
        {
            Delivery.Add(startTimestamp);
        }
    }

    public void Refused(string why)
    {
        Interlocked.Increment(ref _refused);
        Interlocked.CompareExchange(ref _problem, why, null);
    }

    public void Disconnected(string why)
    {
        Interlocked.Increment(ref _disconnected);
        Interlocked.CompareExchange(ref _problem, why, null);
    }
}
