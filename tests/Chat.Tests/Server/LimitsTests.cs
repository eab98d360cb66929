using Chat.Protocol;
using Chat.Tests.Support;

namespace Chat.Tests.Server;

/// <summary>Every limit has an option, and whoever is over it is told what it is.</summary>
public sealed class LimitsTests
{
    private const int Limit = 120_000;

    [Fact(Timeout = Limit)]
    public async Task Every_limit_can_be_set_and_is_named_by_its_refusal()
    {
        await using ServerProcess server = await ServerProcess.Start(
            "--max-name-length", "5", "--max-room-name-length", "6", "--max-text-bytes", "10", "--max-topic-bytes", "8", "--max-message-id-length", "4",
            "--max-rooms", "2", "--max-rooms-per-person", "2", "--max-people-per-room", "1", "--max-wrong-passwords", "1");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");
        using ChatPeer bob = await ChatPeer.Connect(server.Port);

        Assert.Equal("the name 'robert' has 6 characters; the limit is 5", (await bob.Hello("robert")).Error.Text);
        Limits limits = (await bob.Hello("bob")).Welcome.Limits;
        Assert.Equal((5U, 6U, 10U, 8U, 2U), (limits.MaxNameLength, limits.MaxRoomNameLength, limits.MaxTextBytes, limits.MaxTopicBytes, limits.MaxRoomsPerSession));
        Assert.Equal("the room name 'parlour' has 7 characters; the limit is 6", (await bob.Join("parlour")).Error.Text);
        Assert.Equal("room 'lobby' is full; the limit is 1 people", (await bob.Join("lobby")).Error.Text);
        Assert.Equal("attic", (await ada.Join("attic")).Joined.Room);
        Assert.Equal("room 'cellar' cannot be joined: you are in 2 rooms, which is the limit", (await ada.Join("cellar")).Error.Text);
        Assert.Equal("room 'cellar' cannot be opened: there are 2 rooms, which is the limit", (await bob.Join("cellar")).Error.Text);
        Assert.Equal("a text of 11 bytes exceeds the limit of 10", await Refused(ada, new ClientFrame { Say = new Say { Room = "lobby", Text = "01234567890" } }));
        Assert.Equal(
            "a message id of 5 characters exceeds the limit of 4",
            await Refused(ada, new ClientFrame { Say = new Say { Room = "lobby", Text = "x", MessageId = "12345" } }));
        Assert.Equal(
            "a topic of 9 bytes exceeds the limit of 8", await Refused(ada, new ClientFrame { SetTopic = new SetTopic { Room = "lobby", Topic = "012345678" } }));
        var ask = new ClientFrame { BecomeOperator = new BecomeOperator { Name = "root", Password = "guess" } };
        Assert.Equal("'root' is no operator of this server", await Refused(ada, ask));
        Assert.Equal("1 passwords were wrong, which is the limit for a connection; connect again", await Refused(ada, ask));
    }

    [Fact(Timeout = Limit)]
    public async Task Who_reads_too_slowly_is_told_before_they_are_cut_off()
    {
        // More than the quarter of what may wait, even if the system takes a good part of it; and less than all.
        const int MaxWaiting = 64 * 1024 * 1024;
        const int Messages = 7000;
        await using ServerProcess server = await ServerProcess.Start("--max-output-bytes", $"{MaxWaiting}", "--write-timeout", "100", "--irc-port", "0");
        using ChatPeer slow = await ChatPeer.Connect(server.Port, receiveBuffer: 4096);
        await slow.Hello("slow");
        await slow.Join("lobby");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");

        for (int message = 1; message <= Messages; message++)
        {
            await ada.Request(new ClientFrame { Say = new Say { Room = "lobby", Text = new string('x', 4000) } });
        }

        Notice notice = (await slow.Read(static frame => frame.Notice is not null)).Notice;
        Assert.Matches($"^you read too slowly: \\d+ bytes wait for you; you are cut off when it is more than {MaxWaiting}, or when you take nothing for 100 s$", notice.Text);
        await slow.Read(static frame => frame.Message?.Sequence == Messages);
    }

    private static async Task<string> Refused(ChatPeer peer, ClientFrame request) => (await peer.Request(request)).Error.Text;
}
