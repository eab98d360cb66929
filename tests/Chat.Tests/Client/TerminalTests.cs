using System.Globalization;
using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Client;

/// <summary>The client in a real terminal, on the real server: what a person sees.</summary>
public sealed class TerminalTests
{
    private const int Limit = 180_000;
    private const int Columns = 80;

    [Fact(Timeout = Limit)]
    public async Task What_others_say_does_not_tear_the_line_that_is_being_typed()
    {
        const int Messages = 150;
        Terminal.Needs("script");
        await using ServerProcess server = await ServerProcess.Start();
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await using Terminal ada = Client(server.Port);
        await ada.ShowsLast("lobby>");

        // Longer than a row, of letters that are two columns wide, and typed while bob talks.
        string line = string.Concat(Enumerable.Repeat("日本語とkana, ", 8)) + "end";
        Task talking = Talk(bob, Messages);
        foreach (char letter in line)
        {
            await ada.Press(letter.ToString());
        }

        await talking;
        await ada.Shows("bob's last message", rows => rows.Any(row => row.EndsWith($"<bob> message {Messages}", StringComparison.Ordinal)));
        await ada.Shows("the end of the line", rows => rows[^1].EndsWith(" end", StringComparison.Ordinal));
        string[] rows = ada.Rows;
        await ada.Press("\r");
        Message said = (await bob.Read(static frame => frame.Message is not null)).Message;

        Assert.Equal(line, said.Text);
        Assert.Equal(
            Enumerable.Range(1, Messages).Select(message => $"<bob> message {message}"),
            rows.Where(row => row.Contains("<bob>", StringComparison.Ordinal)).Select(row => row[6..]));
        Assert.All(rows[3..^1], row => Assert.Matches(@"^\d\d:\d\d <bob> message \d+$", row));
        Assert.StartsWith("lobby> ", rows[^1], StringComparison.Ordinal);
        Assert.True(ada.IsColourful);
    }

    [Fact(Timeout = Limit)]
    public async Task The_cursor_stays_where_it_was_and_the_line_can_be_changed_there()
    {
        Terminal.Needs("script");
        await using ServerProcess server = await ServerProcess.Start();
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await using Terminal ada = Client(server.Port);
        await ada.ShowsLast("lobby>");

        await ada.Press("hello 日本" + "\u001b[D\u001b[D\u001b[D");
        await bob.Say("lobby", "hi");
        await ada.Shows("<bob> hi");
        await ada.ShowsLast("lobby> hello 日本");
        await Eventually.Equal("the cursor's column", "lobby> hello".Length, () => ada.CursorColumn);
        await ada.Press(",");
        await ada.ShowsLast("lobby> hello, 日本");
        await ada.Press("\r");

        Assert.Equal("hello, 日本", (await bob.Read(static frame => frame.Message is not null)).Message.Text);
    }

    [Fact(Timeout = Limit)]
    public async Task Help_tells_every_command_and_what_is_refused_says_why()
    {
        Terminal.Needs("script");
        await using ServerProcess server = await ServerProcess.Start();
        await using Terminal ada = Client(server.Port);
        await ada.ShowsLast("lobby>");

        await ada.Type("/help");
        foreach ((string usage, string meaning) in Chat.Client.Command.Help)
        {
            await ada.Shows($"help for '{usage}'", rows => rows.Any(row => row.StartsWith($"  {usage} ", StringComparison.Ordinal) && row.EndsWith(meaning, StringComparison.Ordinal)));
        }

        await ada.Type("/frobnicate");
        await ada.Shows("! '/frobnicate' is no command: '/help' tells which there are");
        await ada.Type("/away at lunch");
        await ada.Shows("* You are away: at lunch");
        await ada.Type("/away");
        await ada.Shows("* You are back.");
        await ada.Type("/rooms");
        await ada.Shows("* 1 room: lobby (1)");
        await ada.Type("/quit");

        Assert.Equal(0, await ada.Ends());
        Assert.Equal("", ada.Rows[^1]);
    }

    [Fact(Timeout = Limit)]
    public async Task A_server_that_was_killed_is_come_back_to_and_what_was_missed_is_shown()
    {
        Terminal.Needs("script");
        using var folder = new TemporaryFolder();
        await using ServerProcess server = await ServerProcess.Start("--data", folder.Path);
        await using Terminal ada = Client(server.Port);
        await ada.ShowsLast("lobby>");
        await ada.Type("before");
        await ada.Shows("<ada> before");

        server.Program.Kill();
        await ada.Shows("trying to come back ...");
        await ada.Type("is anybody there?");
        await ada.Press("and half a li");
        await using (ServerProcess elsewhere = await ServerProcess.Start("--data", folder.Path))
        {
            using ChatPeer bob = await ChatPeer.InRoom(elsewhere.Port, "bob", "lobby");
            await bob.Request(new ClientFrame { Say = new Say { Room = "lobby", Text = "said while ada was away" } });
        }

        await using ServerProcess next = await ServerProcess.Start(
            "--data", folder.Path, "--port", server.Port.ToString(CultureInfo.InvariantCulture));
        await ada.Shows("* You are back.");
        await ada.Shows("<ada> is anybody there?");
        await ada.ShowsLast("lobby> and half a li");

        string[] talk = [.. ada.Rows.Where(row => row.Contains('<', StringComparison.Ordinal)).Select(row => row[6..])];
        Assert.Equal(["<ada> before", "<bob> said while ada was away", "<ada> is anybody there?"], talk);
    }

    private static Terminal Client(int port)
        => new($"'{ProgramProcess.DotNet}' '{Path.Combine(AppContext.BaseDirectory, "Chat.Client.dll")}' --name ada --port {port}", Columns);

    private static async Task Talk(ChatPeer peer, int messages)
    {
        for (int message = 1; message <= messages; message++)
        {
            await peer.Request(new ClientFrame { Say = new Say { Room = "lobby", Text = $"message {message}" } });
        }
    }
}
