using System.Net;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The examples of frames and groups in docs/actors.md do what the guide says.</summary>
public sealed class ActorsFramesGuideTests
{
    [Fact]
    public async Task Lines_are_answered_one_after_the_other_and_one_that_is_too_long_with_an_error()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ListenAsync(system, static () => new SpellChecker(static async word =>
        {
            await Task.Yield();
            return word == "colour";
        }));
        await using NetConnection connection = await new NetDialer().ConnectAsync(listener.EndPoint);

        await connection.WriteAsync(Encoding.UTF8.GetBytes("colour\r\ncolor\n" + new string('x', 101) + "\n"));
        connection.CloseWrite();

        Assert.Equal(["yes", "no", "A frame of 101 bytes or more came; the limit is 100 bytes."], await ActorsFrameReader.ReadLinesAsync(connection));
        await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task A_handshake_of_lines_is_followed_by_blobs()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ListenAsync(system, static () => new Checksums());
        await using NetConnection connection = await new NetDialer().ConnectAsync(listener.EndPoint);

        await connection.WriteAsync("SUM/1\n\0\0\0\u0003abc"u8.ToArray());
        byte[] answer = new byte[11];
        await connection.AsStream().ReadExactlyAsync(answer);

        Assert.Equal((byte[])[(byte)'O', (byte)'K', (byte)'\n', 0, 0, 0, 4, 0, 0, 1, 38], answer);
        await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task A_Protobuf_message_is_answered_with_another()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ListenAsync(system, static () => new Alarms());
        await using NetConnection connection = await new NetDialer().ConnectAsync(listener.EndPoint);
        Stream stream = connection.AsStream();

        new Duration { Seconds = 5 }.WriteDelimitedTo(stream);
        connection.CloseWrite();

        Assert.Equal(new Timestamp { Seconds = 5 }, Timestamp.Parser.ParseDelimitedFrom(stream));
        await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Members_of_a_room_hear_the_others_in_order()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        PID room = system.Root.Spawn(Props.FromProducer(() => new Room(system)));
        Listener listener = await ListenAsync(system, () => new Member(room));
        await using NetConnection ada = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader adaHears = new(ada.AsStream());
        Assert.Equal("welcome, 0 are here", await adaHears.ReadLineAsync());
        await using NetConnection bob = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader bobHears = new(bob.AsStream());
        Assert.Equal("welcome, 1 are here", await bobHears.ReadLineAsync());

        await ada.WriteAsync("hello bob\nare you there?\n"u8.ToArray());
        Assert.Equal("hello bob", await bobHears.ReadLineAsync());
        Assert.Equal("are you there?", await bobHears.ReadLineAsync());
        await bob.WriteAsync("yes\n"u8.ToArray());

        Assert.Equal("yes", await adaHears.ReadLineAsync());
        await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(5));
    }

    private static Task<Listener> ListenAsync(ActorSystem system, Func<ConnectionActor> factory) =>
        system.NetPoll().ListenAsync("guide", new IPEndPoint(IPAddress.Loopback, 0), factory);
}
