using System.Buffers.Binary;

namespace NetPoll.Actors.Tests.Support;

/// <summary>Frames that carry a number and are filled with it, so that a torn one is noticed.</summary>
internal static class NumberedFrames
{
    private const int HeaderSize = 8;

    public static byte[] Make(int number, int size)
    {
        byte[] frame = new byte[size];
        BinaryPrimitives.WriteInt32BigEndian(frame, number);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(4), size);
        frame.AsSpan(HeaderSize).Fill((byte)number);
        return frame;
    }

    public static SharedPayload MakePayload(int number, int size) => SharedPayload.Copy(Make(number, size));

    /// <summary>The number of the next frame, whole.</summary>
    public static async Task<int> ReceiveAsync(Peer peer)
    {
        byte[] header = await peer.ReceiveAsync(HeaderSize);
        return Check(header, await peer.ReceiveAsync(BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(4)) - HeaderSize));
    }

    /// <summary>The numbers of what was received, which is whole frames.</summary>
    public static List<int> Parse(ReadOnlySpan<byte> bytes)
    {
        List<int> numbers = [];
        while (!bytes.IsEmpty)
        {
            int size = BinaryPrimitives.ReadInt32BigEndian(bytes[4..]);
            numbers.Add(Check(bytes[..HeaderSize].ToArray(), bytes[HeaderSize..size].ToArray()));
            bytes = bytes[size..];
        }

        return numbers;
    }

    private static int Check(byte[] header, byte[] rest)
    {
        int number = BinaryPrimitives.ReadInt32BigEndian(header);
        Assert.DoesNotContain(rest, value => value != (byte)number);
        return number;
    }
}
