using System.Buffers.Binary;
using NetPoll.Actors;

namespace Guide.Tests;

internal sealed class Checksums : FramedConnectionActor
{
    // One object of each for all connections.
    private static readonly Framing Lines = Framing.Lines(maxLength: 80);
    private static readonly Framing Blobs = Framing.LengthPrefixed(LengthPrefix.BigEndian32, maxLength: 64 * 1024);

    public Checksums()
        : base(Lines)
    {
    }

    protected override Task OnFrame(ReadOnlySpan<byte> frame)
    {
        if (Framing == Blobs)
        {
            uint sum = 0;
            foreach (byte value in frame)
            {
                sum += value;
            }

            // Written straight into the memory that it is sent from.
            SendFrame(sizeof(uint), sum, static (room, sum) => BinaryPrimitives.WriteUInt32BigEndian(room, sum));
        }
        else if (frame.SequenceEqual("SUM/1"u8))
        {
            // Still a line; what is behind this one is blobs, whether it has come already or not.
            SendFrame("OK"u8);
            Framing = Blobs;
        }
        else
        {
            SendFrame("I speak SUM/1"u8);
            Close();
        }

        return Task.CompletedTask;
    }
}
