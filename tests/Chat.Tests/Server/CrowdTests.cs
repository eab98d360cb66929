using Chat.Protocol;
using Chat.Tests.Support;

namespace Chat.Tests.Server;

/// <summary>Many people in one room.</summary>
public sealed class CrowdTests
{
    private const int Limit = 120_000;
    private const int People = 500;
    private const int MessagesEach = 2;
    private const string Room = "hall";

    [Fact(Timeout = Limit)]
    public async Task Everybody_in_a_full_room_gets_every_message_once_and_in_order()
    {
        await using ServerProcess server = await ServerProcess.Start("--max-connections-per-address", "1000");
        ChatPeer[] peers = await Task.WhenAll(
            Enumerable.Range(0, People).Select(index => ChatPeer.InRoom(server.Port, $"person{index}", Room)));

        List<string>[] heard = await Task.WhenAll(peers.Select((peer, index) => TalkAndListen(peer, index)));

        // Numbered without a gap, so the same numbers are the same messages: nothing lost, doubled, or told in two orders.
        Assert.All(heard, messages => Assert.Equal(heard[0], messages));
        Assert.Equal(
            Enumerable.Range(0, People).SelectMany(person => Enumerable.Range(0, MessagesEach).Select(message => Text(person, message))).Order(),
            heard[0].Order());
        for (int person = 0; person < People; person++)
        {
            Assert.Equal(
                Enumerable.Range(0, MessagesEach).Select(message => Text(person, message)),
                heard[0].Where(text => text.EndsWith($" of person{person}", StringComparison.Ordinal)));
        }

        foreach (ChatPeer peer in peers)
        {
            peer.Dispose();
        }
    }

    /// <summary>Says its messages, and reads until all of everybody's are here: its own by their answers.</summary>
    private static async Task<List<string>> TalkAndListen(ChatPeer peer, int index)
    {
        Dictionary<ulong, string> said = [];
        for (int message = 0; message < MessagesEach; message++)
        {
            string text = Text(index, message);
            said.Add(await peer.Say(Room, text), text);
        }

        List<string> heard = [];
        while (heard.Count < People * MessagesEach)
        {
            ServerFrame frame = await peer.Read(static frame => frame.Presence is null);
            (long sequence, string text) = frame.Said is { } answer
                ? (answer.Sequence, said[frame.ReplyTo])
                : (frame.Message.Sequence, frame.Message.Text);
            heard.Add(text);
            Assert.Equal(heard.Count, sequence);
        }

        return heard;
    }

    private static string Text(int person, int message) => $"message {message} of person{person}";
}
