using Chat.Protocol;

namespace Chat.Tests.Protocol;

public sealed class FrameReaderTests
{
    private static readonly ClientFrame[] Frames =
    [
        new() { Id = 1, Hello = new Hello { ProtocolVersion = 1, Name = "ada" } },
        new() { Id = 2, Say = new Say { Room = "lobby", Text = new string('x', 300) } },
        new(),
        new() { Id = 3, Say = new Say { Room = "lobby", Text = new string('y', 10_000) } },
        new() { Id = ulong.MaxValue, Quit = new Quit() },
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public async Task Frames_come_back_however_their_bytes_are_cut(int bytesPerRead)
    {
        byte[] bytes = [.. Frames.SelectMany(frame => frame.ToFrame())];
        var reader = Reader(new SlowStream(bytes, bytesPerRead));

        foreach (ClientFrame frame in Frames)
        {
            Assert.Equal(frame, await reader.ReadAsync(Cancellation));
        }

        Assert.Null(await reader.ReadAsync(Cancellation));
    }

    [Fact]
    public async Task An_end_within_a_frame_is_no_end_between_frames()
    {
        byte[] frame = Frames[1].ToFrame();

        var inLength = await Assert.ThrowsAsync<EndOfStreamException>(async () => await Reader(new MemoryStream(frame[..1])).ReadAsync(Cancellation));
        var inBody = await Assert.ThrowsAsync<EndOfStreamException>(async () => await Reader(new MemoryStream(frame[..10])).ReadAsync(Cancellation));

        Assert.Equal("the stream ended within the length of a frame", inLength.Message);
        Assert.Equal($"the stream ended within a frame, after 8 of its {frame.Length - 2} bytes", inBody.Message);
    }

    [Fact]
    public async Task A_frame_over_the_limit_is_refused_before_its_bytes_are_taken()
    {
        var exception = await Assert.ThrowsAsync<InvalidDataException>(
            async () => await Reader(new MemoryStream([0x81, 0x80, 0x01])).ReadAsync(Cancellation));

        Assert.Equal("a frame of 16385 bytes exceeds the limit of 16384", exception.Message);
    }

    private static FrameReader<ClientFrame> Reader(Stream stream) => new(stream, ClientFrame.Parser, ChatProtocol.MaxClientFrameBytes);

    private sealed class SlowStream(byte[] bytes, int bytesPerRead) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            => base.ReadAsync(buffer[..Math.Min(bytesPerRead, buffer.Length)], cancellationToken);
    }
}
