using Google.Protobuf;

namespace NetPoll.Actors.Framing;

/// <summary>A frame behind its length as a base-128 varint: what Protobuf calls delimited.</summary>
internal static class VarintFrame
{
    private const int MaxHeaderSize = 5;

    /// <summary>Bytes that the length of a frame takes.</summary>
    internal static int HeaderSize(int length)
    {
        int size = 1;
        for (uint rest = (uint)length >> 7; rest != 0; rest >>= 7)
        {
            size++;
        }

        return size;
    }

    /// <summary>Writes length and message.</summary>
    internal static void Write(IMessage message, int size, Span<byte> target)
    {
        int header = WriteHeader(size, target);
        message.WriteTo(target.Slice(header, size));
    }

    /// <summary>Finds the first frame.</summary>
    /// <param name="bytes">What was received.</param>
    /// <param name="maxLength">The longest frame that is taken.</param>
    /// <param name="start">Where the frame's bytes begin.</param>
    /// <param name="length">How many they are.</param>
    /// <returns>False when more bytes must come first.</returns>
    /// <exception cref="FrameTooLargeException">The frame is longer than allowed, as far as its length is known.</exception>
    /// <exception cref="InvalidDataException">The bytes are no length.</exception>
    internal static bool TryFind(ReadOnlySpan<byte> bytes, int maxLength, out int start, out int length)
    {
        start = 0;
        length = 0;
        ulong value = 0;
        for (int index = 0; index < bytes.Length; index++)
        {
            byte current = bytes[index];
            value |= (ulong)(current & 0x7F) << (7 * index);
            if ((current & 0x80) == 0)
            {
                if (value > (ulong)maxLength)
                {
                    throw new FrameTooLargeException((long)value, maxLength);
                }

                start = index + 1;
                length = (int)value;
                return bytes.Length - start >= length;
            }

            if (index == MaxHeaderSize - 1)
            {
                throw new InvalidDataException($"A frame begins with {MaxHeaderSize} bytes that are no length (a varint of 32 bits): {Convert.ToHexString(bytes[..MaxHeaderSize])}.");
            }
        }

        return false;
    }

    private static int WriteHeader(int length, Span<byte> target)
    {
        int index = 0;
        uint rest = (uint)length;
        while (rest >= 0x80)
        {
            target[index++] = (byte)(rest | 0x80);
            rest >>= 7;
        }

        target[index++] = (byte)rest;
        return index;
    }
}
