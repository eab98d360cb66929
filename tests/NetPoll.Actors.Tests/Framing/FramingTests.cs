using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Frames;

public sealed class FramingTests
{
    public static TheoryData<string> Names => [.. EveryFraming.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_frame_of_every_length_is_found_where_it_was_written_and_in_no_beginning_of_it(string name)
    {
        Random random = new(Seed.Next());
        Framing framing = EveryFraming.Of(name);
        for (int length = 0; length <= 300; length++)
        {
            byte[] frame = EveryFraming.Frame(name, random, length);
            if (frame.Length > framing.MaxLength)
            {
                break;
            }

            byte[] bytes = Encode(framing, frame);
            for (int cut = 0; cut < bytes.Length; cut++)
            {
                Assert.False(framing.TryFind(bytes.AsSpan(0, cut), out _), $"{length} bytes cut at {cut}");
                Assert.False(framing.TryFind(bytes.AsSpan(0, cut), out _, searched: Math.Max(0, cut - 1)), $"{length} bytes cut at {cut}, one more");

                // However much of it was searched already.
                Assert.True(framing.TryFind(bytes, out FrameBounds found, searched: cut));
                Assert.Equal(frame, bytes.AsSpan(found.Start, found.Length).ToArray());
                Assert.Equal(bytes.Length, found.Consumed);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void What_is_behind_a_frame_is_not_touched(string name)
    {
        Random random = new(Seed.Next());
        Framing framing = EveryFraming.Of(name);
        byte[] frame = EveryFraming.Frame(name, random, 5);
        byte[] bytes = Encode(framing, frame);

        Assert.True(framing.TryFind((byte[])[.. bytes, .. bytes, 0xFF, 0xFF], out FrameBounds found));

        Assert.Equal(bytes.Length, found.Consumed);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_longest_frame_is_taken_and_one_byte_more_is_an_error_that_names_both(string name)
    {
        if (!EveryFraming.HasAnyLength(name))
        {
            Assert.Equal(EveryFraming.FixedSize, EveryFraming.Of(name, 200).MaxLength);
            return;
        }

        Framing framing = EveryFraming.Of(name, maxLength: 200);
        Framing generous = EveryFraming.Of(name, maxLength: 250);
        byte[] longest = Encode(generous, Filled(200));
        byte[] tooLong = Encode(generous, Filled(201));

        Assert.Equal(200, framing.MaxLength);
        Assert.True(framing.TryFind(longest, out FrameBounds found));
        Assert.Equal(200, found.Length);
        FrameTooLargeException exception = Assert.Throws<FrameTooLargeException>(() => framing.TryFind(tooLong, out _));
        Assert.Equal(201, exception.Size);
        Assert.Equal(200, exception.Limit);
        Assert.Equal("A frame of 201 bytes or more came; the limit is 200 bytes.", exception.Message);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_frame_that_is_too_long_is_noticed_before_more_than_a_few_bytes_beyond_the_limit_have_come(string name)
    {
        if (!EveryFraming.HasAnyLength(name))
        {
            return;
        }

        Framing framing = EveryFraming.Of(name, maxLength: 200);
        byte[] tooLong = Encode(EveryFraming.Of(name, maxLength: 250), Filled(240));
        int noticed = Enumerable.Range(0, tooLong.Length).First(cut => Record.Exception(() => framing.TryFind(tooLong.AsSpan(0, cut), out _)) is FrameTooLargeException);

        // A delimiter of four bytes may have begun in the last three.
        Assert.InRange(noticed, 1, 204);
        if (name.Contains("counts", StringComparison.Ordinal))
        {
            Assert.InRange(noticed, 1, 5);
        }
    }

    [Theory]
    [InlineData(LengthPrefix.OneByte, LengthCounts.Frame, new byte[] { 3 })]
    [InlineData(LengthPrefix.OneByte, LengthCounts.PrefixAndFrame, new byte[] { 4 })]
    [InlineData(LengthPrefix.BigEndian16, LengthCounts.Frame, new byte[] { 0, 3 })]
    [InlineData(LengthPrefix.BigEndian16, LengthCounts.PrefixAndFrame, new byte[] { 0, 5 })]
    [InlineData(LengthPrefix.LittleEndian16, LengthCounts.Frame, new byte[] { 3, 0 })]
    [InlineData(LengthPrefix.LittleEndian16, LengthCounts.PrefixAndFrame, new byte[] { 5, 0 })]
    [InlineData(LengthPrefix.BigEndian32, LengthCounts.Frame, new byte[] { 0, 0, 0, 3 })]
    [InlineData(LengthPrefix.BigEndian32, LengthCounts.PrefixAndFrame, new byte[] { 0, 0, 0, 7 })]
    [InlineData(LengthPrefix.LittleEndian32, LengthCounts.Frame, new byte[] { 3, 0, 0, 0 })]
    [InlineData(LengthPrefix.LittleEndian32, LengthCounts.PrefixAndFrame, new byte[] { 7, 0, 0, 0 })]
    [InlineData(LengthPrefix.Varint, LengthCounts.Frame, new byte[] { 3 })]
    [InlineData(LengthPrefix.Varint, LengthCounts.PrefixAndFrame, new byte[] { 4 })]
    public void A_prefix_has_the_bytes_that_its_name_says(LengthPrefix prefix, LengthCounts counts, byte[] expected) =>
        Assert.Equal([.. expected, 1, 2, 3], Encode(Framing.LengthPrefixed(prefix, counts: counts), [1, 2, 3]));

    [Theory]
    [InlineData(126, new byte[] { 127 })]
    [InlineData(127, new byte[] { 129, 1 })]
    [InlineData(128, new byte[] { 130, 1 })]
    [InlineData(16_381, new byte[] { 0xFF, 0x7F })]
    [InlineData(16_382, new byte[] { 0x81, 0x80, 0x01 })]
    public void A_varint_that_counts_itself_is_as_long_as_it_says(int length, byte[] prefix)
    {
        Framing framing = Framing.LengthPrefixed(LengthPrefix.Varint, counts: LengthCounts.PrefixAndFrame);
        byte[] bytes = Encode(framing, new byte[length]);

        Assert.Equal(prefix, bytes[..prefix.Length]);
        Assert.True(framing.TryFind(bytes, out FrameBounds found));
        Assert.Equal(new FrameBounds(prefix.Length, length, bytes.Length), found);
    }

    [Theory]
    [InlineData(LengthPrefix.OneByte, 255)]
    [InlineData(LengthPrefix.BigEndian16, 65_535)]
    [InlineData(LengthPrefix.LittleEndian16, 65_535)]
    public void A_short_prefix_limits_what_is_taken_and_what_can_be_sent(LengthPrefix prefix, int most)
    {
        Framing framing = Framing.LengthPrefixed(prefix);
        Framing counting = Framing.LengthPrefixed(prefix, counts: LengthCounts.PrefixAndFrame);

        Assert.Equal(most, framing.MaxLength);
        Assert.True(framing.TryFind(Encode(framing, new byte[most]), out FrameBounds found));
        Assert.Equal(most, found.Length);
        Assert.Equal(most - found.Start, counting.MaxLength);
        Assert.Throws<ArgumentOutOfRangeException>(() => counting.EncodedSize(most));
        ArgumentOutOfRangeException exception = Assert.Throws<ArgumentOutOfRangeException>(() => framing.EncodedSize(most + 1));
        Assert.Contains($"{most + 1}", exception.Message, StringComparison.Ordinal);
        Assert.Contains($"at most {most}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_varint_prefix_is_what_Protobuf_calls_delimited()
    {
        Framing framing = Framing.LengthPrefixed(LengthPrefix.Varint);
        foreach (int length in (int[])[0, 1, 125, 126, 127, 128, 20_000])
        {
            BytesValue message = new() { Value = ByteString.CopyFrom(new byte[length]) };
            using MemoryStream stream = new();
            message.WriteDelimitedTo(stream);

            Assert.Equal(stream.ToArray(), Encode(framing, message.ToByteArray()));
        }
    }

    [Theory]
    [InlineData(LengthPrefix.BigEndian32, new byte[] { 0xFF, 0xFF, 0xFF, 0xFF }, uint.MaxValue)]
    [InlineData(LengthPrefix.LittleEndian32, new byte[] { 0, 0, 0, 0x80 }, 0x8000_0000L)]
    [InlineData(LengthPrefix.BigEndian32, new byte[] { (byte)'G', (byte)'E', (byte)'T', (byte)' ' }, 0x4745_5420L)]
    [InlineData(LengthPrefix.Varint, new byte[] { 0xFF, 0xFF, 0xFF, 0xFF, 0x7F }, (1L << 35) - 1)]
    public void A_length_beyond_all_bounds_is_too_large_and_never_negative(LengthPrefix prefix, byte[] bytes, long size)
    {
        Framing framing = Framing.LengthPrefixed(prefix, maxLength: 1_000_000_000);

        FrameTooLargeException exception = Assert.Throws<FrameTooLargeException>(() => framing.TryFind(bytes, out _));

        Assert.Equal(size, exception.Size);
    }

    [Theory]
    [InlineData(LengthPrefix.OneByte, new byte[] { 0 }, "length of 0, which should count its own 1 bytes")]
    [InlineData(LengthPrefix.BigEndian16, new byte[] { 0, 1 }, "length of 1, which should count its own 2 bytes")]
    [InlineData(LengthPrefix.LittleEndian32, new byte[] { 3, 0, 0, 0 }, "length of 3, which should count its own 4 bytes")]
    [InlineData(LengthPrefix.Varint, new byte[] { 0x81, 0 }, "length of 1, which should count its own 2 bytes")]
    [InlineData(LengthPrefix.Varint, new byte[] { 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 }, "8080808080")]
    public void A_length_that_cannot_be_is_an_error_that_names_it(LengthPrefix prefix, byte[] bytes, string expected)
    {
        Framing framing = Framing.LengthPrefixed(prefix, counts: LengthCounts.PrefixAndFrame);

        InvalidDataException exception = Assert.Throws<InvalidDataException>(() => framing.TryFind(bytes, out _));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("lines", "a\nb", "LF at 1")]
    [InlineData("lines", "ab\r", "ends with CR")]
    [InlineData("delimiter of 4", "ab\r\n\r\ncd", "begins at 2")]
    [InlineData("delimiter of 4", "ab\r\n", "begins at 2")]
    [InlineData("delimiter that overlaps", "bab", "begins at 1")]
    public void A_frame_that_the_other_side_would_cut_elsewhere_is_refused(string name, string frame, string expected)
    {
        Framing framing = EveryFraming.Of(name);
        byte[] room = new byte[100];

        ArgumentException exception = Assert.Throws<ArgumentException>(() => framing.Encode(Encoding.Latin1.GetBytes(frame), room));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("delimiter of 4", "ab\r\n\r")]
    [InlineData("delimiter that overlaps", "aa")]
    [InlineData("lines", "\ra")]
    public void A_frame_that_only_looks_so_is_sent(string name, string frame)
    {
        Framing framing = EveryFraming.Of(name);
        byte[] bytes = Encode(framing, Encoding.Latin1.GetBytes(frame));

        Assert.True(framing.TryFind(bytes, out FrameBounds found));
        Assert.Equal(frame, Encoding.Latin1.GetString(bytes, found.Start, found.Length));
    }

    [Fact]
    public void Only_frames_of_the_fixed_size_can_be_sent()
    {
        Framing framing = Framing.FixedSize(7);

        Assert.Equal(7, framing.EncodedSize(7));
        Assert.Throws<ArgumentOutOfRangeException>(() => framing.EncodedSize(6));
        Assert.Throws<ArgumentOutOfRangeException>(() => framing.EncodedSize(8));
    }

    [Fact]
    public void What_makes_no_framing_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Framing.Lines(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Framing.FixedSize(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Framing.LengthPrefixed(LengthPrefix.OneByte, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Framing.LengthPrefixed((LengthPrefix)9));
        Assert.Throws<ArgumentOutOfRangeException>(() => Framing.LengthPrefixed(LengthPrefix.OneByte, counts: (LengthCounts)9));
        Assert.Throws<ArgumentException>(() => Framing.DelimitedBy([]));
        Assert.Throws<ArgumentException>(() => Framing.Lines().Encode("abc"u8, new byte[3]));
    }

    [Fact]
    public void A_delimiter_is_copied()
    {
        byte[] delimiter = [0];
        Framing framing = Framing.DelimitedBy(delimiter);
        delimiter[0] = 1;

        Assert.True(framing.TryFind([5, 0], out FrameBounds found));
        Assert.Equal(1, found.Length);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Finding_and_writing_a_frame_allocates_nothing(string name)
    {
        Framing framing = EveryFraming.Of(name);
        byte[] frame = EveryFraming.Frame(name, new Random(1), 50);
        byte[] bytes = Encode(framing, frame);
        byte[] target = new byte[bytes.Length];

        long allocated = AllocationCounter.BytesOf(() =>
        {
            for (int round = 0; round < 1000; round++)
            {
                framing.TryFind(bytes, out _);
                framing.TryFind(bytes.AsSpan(0, bytes.Length - 1), out _);
                framing.Encode(frame, target);
            }
        });

        Assert.Equal(0, allocated);
    }

    internal static byte[] Encode(Framing framing, ReadOnlySpan<byte> frame)
    {
        byte[] bytes = new byte[framing.EncodedSize(frame.Length)];
        Assert.Equal(bytes.Length, framing.Encode(frame, bytes));
        return bytes;
    }

    private static byte[] Filled(int length)
    {
        byte[] bytes = new byte[length];
        bytes.AsSpan().Fill((byte)'x');
        return bytes;
    }
}
