using System.Numerics;

namespace NetPoll.Actors.Frames;

/// <summary>Numbers of up to 32 bits as Protobuf writes them: seven bits a byte, the lowest first; the high bit says that another follows.</summary>
internal static class Varint
{
    /// <summary>Bytes of the longest.</summary>
    internal const int MaxSize = 5;

    /// <summary>Bytes that a number takes.</summary>
    internal static int Size(uint value) => (BitOperations.Log2(value | 1) / 7) + 1;

    /// <summary>Writes a number.</summary>
    /// <returns>How many bytes it took.</returns>
    internal static int Write(uint value, Span<byte> target)
    {
        int index = 0;
        while (value >= 0x80)
        {
            target[index++] = (byte)(value | 0x80);
            value >>= 7;
        }

        target[index++] = (byte)value;
        return index;
    }

    /// <summary>Reads the number that the bytes begin with.</summary>
    /// <param name="bytes">What has come.</param>
    /// <param name="value">The number; up to 35 bits, which five bytes can say though none is sent.</param>
    /// <param name="size">Bytes that it took.</param>
    /// <returns>False when more bytes must come first.</returns>
    /// <exception cref="InvalidDataException">It goes on for more than five bytes.</exception>
    internal static bool TryRead(ReadOnlySpan<byte> bytes, out long value, out int size)
    {
        value = 0;
        size = 0;
        while (size < bytes.Length)
        {
            byte current = bytes[size];
            value |= (long)(current & 0x7F) << (7 * size);
            size++;
            if ((current & 0x80) == 0)
            {
                return true;
            }

            if (size == MaxSize)
            {
                throw new InvalidDataException($"A frame begins with {MaxSize} bytes that are no length (a varint of 32 bits): {Convert.ToHexString(bytes[..MaxSize])}.");
            }
        }

        return false;
    }
}
