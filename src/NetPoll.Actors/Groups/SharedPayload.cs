using System.Buffers;
using Google.Protobuf;

namespace NetPoll.Actors;

/// <summary>Bytes that are encoded once and sent to many connections; counted, and given back to the pool by the last holder.</summary>
/// <remarks>
/// Whoever creates it holds one reference and gives it up by <see cref="Dispose"/> once he has handed the payload to everybody; sends and
/// publishes take references of their own. The bytes never change. Any thread.
/// </remarks>
public sealed class SharedPayload : IDisposable
{
    private static readonly Framing VarintFraming = Framing.LengthPrefixed(LengthPrefix.Varint);

    private readonly int _length;
    private byte[]? _buffer;
    private int _references = 1;

    private SharedPayload(int length)
    {
        _length = length;
        _buffer = ArrayPool<byte>.Shared.Rent(Math.Max(length, 1));
    }

    /// <summary>The bytes; not to be used after the holder's reference is given up.</summary>
    public ReadOnlyMemory<byte> Memory => new(Buffer, 0, _length);

    /// <summary>How many bytes.</summary>
    public int Length => _length;

    private byte[] Buffer => _buffer ?? throw new ObjectDisposedException(nameof(SharedPayload), "The payload was given back by its last holder.");

    /// <summary>Copies the bytes.</summary>
    public static SharedPayload Copy(ReadOnlySpan<byte> bytes)
    {
        SharedPayload payload = new(bytes.Length);
        bytes.CopyTo(payload._buffer);
        return payload;
    }

    /// <summary>Encodes a frame with what stands around it.</summary>
    /// <exception cref="ArgumentException">The other side could not find the end of this frame.</exception>
    public static SharedPayload Framed(Framing framing, ReadOnlySpan<byte> frame) =>
        Framed(framing, frame.Length, frame, static (room, frame) => frame.CopyTo(room));

    /// <summary>Encodes a message as a frame.</summary>
    public static SharedPayload Framed(Framing framing, IMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        return Framed(framing, message.CalculateSize(), message, static (room, message) => message.WriteTo(room));
    }

    /// <summary>Encodes a message behind its length as a varint, as <see cref="ProtobufConnectionActor{T}"/> sends and reads it.</summary>
    public static SharedPayload Delimited(IMessage message) => Framed(VarintFraming, message);

    /// <summary>Encodes a frame that is written where it leaves from.</summary>
    internal static SharedPayload Framed<TState>(Framing framing, int length, TState state, SpanAction<byte, TState> write)
        where TState : allows ref struct
    {
        ArgumentNullException.ThrowIfNull(framing);
        SharedPayload payload = new(framing.EncodedSize(length));
        try
        {
            framing.Encode(length, state, write, payload._buffer);
        }
        catch
        {
            payload.Dispose();
            throw;
        }

        return payload;
    }

    /// <summary>Gives the caller's reference up.</summary>
    public void Dispose()
    {
        int left = Interlocked.Decrement(ref _references);
        if (left == 0)
        {
            ArrayPool<byte>.Shared.Return(Interlocked.Exchange(ref _buffer, null)!);
        }
        else if (left < 0)
        {
            throw new InvalidOperationException("A shared payload was given back more often than it was taken: somebody else's bytes would be sent.");
        }
    }

    /// <summary>Takes a reference for another holder. Only a holder may.</summary>
    internal SharedPayload Share()
    {
        if (Interlocked.Increment(ref _references) <= 1)
        {
            throw new ObjectDisposedException(nameof(SharedPayload), "The payload was given back by its last holder.");
        }

        return this;
    }
}
