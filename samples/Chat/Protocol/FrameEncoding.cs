using Google.Protobuf;

namespace Chat.Protocol;

/// <summary>Turns a message into its varint-delimited bytes.</summary>
public static class FrameEncoding
{
    /// <summary>The message with its length in front, in an array of its own.</summary>
    public static byte[] ToFrame(this IMessage message)
    {
        int size = message.CalculateSize();
        byte[] frame = new byte[CodedOutputStream.ComputeLengthSize(size) + size];
        using var output = new CodedOutputStream(frame);
        output.WriteLength(size);
        message.WriteTo(output);
        output.Flush();
        return frame;
    }
}
