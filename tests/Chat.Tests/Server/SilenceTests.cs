using Chat.Protocol;
using Chat.Tests.Support;

namespace Chat.Tests.Server;

/// <summary>Who does not say what is waited for, or does not read: sent away with a reason or cut off, and nobody else notices.</summary>
public sealed class SilenceTests
{
    private const int Limit = 120_000;

    [Theory(Timeout = Limit)]
    [InlineData(Newcomer.SaysNothing)]
    [InlineData(Newcomer.SaysHalfAFrame)]
    [InlineData(Newcomer.SaysAByteNowAndThen)]
    public async Task Who_does_not_ask_for_a_name_in_time_is_sent_away(Newcomer newcomer)
    {
        await using ServerProcess server = await ServerProcess.Start("--registration-timeout", "4");
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        using ChatPeer peer = await ChatPeer.Connect(server.Port);
        byte[] frame = new ClientFrame { Id = 1, Hello = new Hello { ProtocolVersion = 1, Name = "eve", Client = new string('x', 9000) } }.ToFrame();

        Task<string> goodbye = peer.ReadGoodbye();
        int sent = newcomer == Newcomer.SaysHalfAFrame ? frame.Length / 2 : 0;
        await peer.SendBytes(frame.AsMemory(0, sent));
        while (newcomer == Newcomer.SaysAByteNowAndThen && !goodbye.IsCompleted)
        {
            await peer.SendBytes(frame.AsMemory(sent++, 1));
            await Task.WhenAny(goodbye, Task.Delay(TimeSpan.FromMilliseconds(50), TestContext.Current.CancellationToken));
        }

        Assert.Equal("no name was asked for and given within 4 s", await goodbye);
        Assert.True(sent < frame.Length, $"{sent} bytes in 4 s");
        await server.Logs("was cut off (DeadlineExceeded): no name was asked for and given within 4 s");
        await bystanders.TalkOn();
    }

    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_falls_silent_is_asked_and_then_sent_away(bool isWithinAFrame)
    {
        await using ServerProcess server = await ServerProcess.Start("--idle-timeout", "2");
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        using ChatPeer alive = await ChatPeer.Named(server.Port, "ada");
        Task<ServerFrame> answering = AnswerPings(alive, 4);
        using ChatPeer silent = await ChatPeer.Named(server.Port, "eve");
        byte[] frame = new ClientFrame { Id = 9, Join = new Join { Room = new string('x', 2000) } }.ToFrame();

        await silent.SendBytes(isWithinAFrame ? frame.AsMemory(0, 1000) : default);

        Assert.Equal(ServerFrame.BodyOneofCase.Ping, (await silent.Read())?.BodyCase);
        Assert.Equal("nothing was received within 2 s, not even an answer to a ping", await silent.ReadGoodbye());
        await server.Logs("was cut off (HeartbeatMissed)");
        Assert.Equal(ServerFrame.BodyOneofCase.Pong, (await answering).BodyCase);
        await bystanders.TalkOn();
    }

    [Fact(Timeout = Limit)]
    public async Task Who_never_reads_is_cut_off_and_the_others_lose_nothing()
    {
        string padding = new('x', 3900);
        await using ServerProcess server = await ServerProcess.Start();
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        using ChatPeer deaf = await ChatPeer.Connect(server.Port, receiveBuffer: 4096);
        await deaf.Hello("deaf");
        await deaf.Join("lobby");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await ada.Read(static frame => frame.Presence?.Arrived.Contains("bob") == true);

        // Until the deaf one is gone: what the system's buffers take is not ours to say, but it has an end.
        long sequence = 0;
        bool isGone = false;
        while (!isGone)
        {
            Assert.InRange(++sequence, 1, 20_000);
            await ada.Say("lobby", $"{sequence} {padding}");
            ServerFrame heard = await bob.Read(static _ => true);
            if (heard.Presence is not null)
            {
                Assert.Equal(["deaf"], heard.Presence.Departed);
                isGone = true;
                heard = await bob.Read(static _ => true);
            }

            Assert.Equal((sequence, $"{sequence} {padding}"), (heard.Message?.Sequence, heard.Message?.Text));
            ServerFrame answer = await ada.Read(static frame => frame.Presence is null);
            Assert.Equal(sequence, answer.Said?.Sequence);
        }

        await deaf.ReadToEnd();
        await server.Logs("was cut off (SlowConsumer)");
        using ChatPeer next = await ChatPeer.Named(server.Port, "deaf");
        await bystanders.TalkOn();
    }

    private static async Task<ServerFrame> AnswerPings(ChatPeer peer, int count)
    {
        for (int answered = 0; answered < count; answered++)
        {
            ServerFrame ping = await peer.Read(static frame => frame.BodyCase == ServerFrame.BodyOneofCase.Ping);
            await peer.Send(new ClientFrame { Pong = new Pong { Token = ping.Ping.Token } });
        }

        return await peer.Request(new ClientFrame { Ping = new Ping() });
    }
}

/// <summary>What a connection does that never gets a name.</summary>
public enum Newcomer
{
    SaysNothing,
    SaysHalfAFrame,
    SaysAByteNowAndThen,
}
