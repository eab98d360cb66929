using System.Text;
using Chat.Protocol;
using Chat.Tests.Support;
using Google.Protobuf;
using NetPoll.Tests;

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
        using ChatPeer next = await ChatPeer.Successor(server.Port, "eve");
        await bystanders.TalkOn();
    }

    [Theory(Timeout = Limit)]
    [InlineData(0)]
    [InlineData(20_000)]
    [InlineData(1_000_000)]
    [InlineData(30_000_000)]
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

    /// <summary><c>NETPOLL_STRESS=20</c> sends twenty times as much.</summary>
    [Fact(Timeout = 600_000)]
    public async Task Frames_with_random_changes_are_answered_or_end_their_own_connection_only()
    {
        var random = new Random(Seed.Next());
        await using ServerProcess server = await ServerProcess.Start();
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        for (int client = StressScale.Rounds(200); client > 0; client--)
        {
            using ChatPeer peer = random.Next(3) == 0 ? await ChatPeer.Connect(server.Port) : await ChatPeer.Named(server.Port, $"g{client}");
            for (int frame = 0; frame < 10; frame++)
            {
                byte[] bytes = Frame(random).ToByteArray();
                for (int change = random.Next(4); change > 0; change--)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }

                // The length is right, so that the next one is a frame again.
                await peer.SendBytes((byte[])[(byte)(bytes.Length | 0x80), (byte)(bytes.Length >> 7), .. bytes]);
            }

            await peer.SendBytes(new ClientFrame { Id = ulong.MaxValue, Quit = new Quit() }.ToFrame());
            Assert.NotEmpty(await peer.ReadGoodbye());
        }

        using ChatPeer next = await ChatPeer.InRoom(server.Port, "next", "lobby");
        await bystanders.TalkOn();
        Assert.DoesNotContain(server.Program.Output, static line => line.Contains(" fail: ", StringComparison.Ordinal));
        Assert.Empty(server.Program.Error);
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

    private static ClientFrame Frame(Random random)
    {
        string word = random.Next(4) switch { 0 => "lobby", 1 => "", 2 => "\u0007", _ => new string('x', random.Next(200)) };
        var frame = new ClientFrame { Id = (ulong)random.Next(1, 100) };
        switch (random.Next(12))
        {
            case 0:
                frame.Hello = new Hello { ProtocolVersion = (uint)random.Next(3), Name = word };
                break;
            case 1:
                frame.Join = new Join { Room = word, Since = random.NextInt64(-5, 5), Last = (uint)random.Next() };
                break;
            case 2:
                frame.Leave = new Leave { Room = word, Reason = word };
                break;
            case 3:
                frame.Say = new Say { Room = "lobby", Text = word, Kind = (MessageKind)random.Next(5), MessageId = word };
                break;
            case 4:
                frame.SendPrivate = new SendPrivate { To = word, Text = word, Kind = (MessageKind)random.Next(5) };
                break;
            case 5:
                frame.ReadHistory = new ReadHistory { Room = "lobby", After = random.NextInt64(), Limit = (uint)random.Next() };
                break;
            case 6:
                frame.Moderate = new Moderate { Room = "lobby", Action = (ModerationAction)random.Next(8), Target = word };
                break;
            case 7:
                frame.ChangeName = new ChangeName { Name = word, Password = word };
                break;
            case 8:
                frame.SetAway = new SetAway { Text = word };
                break;
            case 9:
                frame.SetTopic = new SetTopic { Room = "lobby", Topic = word };
                break;
            case 10:
                frame.Register = new Register { Password = word };
                break;
            default:
                frame.WhoIs = new WhoIs { Name = word };
                break;
        }

        return frame;
    }
}
