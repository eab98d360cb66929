namespace NetPoll.Core;

/// <summary>Datagrams that are received or sent with as few system calls as it takes, and the memory for them, which is kept.</summary>
/// <remarks>Not for two operations at once.</remarks>
public sealed class DatagramBatch
{
    /// <summary>The longest datagram that UDP has, in bytes.</summary>
    public const int LongestDatagram = 65_535;

    private readonly byte[] _bytes;
    private readonly ReceivedDatagram[] _datagrams;

    /// <param name="capacity">How many datagrams it holds, 1 to 1,024.</param>
    /// <param name="maxBytes">How long each may be, 1 to 65,535 bytes. What is longer is truncated when it is received.</param>
    public DatagramBatch(int capacity, int maxBytes = 2048)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, 1024);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxBytes, LongestDatagram);
        MaxBytes = maxBytes;
        _bytes = GC.AllocateUninitializedArray<byte>(capacity * maxBytes, pinned: true);
        _datagrams = new ReceivedDatagram[capacity];
    }

    /// <summary>How many datagrams it holds at most.</summary>
    public int Capacity => _datagrams.Length;

    /// <summary>How long each may be.</summary>
    public int MaxBytes { get; }

    /// <summary>How many it holds.</summary>
    public int Count { get; internal set; }

    /// <summary>One of them: its length, whose it is or, if it is to be sent, to whom, and whether it was truncated.</summary>
    /// <param name="index">0 to <see cref="Count"/> minus 1.</param>
    public ReceivedDatagram this[int index]
    {
        get
        {
            CheckIndex(index);
            return _datagrams[index];
        }
    }

    /// <summary>What the backend that used it last keeps with it.</summary>
    internal object? BackendState { get; set; }

    /// <summary>The bytes of one of them; another datagram's after the next receive or <see cref="Clear"/>.</summary>
    public ReadOnlyMemory<byte> Payload(int index)
    {
        CheckIndex(index);
        return _bytes.AsMemory(index * MaxBytes, _datagrams[index].Count);
    }

    /// <summary>Adds a datagram to be sent. The bytes are copied.</summary>
    /// <param name="payload">0 to <see cref="MaxBytes"/> bytes.</param>
    /// <param name="to">Whom to send to; the default value for a connected socket's peer.</param>
    /// <exception cref="ArgumentException">It is too long.</exception>
    /// <exception cref="InvalidOperationException">The batch is full.</exception>
    public void Add(ReadOnlySpan<byte> payload, DatagramAddress to = default)
    {
        if (payload.Length > MaxBytes)
        {
            throw new ArgumentException($"The datagram has {payload.Length} bytes; expected {MaxBytes} at most.", nameof(payload));
        }

        if (Count == Capacity)
        {
            throw new InvalidOperationException($"The batch is full: it holds {Capacity} datagrams.");
        }

        payload.CopyTo(Slot(Count));
        _datagrams[Count++] = new ReceivedDatagram(payload.Length, to, IsTruncated: false);
    }

    /// <summary>Empties it.</summary>
    public void Clear() => Count = 0;

    /// <summary>The memory of a datagram.</summary>
    internal Span<byte> Slot(int index) => _bytes.AsSpan(index * MaxBytes, MaxBytes);

    internal void Set(int index, ReceivedDatagram datagram) => _datagrams[index] = datagram;

    private void CheckIndex(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
    }
}
