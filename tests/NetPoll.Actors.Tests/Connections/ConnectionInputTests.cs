using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Tests.Support;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Where received bytes land, and when they are copied.</summary>
public sealed class ConnectionInputTests
{
    private const int ScratchSize = 64 * 1024;

    private readonly byte[] _scratch = new byte[ScratchSize];

    [Fact]
    public void While_nothing_is_left_every_read_lands_in_the_scratch_and_no_buffer_is_rented()
    {
        using PoolLog pool = new();
        ConnectionInput input = default;

        for (int read = 0; read < 10; read++)
        {
            Assert.True(input.ReadTarget(_scratch) == _scratch);
            input.Keep([]);
            Assert.True(input.IsEmpty);
            Assert.False(HoldsBuffer(input));
        }

        Assert.Empty(pool.Rented);
    }

    [Fact]
    public void What_is_left_is_a_copy_and_the_next_read_lands_right_behind_it()
    {
        ConnectionInput input = default;

        input.Keep("abc"u8);
        Span<byte> target = input.ReadTarget(_scratch);
        "de"u8.CopyTo(target);
        input.Extend(2);

        Assert.Equal("abcde"u8, input.Bytes);
        Assert.False(target.Overlaps(_scratch));
        Assert.True(target[..2].Overlaps(input.Bytes, out int at));
        Assert.Equal(-3, at);
        input.Clear();
    }

    [Fact]
    public void What_was_taken_is_gone_and_the_rest_keeps_its_order()
    {
        ConnectionInput input = default;
        input.Keep("abcdef"u8);

        input.Consume(0);
        Assert.Equal("abcdef"u8, input.Bytes);
        input.Consume(2);
        Assert.Equal("cdef"u8, input.Bytes);
        "gh"u8.CopyTo(input.ReadTarget(_scratch));
        input.Extend(2);
        input.Consume(5);

        Assert.Equal("h"u8, input.Bytes);
        input.Clear();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_buffer_is_given_back_once_as_soon_as_nothing_is_left(bool isCleared)
    {
        using PoolLog pool = new();
        ConnectionInput input = default;
        input.Keep(new byte[5_000]);
        Assert.True(HoldsBuffer(input));
        Grow(ref input, 300_000, piece: 10_000);

        if (isCleared)
        {
            input.Clear();
        }
        else
        {
            input.Consume(input.Length - 1);
            Assert.True(HoldsBuffer(input));
            input.Consume(1);
        }

        Assert.False(HoldsBuffer(input));
        Assert.True(input.IsEmpty);
        Assert.True(input.ReadTarget(_scratch) == _scratch);
        input.Clear();
        Assert.NotEmpty(pool.Rented);
        Assert.Equal(pool.Rented.Order(), pool.Returned.Order());
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(4_096, 1)]
    [InlineData(4_097, 1_000)]
    [InlineData(100_000, 7)]
    [InlineData(100_000, 1_460)]
    [InlineData(1_000_000, 100)]
    [InlineData(10_000_000, 1_460)]
    [InlineData(10_000_000, ScratchSize)]
    public void A_frame_of_n_bytes_is_copied_at_most_log_n_times_and_comes_whole(int length, int piece)
    {
        byte[] frame = ConnectionReadingTests.Pattern(length);
        ConnectionInput input = default;
        int first = Math.Min(piece, length - 1);

        input.Keep(frame.AsSpan(0, first));
        int copies = 1 + Grow(ref input, length, piece, frame);

        Assert.InRange(copies, 1, 1 + BitOperations.Log2((uint)length));
        Assert.True(frame.AsSpan().SequenceEqual(input.Bytes));
        input.Consume(length);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5_000)]
    [InlineData(500_000)]
    public void There_is_always_room_for_another_read(int kept)
    {
        ConnectionInput input = default;
        input.Keep(new byte[kept]);

        // As much as is kept, or as a read takes.
        for (int read = 0; read < 100; read++)
        {
            Span<byte> target = input.ReadTarget(_scratch);
            Assert.True(target.Length >= Math.Min(input.Length, ScratchSize), $"{input.Length} bytes are kept, and {target.Length} have room.");
            input.Extend(Math.Min(target.Length, 1_000));
        }

        input.Clear();
    }

    // Reads piece by piece until so much is kept; how often what was kept is found elsewhere then.
    private int Grow(ref ConnectionInput input, int length, int piece, byte[]? bytes = null)
    {
        int copies = 0;
        while (input.Length < length)
        {
            ref byte before = ref MemoryMarshal.GetReference(input.Bytes);
            Span<byte> target = input.ReadTarget(_scratch);
            copies += Unsafe.AreSame(in before, in MemoryMarshal.GetReference(input.Bytes)) ? 0 : 1;
            int count = Math.Min(Math.Min(piece, target.Length), length - input.Length);
            bytes?.AsSpan(input.Length, count).CopyTo(target);
            input.Extend(count);
        }

        return copies;
    }

    // The bytes of none are at no address; of a buffer that is kept they would be at its beginning, though there are none.
    private static bool HoldsBuffer(ConnectionInput input) => !Unsafe.IsNullRef(in MemoryMarshal.GetReference(input.Bytes));
}
