using Chat.Client;
using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;
using Body = Chat.Protocol.ClientFrame.BodyOneofCase;

namespace Chat.Tests.Client;

public sealed class PlainModeTests
{
    [Fact]
    public async Task Every_event_is_one_line_of_the_documented_form()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port);
        await server.Greet();

        await server.Send(new ServerFrame { Presence = new Presence { Room = "lobby", Sequence = 3, Arrived = { "bob", "eve" }, Departed = { "tom" } } });
        await server.Send(new ServerFrame { Message = new Message { Room = "lobby", Sequence = 4, From = "bob", Text = "hello, you  two" } });
        await server.Send(new ServerFrame { PrivateMessage = new PrivateMessage { From = "bob", Text = "psst" } });
        await server.Send(new ServerFrame { Notice = new Notice { Text = "two\nlines\u001b[2J" } });
        await server.Send(new ServerFrame { RoomClosed = new RoomClosed { Room = "lobby", Sequence = 4, Reason = "it burns" } });
        await server.Send(new ServerFrame());
        await server.Send(new ServerFrame { Goodbye = new Goodbye { Reason = "enough" } });

        server.Hangup();

        await client.Ends();
        Assert.Equal(
            [
                "welcome ada",
                "joined lobby 0 ada",
                "presence lobby 3 +bob +eve -tom",
                "message lobby 4 bob hello, you  two",
                "private bob psst",
                "notice two\ufffdlines\ufffd[2J",
                "closed lobby 4 it burns",
                "goodbye enough",
            ],
            client.Lines);
    }

    [Fact]
    public async Task Lines_and_commands_become_requests_and_their_answers_lines()
    {
        await using var server = new SocketServer();
        await using var bob = new PlainClient(server.Port, "Bob");
        await bob.Prints("joined lobby 0 Bob");
        await using var ada = new PlainClient(server.Port, "ada", "Lobby");
        await ada.Prints("joined lobby 0 Bob,ada");

        foreach (string line in (string[])[
            "hello", "", "//slash", "a\ttab", "/who", "/join attic", "upstairs", "/room LOBBY", "downstairs", "/join attic", "/leave",
            "back", "/msg bob psst, Bob", "/rooms", "/help", "/quit", "never said"])
        {
            ada.Type(line);
        }

        Assert.Equal(ExitCode.Success, await ada.Ends());
        string help = Assert.Single(ada.Lines, line => line.StartsWith("help ", StringComparison.Ordinal));
        Assert.Contains("/msg NAME TEXT", help, StringComparison.Ordinal);
        Assert.Equal(
            [
                "joined attic 0 ada",
                "joined lobby 0 Bob,ada",
                "left attic 1",
                "members lobby 3 Bob,ada",
                "room attic",
                "room lobby",
                "rooms 1 lobby:2",
                "said attic 1 upstairs",
                "said lobby 1 hello",
                "said lobby 2 /slash",
                "said lobby 3 a tab",
                "said lobby 4 downstairs",
                "said lobby 5 back",
                "sent Bob psst, Bob",
                "welcome ada",
            ],
            ada.Lines.Where(line => line != help).Order(StringComparer.Ordinal));
        Assert.Equal("", ada.Error);
        await bob.Prints("presence lobby 5 -ada");
        await bob.Prints("private ada psst, Bob");
        Assert.Equal(
            ["presence lobby 0 +ada", "message lobby 1 ada hello", "message lobby 2 ada /slash", "message lobby 3 ada a tab",
                "message lobby 4 ada downstairs", "message lobby 5 ada back", "presence lobby 5 -ada"],
            bob.Lines.Where(line => line.StartsWith("message ", StringComparison.Ordinal)
                || line.StartsWith("presence ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Every_other_command_does_what_the_help_says_those_of_operators_as_well()
    {
        const string Password = "correct-horse";
        await using ServerProcess server = await ServerProcess.Start("--operator", $"root={Chat.Domain.PasswordHash.Create(Password)}");
        await using var bob = new PlainClient(server.Port, "bob");
        await bob.Prints("joined lobby 0 bob");
        await using var ada = new PlainClient(server.Port);
        await ada.Prints("joined lobby 0 ada,bob");

        await Does(ada, "/me waves", "said lobby 1 waves", bob, "action lobby 1 ada waves");
        await Does(ada, "/topic tea and cake", "topic lobby ada tea and cake", bob, "topic lobby ada tea and cake");
        await Does(ada, "/history", "history lobby 1 ada /me waves");
        await Does(ada, "/nick countess", "name countess", bob, "renamed lobby 1 ada countess");
        await Does(ada, $"/register {Password}", "done Register");
        await Does(ada, "/away at lunch", "done SetAway", bob, "away lobby 1 +countess");
        await Does(bob, "/msg countess psst", "sent countess psst", ada, "private bob psst");
        ada.Type("/away");
        await bob.Prints("away lobby 1 -countess");
        ada.Type("/whois bob");
        await ada.PrintsMatch(@"^person bob protobuf \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$");
        await Does(ada, "/join attic", "joined attic 0 countess");
        await Does(ada, "/invite bob", "done Invite", bob, "invited attic countess");
        await Does(ada, "/room lobby", "room lobby");
        await Does(bob, "/kill countess", "error 20 only operators may do that");

        await Does(ada, $"/oper root {Password}", "done BecomeOperator");
        ada.Type("/mute bob");
        await Does(ada, "/bans", "restrictions lobby !BOB");
        await Does(bob, "may I?", "error 19 you are muted in room 'lobby'");
        ada.Type("/unmute bob");
        await Does(ada, "/bans", "restrictions lobby");
        await Does(bob, "thanks", "said lobby 2 thanks");
        await Does(ada, "/kick bob spam", "presence lobby 2 -bob", bob, "kicked lobby 2 countess spam");
        ada.Type("/ban bob");
        await Does(ada, "/bans", "restrictions lobby -BOB");
        await Does(bob, "/join lobby", "error 18 you are banned from room 'lobby'");
        ada.Type("/unban bob");
        ada.Type("/bans");
        await Eventually.Equal("answers without anybody", 2, () => ada.Lines.Count(line => line == "restrictions lobby"));
        await Does(bob, "/join lobby", "joined lobby 2 bob,countess");
        ada.Type("/people");
        await ada.PrintsMatch("^person countess protobuf \\S+ oper registered$");
        Assert.Equal(2, ada.Lines.Count(line => line.StartsWith("person bob ", StringComparison.Ordinal)));
        ada.Type("/kill bob spam");
        Assert.Equal(ExitCode.ConnectionFailed, await bob.Ends());
        Assert.Contains("goodbye countess ended your connection: spam", bob.Lines);
        await Does(ada, "/drain", "done Drain");
        Assert.Equal(ExitCode.ConnectionFailed, await ada.Ends());
        Assert.Contains("goodbye the server stops", ada.Lines);
        Assert.Equal(0, await server.Program.Ends());
    }

    [Fact]
    public async Task A_flood_of_lines_arrives_complete_and_in_order()
    {
        const int Count = 2000;
        await using var server = new SocketServer();
        await using var bob = new PlainClient(server.Port, "bob");
        await bob.Prints("joined lobby 0 bob");
        await using var ada = new PlainClient(server.Port, "ada");

        for (int index = 1; index <= Count; index++)
        {
            ada.Type($"line {index}");
        }

        ada.EndInput();

        Assert.Equal(ExitCode.Success, await ada.Ends());
        await bob.Prints($"message lobby {Count} ada line {Count}");
        Assert.Equal(
            Enumerable.Range(1, Count).Select(index => $"said lobby {index} line {index}"),
            ada.Lines.Where(line => line.StartsWith("said ", StringComparison.Ordinal)));
        Assert.Equal(
            Enumerable.Range(1, Count).Select(index => $"message lobby {index} ada line {index}"),
            bob.Lines.Where(line => line.StartsWith("message ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task At_the_end_of_input_it_waits_for_every_answer_and_then_leaves()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port);
        await server.Greet();

        client.Type("one");
        client.Type("two");
        client.EndInput();
        ClientFrame one = await server.Receive(Body.Say);
        ClientFrame two = await server.Receive(Body.Say);
        await server.Send(new ServerFrame { ReplyTo = two.Id, Said = new Said { Room = "lobby", Sequence = 1 } });
        await client.Prints("said lobby 1 two");
        Assert.False(client.Exit.IsCompleted);
        await server.Send(new ServerFrame { ReplyTo = one.Id, Said = new Said { Room = "lobby", Sequence = 2 } });
        ClientFrame quit = await server.Receive(Body.Quit);
        await server.Send(new ServerFrame { ReplyTo = quit.Id, Goodbye = new Goodbye { Reason = "you quit" } });

        Assert.Equal(ExitCode.Success, await client.Ends());
        await server.ReceiveEnd();
        Assert.Equal(["welcome ada", "joined lobby 0 ada", "said lobby 1 two", "said lobby 2 one"], client.Lines);
    }

    [Fact]
    public async Task An_interrupt_leaves_as_the_end_of_input_does()
    {
        await using var server = new SocketServer();
        await using var client = new PlainClient(server.Port);
        await client.Prints("joined lobby 0 ada");

        client.Interrupt();

        Assert.Equal(ExitCode.Success, await client.Ends());
        Assert.Equal("", client.Error);
    }

    [Fact]
    public async Task A_refused_line_is_an_error_line_and_an_exit_code()
    {
        await using var server = new SocketServer();
        await using var client = new PlainClient(server.Port);

        client.Type("bell \u0007");
        client.Type("/msg nobody hi");
        client.Type("/bogus");
        client.Type("/join");
        client.Type("/join " + new string('x', 20_000));
        client.Type("fine");
        client.EndInput();

        Assert.Equal(ExitCode.SomethingRefused, await client.Ends());
        Assert.Equal("chat: 5 of the requests were refused, see the lines 'error'\n", client.Error);
        Assert.Equal(
            [
                "error 0 '/bogus' is no command: '/help' tells which there are, '//bogus' says it",
                "error 0 '/join' is not complete or has too much: expected '/join ROOM'",
                "error 0 a request of 20019 bytes exceeds the limit of 16384",
                "error 11 nobody here has the name 'nobody'",
                "error 8 a text must not contain the control character U+0007",
            ],
            client.Lines.Where(line => line.StartsWith("error", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        Assert.Contains("said lobby 1 fine", client.Lines);
    }

    [Fact]
    public async Task A_taken_name_ends_the_program_with_one_line()
    {
        await using var server = new SocketServer();
        await using var first = new PlainClient(server.Port, "Ada");
        await first.Prints("welcome Ada");

        await using var second = new PlainClient(server.Port, "ada");

        Assert.Equal(ExitCode.NameRefused, await second.Ends());
        Assert.Equal("chat: the server refused the name 'ada': the name 'ada' is taken\n", second.Error);
        Assert.Empty(second.Lines);
    }

    [Fact]
    public async Task A_missing_server_ends_the_program_with_one_line()
    {
        int port;
        using (var server = new ScriptedServer())
        {
            port = server.Port;
        }

        await using var client = new PlainClient(port);

        Assert.Equal(ExitCode.ConnectionFailed, await client.Ends());
        Assert.Equal($"chat: cannot connect to 127.0.0.1:{port}: Connection refused\n", client.Error);
    }

    [Fact]
    public async Task A_lost_connection_ends_the_program_though_the_input_goes_on()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port);
        await server.Greet();

        server.Hangup();

        Assert.Equal(ExitCode.ConnectionFailed, await client.Ends());
        Assert.Equal($"chat: 127.0.0.1:{server.Port} closed the connection\n", client.Error);
    }

    [Fact]
    public async Task A_reset_is_told_as_the_system_names_it()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port);
        await server.Greet();
        client.Type("hello");
        await server.Receive(Body.Say);

        server.Hangup(reset: true);

        Assert.Equal(ExitCode.ConnectionFailed, await client.Ends());
        Assert.Equal($"chat: the connection to 127.0.0.1:{server.Port} was lost: Connection reset by peer\n", client.Error);
    }

    [Fact]
    public async Task A_servers_goodbye_is_the_reason_that_is_told()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port);
        await server.Greet();

        await server.Send(new ServerFrame { Goodbye = new Goodbye { Reason = "the server stops" } });
        server.Hangup();

        Assert.Equal(ExitCode.ConnectionFailed, await client.Ends());
        Assert.Equal($"chat: 127.0.0.1:{server.Port} ended the conversation: the server stops\n", client.Error);
    }

    [Theory]
    [InlineData(new byte[] { 0x80, 0x80, 0x80, 0x80, 0x08, 0x00 }, "a frame of 2147483647 bytes exceeds the limit of 4194304")]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "the length of a frame is longer than 5 bytes")]
    [InlineData(new byte[] { 0x02, 0x12, 0x05 }, "a frame of 2 bytes is no ServerFrame")]
    public async Task Bytes_that_are_no_frame_end_the_program_with_what_they_are(byte[] bytes, string expected)
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port);
        await server.Greet();

        await server.SendBytes(bytes);

        Assert.Equal(ExitCode.ConnectionFailed, await client.Ends());
        Assert.StartsWith($"chat: 127.0.0.1:{server.Port} does not speak the chat protocol: {expected}", client.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_is_not_waited_for_for_ever()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port, timeout: TimeSpan.FromSeconds(1));
        await server.Greet();

        client.Type("hello");
        client.EndInput();

        Assert.Equal(ExitCode.ConnectionFailed, await client.Ends());
        Assert.Equal("chat: the server did not answer within 1 s; unanswered requests: 1\n", client.Error);
    }

    [Fact]
    public async Task A_sign_of_life_is_given_when_the_server_asks()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port);
        await server.Greet();

        await server.Send(new ServerFrame { Ping = new Ping { Token = 77 } });

        Assert.Equal(77UL, (await server.Receive(Body.Pong)).Pong.Token);
        server.Hangup();
        await client.Ends();
        Assert.Equal(["welcome ada", "joined lobby 0 ada"], client.Lines);
    }

    /// <summary>Types a line, and waits for what it brings, to others as well.</summary>
    private static async Task Does(PlainClient client, string line, string answer, PlainClient? other = null, string told = "")
    {
        client.Type(line);
        await client.Prints(answer);
        if (other is not null)
        {
            await other.Prints(told);
        }
    }
}
