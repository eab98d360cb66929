using System.Text;
using Chat.Protocol;
using Chat.Tests.Support;

namespace Chat.Tests.Server;

/// <summary>What comes over the wire and should not: it is answered with a reason and a close, and nobody else notices.</summary>
public sealed class BadInputTests
{
    private const int Limit = 120_000;

    /// <summary>Bytes, and what the error must name.</summary>
    public static TheoryData<byte[], ErrorCode, string> Garbage()
    {
        var random = new byte[100_000];
        new Random(20_260_101).NextBytes(random);
        return new TheoryData<byte[], ErrorCode, string>
        {
            { [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], ErrorCode.MalformedFrame, "FFFFFFFFFF" },
            { [0x02, 0x12, 0x05], ErrorCode.MalformedFrame, "ClientFrame" },
            { new byte[50], ErrorCode.MalformedRequest, "id 0" },
            { [0x16, 0x03, 0x01, .. new byte[400]], ErrorCode.MalformedFrame, "ClientFrame" },
            { Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {new string('h', 100)}\r\n\r\n"), ErrorCode.MalformedFrame, "ClientFrame" },
            { random, ErrorCode.Unspecified, "" },
        };
    }

    [Theory(Timeout = Limit, DisableDiscoveryEnumeration = true)]
    [MemberData(nameof(Garbage))]
    public async Task Garbage_is_named_and_ends_the_conversation(byte[] garbage, ErrorCode code, string named)
    {
        await using ServerProcess server = await ServerProcess.Start();
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        using ChatPeer peer = await ChatPeer.Named(server.Port, "eve");

        await peer.SendBytes(garbage);

        ServerFrame error = await peer.Read(static frame => frame is { BodyCase: ServerFrame.BodyOneofCase.Error, ReplyTo: 0 });
        Assert.Contains(named, error.Error.Text, StringComparison.Ordinal);
        Assert.True(code == ErrorCode.Unspecified || code == error.Error.Code, $"{error.Error}");
        Assert.Equal(error.Error.Text, await peer.ReadGoodbye());
        await server.Logs($"eve (127.0.0.1:");
        await server.Logs("was cut off (Error)");
        using ChatPeer next = await ChatPeer.Named(server.Port, "eve");
        await bystanders.TalkOn();
    }

    [Theory(Timeout = Limit)]
    [InlineData(0)]
    [InlineData(20_000)]
    [InlineData(1_000_000)]
    public async Task An_oversized_frame_is_refused_by_its_size_and_the_limit(int bytesBehindTheLength)
    {
        await using ServerProcess server = await ServerProcess.Start();
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        using ChatPeer peer = await ChatPeer.Named(server.Port, "eve");

        await peer.SendBytes((byte[])[0xa0, 0x9c, 0x01, .. new byte[bytesBehindTheLength]]);

        ServerFrame error = await peer.Read(static frame => frame.BodyCase == ServerFrame.BodyOneofCase.Error);
        Assert.Equal(ErrorCode.FrameTooLarge, error.Error.Code);
        Assert.Equal("a frame of 20000 bytes exceeds the limit of 16384", error.Error.Text);
        Assert.Equal(error.Error.Text, await peer.ReadGoodbye());
        await bystanders.TalkOn();
    }

    [Fact(Timeout = Limit)]
    public async Task A_frame_of_exactly_the_limit_is_taken()
    {
        await using ServerProcess server = await ServerProcess.Start();
        using ChatPeer peer = await ChatPeer.Named(server.Port, "ada");
        int rest = new ClientFrame { Id = 1 << 14, Say = new Say { Text = new string('x', 16_000) } }.CalculateSize() - 16_000;
        var frame = new ClientFrame { Id = 1 << 14, Say = new Say { Text = new string('x', ChatProtocol.MaxClientFrameBytes - rest) } };
        Assert.Equal(ChatProtocol.MaxClientFrameBytes, frame.CalculateSize());

        await peer.SendBytes(frame.ToFrame());

        ServerFrame answer = await peer.Read(static frame => frame.ReplyTo == 1 << 14);
        Assert.Equal(ErrorCode.InvalidRoom, answer.Error.Code);
        Assert.Equal(ServerFrame.BodyOneofCase.Pong, (await peer.Request(new ClientFrame { Ping = new Ping { Token = 7 } })).BodyCase);
    }
}
