using Google.Protobuf;
using NetPoll.Actors.Frames;

namespace NetPoll.Actors.Tests.Frames;

public sealed class VarintTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(127, 1)]
    [InlineData(128, 2)]
    [InlineData(16_383, 2)]
    [InlineData(16_384, 3)]
    [InlineData(2_097_151, 3)]
    [InlineData(2_097_152, 4)]
    [InlineData(268_435_455, 4)]
    [InlineData(268_435_456, 5)]
    [InlineData(uint.MaxValue, 5)]
    public void A_number_is_written_as_Protobuf_writes_it_and_is_read_again(uint value, int size)
    {
        byte[] written = new byte[Varint.MaxSize];
        using MemoryStream stream = new();
        using (CodedOutputStream protobuf = new(stream, leaveOpen: true))
        {
            protobuf.WriteUInt32(value);
        }

        Assert.Equal(size, Varint.Size(value));
        Assert.Equal(size, Varint.Write(value, written));
        Assert.Equal(stream.ToArray(), written[..size]);
        for (int cut = 0; cut < size; cut++)
        {
            Assert.False(Varint.TryRead(written.AsSpan(0, cut), out _, out _));
        }

        Assert.True(Varint.TryRead(written, out long read, out int taken));
        Assert.Equal(value, read);
        Assert.Equal(size, taken);
    }

    [Fact]
    public void More_than_32_bits_in_five_bytes_are_never_negative()
    {
        Assert.True(Varint.TryRead([0xFF, 0xFF, 0xFF, 0xFF, 0x7F], out long value, out _));

        Assert.Equal((1L << 35) - 1, value);
    }

    [Fact]
    public void Five_bytes_that_go_on_are_no_number()
    {
        Assert.False(Varint.TryRead([0x80, 0x80, 0x80, 0x80], out _, out _));
        InvalidDataException exception = Assert.Throws<InvalidDataException>(() => Varint.TryRead([0x80, 0x80, 0x80, 0x80, 0x81], out _, out _));

        Assert.Contains("8080808081", exception.Message, StringComparison.Ordinal);
    }
}
