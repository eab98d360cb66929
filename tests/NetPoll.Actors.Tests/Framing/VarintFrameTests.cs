using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using NetPoll.Actors.Framing;

namespace NetPoll.Actors.Tests.Framing;

public sealed class VarintFrameTests
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
    [InlineData(int.MaxValue, 5)]
    public void A_length_takes_as_many_bytes_as_Protobuf_says(int length, int size)
    {
        Assert.Equal(size, VarintFrame.HeaderSize(length));
        Assert.Equal(CodedOutputStream.ComputeUInt32Size((uint)length), VarintFrame.HeaderSize(length));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(125)]
    [InlineData(126)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(20_000)]
    public void What_is_written_is_what_Protobuf_writes_and_is_found_again(int length)
    {
        BytesValue message = new() { Value = ByteString.CopyFrom(new byte[length]) };
        int size = message.CalculateSize();
        byte[] written = new byte[VarintFrame.HeaderSize(size) + size];

        VarintFrame.Write(message, size, written);

        using MemoryStream stream = new();
        message.WriteDelimitedTo(stream);
        Assert.Equal(stream.ToArray(), written);
        Assert.True(VarintFrame.TryFind(written, int.MaxValue, out int start, out int found));
        Assert.Equal(VarintFrame.HeaderSize(size), start);
        Assert.Equal(size, found);
    }

    [Fact]
    public void Cut_anywhere_a_frame_is_not_there_yet()
    {
        BytesValue message = new() { Value = ByteString.CopyFrom(new byte[300]) };
        int size = message.CalculateSize();
        byte[] written = new byte[VarintFrame.HeaderSize(size) + size];
        VarintFrame.Write(message, size, written);

        for (int cut = 0; cut < written.Length; cut++)
        {
            Assert.False(VarintFrame.TryFind(written.AsSpan(0, cut), 1000, out _, out _), $"cut at {cut}");
        }
    }

    [Fact]
    public void The_limit_itself_is_taken_and_one_more_is_refused_before_the_frame_is_there()
    {
        Assert.False(VarintFrame.TryFind([200, 1], 200, out _, out _));
        FrameTooLargeException exception = Assert.Throws<FrameTooLargeException>(() => VarintFrame.TryFind([201, 1], 200, out _, out _));

        Assert.Equal(201, exception.Size);
        Assert.Equal(200, exception.Limit);
        Assert.Contains("201", exception.Message, StringComparison.Ordinal);
        Assert.Contains("200", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_length_beyond_32_bits_is_too_large_and_never_negative()
    {
        FrameTooLargeException exception = Assert.Throws<FrameTooLargeException>(
            () => VarintFrame.TryFind([0xFF, 0xFF, 0xFF, 0xFF, 0x7F], int.MaxValue, out _, out _));

        Assert.Equal((1L << 35) - 1, exception.Size);
    }

    [Fact]
    public void Five_bytes_that_go_on_are_no_length()
    {
        Assert.False(VarintFrame.TryFind([0x80, 0x80, 0x80, 0x80], 100, out _, out _));
        InvalidDataException exception = Assert.Throws<InvalidDataException>(() => VarintFrame.TryFind([0x80, 0x80, 0x80, 0x80, 0x81], 100, out _, out _));

        Assert.Contains("8080808081", exception.Message, StringComparison.Ordinal);
    }
}
