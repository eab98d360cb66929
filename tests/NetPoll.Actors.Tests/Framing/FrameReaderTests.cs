using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Frames;

public sealed class FrameReaderTests
{
    private static readonly int[] Lengths = [3, 0, 1, 150, 0, 0, 20, 7];

    public static TheoryData<string> Names => [.. EveryFraming.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Cut_at_every_offset_the_same_frames_come(string name)
    {
        (byte[][] frames, byte[] bytes) = Stream(name, Seed.Next());

        for (int cut = 0; cut <= bytes.Length; cut++)
        {
            Assert.Equal(frames, ReadAll(EveryFraming.Of(name), bytes[..cut], bytes[cut..]));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Each_byte_alone_makes_the_same_frames(string name)
    {
        (byte[][] frames, byte[] bytes) = Stream(name, Seed.Next());

        Assert.Equal(frames, ReadAll(EveryFraming.Of(name), [.. bytes.Select(static single => new[] { single })]));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Random_frames_in_random_pieces_come_as_they_were_sent(string name)
    {
        Random random = new(Seed.Next());
        Framing framing = EveryFraming.Of(name, maxLength: 20_000);
        byte[][] frames = [.. Enumerable.Range(0, 500).Select(_ => EveryFraming.Frame(name, random, RandomLength(random, framing.MaxLength)))];
        byte[] bytes = [.. frames.SelectMany(frame => FramingTests.Encode(framing, frame))];
        List<byte[]> pieces = [];
        for (int at = 0; at < bytes.Length;)
        {
            int count = Math.Min(random.Next(1, random.Next(20) == 0 ? 30_000 : 400), bytes.Length - at);
            pieces.Add(bytes[at..(at + count)]);
            at += count;
        }

        Assert.Equal(frames, ReadAll(framing, [.. pieces]));
    }

    [Fact]
    public void Another_framing_goes_on_at_the_end_of_a_frame_wherever_the_bytes_are_cut()
    {
        Random random = new(Seed.Next());
        string[] names = [.. EveryFraming.Names, .. EveryFraming.Names.Reverse()];
        byte[][] frames = [.. names.Select(name => EveryFraming.Frame(name, random, random.Next(12)))];
        byte[] bytes = [.. names.Zip(frames).SelectMany(static pair => FramingTests.Encode(EveryFraming.Of(pair.First), pair.Second))];

        for (int cut = 0; cut <= bytes.Length; cut++)
        {
            FrameReader reader = new(EveryFraming.Of(names[0]));
            List<byte[]> read = [];
            foreach (byte[] piece in (byte[][])[bytes[..cut], bytes[cut..]])
            {
                reader.Append(piece);
                while (reader.TryRead(out ReadOnlyMemory<byte> frame))
                {
                    read.Add(frame.ToArray());
                    if (read.Count < names.Length)
                    {
                        reader.Framing = EveryFraming.Of(names[read.Count]);
                    }
                }
            }

            Assert.Equal(frames, read);
            Assert.Equal(0, reader.UnreadBytes);
        }
    }

    [Fact]
    public void A_framing_that_is_changed_before_a_frame_is_whole_sees_all_that_is_left()
    {
        FrameReader reader = new(Framing.Lines());
        reader.Append(new byte[] { 2, 10, 11, 2 });
        Assert.True(reader.TryRead(out _));
        Assert.False(reader.TryRead(out _));

        reader.Framing = Framing.FixedSize(2);

        Assert.True(reader.TryRead(out ReadOnlyMemory<byte> frame));
        Assert.Equal([11, 2], frame.ToArray());
    }

    [Fact]
    public void A_frame_in_one_piece_is_not_copied()
    {
        byte[] piece = [2, 10, 11, 1, 12];
        FrameReader reader = new(Framing.LengthPrefixed(LengthPrefix.OneByte));
        reader.Append(piece);

        Assert.True(reader.TryRead(out ReadOnlyMemory<byte> first));
        Assert.True(reader.TryRead(out ReadOnlyMemory<byte> second));

        piece[1] = 99;
        piece[4] = 98;
        Assert.Equal([99, 11], first.ToArray());
        Assert.Equal([98], second.ToArray());
    }

    [Fact]
    public void What_is_left_of_a_piece_is_its_own_once_there_is_no_frame_in_it()
    {
        byte[] piece = [1, 10, 3, 11];
        FrameReader reader = new(Framing.LengthPrefixed(LengthPrefix.OneByte));
        reader.Append(piece);
        Assert.True(reader.TryRead(out _));
        Assert.False(reader.TryRead(out _));
        piece.AsSpan().Fill(99);

        reader.Append(new byte[] { 12, 13 });

        Assert.True(reader.TryRead(out ReadOnlyMemory<byte> frame));
        Assert.Equal([11, 12, 13], frame.ToArray());
        Assert.Equal(0, reader.UnreadBytes);
    }

    [Fact]
    public void Frames_that_lie_in_their_pieces_allocate_nothing()
    {
        byte[] piece = [.. Enumerable.Repeat(FramingTests.Encode(Framing.Lines(), "some line"u8), 10).SelectMany(static line => line)];
        FrameReader reader = new(Framing.Lines());
        int frames = 0;

        long allocated = AllocationCounter.BytesOf(() =>
        {
            for (int round = 0; round < 100; round++)
            {
                reader.Append(piece);
                while (reader.TryRead(out _))
                {
                    frames++;
                }
            }
        });

        Assert.Equal(0, allocated);
        Assert.Equal(4 * 100 * 10, frames);
    }

    [Fact]
    public void After_an_error_it_goes_on_with_what_comes_next()
    {
        FrameReader reader = new(Framing.Lines(maxLength: 5));
        reader.Append("ok\nmuch too long\nlost\n"u8.ToArray());
        Assert.True(reader.TryRead(out _));
        Assert.Throws<FrameTooLargeException>(() => reader.TryRead(out _));
        Assert.False(reader.TryRead(out _));

        reader.Append("next\n"u8.ToArray());

        Assert.True(reader.TryRead(out ReadOnlyMemory<byte> frame));
        Assert.Equal("next"u8.ToArray(), frame.ToArray());
    }

    [Fact]
    public void A_framing_of_the_users_own_that_takes_nothing_is_named_and_does_not_spin()
    {
        FrameReader reader = new(new Nothing());
        reader.Append(new byte[1]);

        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => reader.TryRead(out _));

        Assert.Contains(nameof(Nothing), exception.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => new FrameReader(null!));
        Assert.Throws<ArgumentNullException>(() => reader.Framing = null!);
    }

    private static int RandomLength(Random random, int most) => Math.Min(most, random.Next(10) switch
    {
        0 => 0,
        1 => random.Next(20_000),
        _ => random.Next(100),
    });

    private static (byte[][] Frames, byte[] Bytes) Stream(string name, int seed)
    {
        Random random = new(seed);
        byte[][] frames = [.. Lengths.Select(length => EveryFraming.Frame(name, random, length))];
        return (frames, [.. frames.SelectMany(frame => FramingTests.Encode(EveryFraming.Of(name), frame))]);
    }

    private static List<byte[]> ReadAll(Framing framing, params byte[][] pieces)
    {
        FrameReader reader = new(framing);
        List<byte[]> frames = [];
        byte[] lent = new byte[pieces.Max(static piece => piece.Length)];
        foreach (byte[] piece in pieces)
        {
            // Each piece in the same memory: it may be somebody else's as soon as there is no frame in it any more.
            piece.CopyTo(lent, 0);
            reader.Append(lent.AsMemory(0, piece.Length));
            while (reader.TryRead(out ReadOnlyMemory<byte> frame))
            {
                frames.Add(frame.ToArray());
            }

            lent.AsSpan().Fill(0xDB);
        }

        Assert.Equal(0, reader.UnreadBytes);
        return frames;
    }

    private sealed class Nothing() : Framing(1)
    {
        public override bool TryFind(ReadOnlySpan<byte> bytes, out FrameBounds frame, int searched = 0)
        {
            frame = default;
            return true;
        }
    }
}
