using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Server;

/// <summary>Real client processes on the real server process.</summary>
public sealed class ConversationTests
{
    private const int Limit = 120_000;

    [Fact(Timeout = Limit)]
    public async Task Two_people_chat_in_a_room_and_in_private_and_leave()
    {
        await using ServerProcess server = await ServerProcess.Start();
        await using ProgramProcess bob = Client(server, "Bob");
        await bob.Prints("joined lobby 0 Bob");
        await using ProgramProcess ada = Client(server, "ada");
        await ada.Prints("joined lobby 0 Bob,ada");

        await ada.Type("hello");
        await bob.Prints("message lobby 1 ada hello");
        await bob.Type("hello, ada");
        await ada.Prints("message lobby 2 Bob hello, ada");
        await ada.Type("/msg bob psst");
        await bob.Prints("private ada psst");
        await ada.Type("/who");
        await ada.Prints("members lobby 2 Bob,ada");
        await ada.Type("/join attic");
        await ada.Prints("joined attic 0 ada");
        await ada.Type("/rooms");
        await ada.Prints("rooms 2 lobby:2 attic:1");
        ada.EndInput();
        int exitOfAda = await ada.Ends();
        await bob.Prints("presence lobby 2 -ada");
        await bob.Type("/quit");
        int exitOfBob = await bob.Ends();

        Assert.Equal((0, 0), (exitOfAda, exitOfBob));
        Assert.Empty(ada.Error);
        Assert.Empty(bob.Error);
        Assert.Equal(
            ["welcome Bob", "joined lobby 0 Bob", "presence lobby 0 +ada", "message lobby 1 ada hello", "said lobby 2 hello, ada",
                "private ada psst", "presence lobby 2 -ada"],
            bob.Output);
        Assert.Equal(
            ["welcome ada", "joined lobby 0 Bob,ada", "said lobby 1 hello", "message lobby 2 Bob hello, ada", "sent Bob psst",
                "members lobby 2 Bob,ada", "joined attic 0 ada", "rooms 2 lobby:2 attic:1"],
            ada.Output);
        await server.Logs("ada (127.0.0.1:");
        await server.Logs("left: quit");
    }

    [Fact(Timeout = Limit)]
    public async Task A_name_is_one_persons_and_free_again_when_they_leave()
    {
        await using ServerProcess server = await ServerProcess.Start();
        await using ProgramProcess first = Client(server, "ada");
        await first.Prints("joined lobby 0 ada");

        await using (ProgramProcess second = Client(server, "ADA"))
        {
            Assert.Equal(3, await second.Ends());
            Assert.Equal(["chat: the server refused the name 'ADA': the name 'ADA' is taken"], second.Error);
        }

        first.EndInput();
        Assert.Equal(0, await first.Ends());
        using ChatPeer third = await ChatPeer.Successor(server.Port, "ADA");
    }

    [Fact(Timeout = Limit)]
    public async Task Who_is_killed_while_speaking_is_gone_for_all_and_their_name_free()
    {
        string text = new('x', 3900);
        await using ServerProcess server = await ServerProcess.Start();
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await using ProgramProcess ada = Client(server, "ada");

        // More than is ever sent: the client is killed in the middle of it.
        Task typing = TypeUntilKilled(ada, text);
        await bob.Read(static frame => frame.Message?.Sequence == 20);
        ada.Kill();
        long last = 20;
        ServerFrame departed = await bob.Read(frame =>
        {
            if (frame.Message is { } message)
            {
                Assert.Equal((++last, "ada", text), (message.Sequence, message.From, message.Text));
            }

            return frame.Presence?.Departed.Count > 0;
        });
        await typing;
        using ChatPeer next = await ChatPeer.Successor(server.Port, "ada");

        Assert.Equal(["ada"], departed.Presence.Departed);
        Assert.Equal(last, departed.Presence.Sequence);
        await bystanders.TalkOn();
    }

    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_that_ends_within_a_frame_leaves_nothing_behind(bool isReset)
    {
        await using ServerProcess server = await ServerProcess.Start();
        await using BystanderPair bystanders = await BystanderPair.Start(server.Port);
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");
        byte[] frame = new ClientFrame { Id = 99, Say = new Say { Room = "lobby", Text = new string('x', 4000) } }.ToFrame();

        await ada.SendBytes(frame.AsMemory(0, frame.Length / 2));
        if (isReset)
        {
            ada.Reset();
        }
        else
        {
            ada.Dispose();
        }

        ServerFrame departed = await bob.Read(static frame => frame.Presence?.Departed.Count > 0);
        using ChatPeer next = await ChatPeer.Successor(server.Port, "ada");
        Assert.Equal(0, departed.Presence.Sequence);
        await bystanders.TalkOn();
    }

    private static ProgramProcess Client(ServerProcess server, string name)
        => new("Chat.Client", "--name", name, "--port", $"{server.Port}");

    private static async Task TypeUntilKilled(ProgramProcess client, string text)
    {
        try
        {
            while (true)
            {
                await client.Type(text);
            }
        }
        catch (IOException)
        {
            // Nobody reads the line any more.
        }
    }
}
