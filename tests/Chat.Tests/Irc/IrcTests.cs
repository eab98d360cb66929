using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Irc;

/// <summary>The IRC door of the real server process, line by line, beside people who came by the other one.</summary>
public sealed class IrcTests
{
    private const int Limit = 120_000;

    [Fact(Timeout = Limit)]
    public async Task Whoever_registers_is_welcomed_and_told_what_the_server_supports()
    {
        await using ServerProcess server = await Start();
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);

        await ada.Send("NICK ada", "USER ada 0 * :Ada Lovelace");
        List<string> welcome = await ada.ReadsUpTo(" 422 ");

        Assert.StartsWith(":chat.local 001 ada :Welcome", welcome[0], StringComparison.Ordinal);
        Assert.Equal(
            ["001", "002", "003", "004", "005", "005", "251", "254", "255", "422"], welcome.Select(line => line.Split(' ')[1]));
        string supported = string.Join(' ', welcome.Where(line => line.Contains(" 005 ", StringComparison.Ordinal)));
        Assert.All(["CASEMAPPING=ascii", "CHANTYPES=#", "NICKLEN=32", "CHANNELLEN=65", "TOPICLEN=300"], token => Assert.Contains(token, supported, StringComparison.Ordinal));
    }

    [Fact(Timeout = Limit)]
    public async Task Whoever_says_everything_in_one_breath_is_heard_in_order()
    {
        await using ServerProcess server = await Start();
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);

        await ada.Send("NICK bob", "USER ada 0 * :Ada Lovelace", "JOIN #lobby", "NICK ada", "JOIN #lobby", "PRIVMSG #lobby :hello");
        List<string> lines = await ada.ReadsUpTo(" 366 ");

        Assert.Equal(
            ["433", "451", "001", "JOIN", "366"],
            lines.Select(static line => line.Split(' ')[1]).Where(static word => word is "433" or "451" or "001" or "JOIN" or "366"));
        Assert.Equal("hello", (await bob.Read(static frame => frame.Message is not null)).Message.Text);
    }

    [Fact(Timeout = Limit)]
    public async Task People_of_both_doors_meet_in_one_room()
    {
        await using ServerProcess server = await Start();
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        using IrcPeer ada = await IrcPeer.Named(server.IrcPort, "ada");

        await ada.Send("JOIN #lobby");
        List<string> joined = await ada.ReadsUpTo(" 366 ");
        Presence came = (await bob.Read(static frame => frame.Presence is not null)).Presence;
        await ada.Send("PRIVMSG #lobby :hello, bob", "PRIVMSG #lobby :\u0001ACTION waves\u0001");
        Message hello = (await bob.Read(static frame => frame.Message is not null)).Message;
        Message waves = (await bob.Read(static frame => frame.Message?.Sequence == 2)).Message;
        await ada.Send("NOTICE #lobby :beep");
        Message beep = (await bob.Read(static frame => frame.Message?.Sequence == 3)).Message;
        await ada.Send("PRIVMSG bob :psst");
        PrivateMessage psst = (await bob.Read(static frame => frame.PrivateMessage is not null)).PrivateMessage;
        await bob.Say("lobby", "hello, ada");
        string heard = await ada.Reads("hello, ada");
        await bob.Send(new ClientFrame { SendPrivate = new SendPrivate { To = "ADA", Text = "psst yourself" } });
        string whispered = await ada.Reads("psst yourself");
        await bob.Request(new ClientFrame { Leave = new Leave { Room = "lobby", Reason = "tea" } });
        string left = await ada.Reads("PART");

        Assert.Equal([":ada!ada@chat JOIN #lobby", ":chat.local 353 ada = #lobby :ada bob", ":chat.local 366 ada #lobby :End of /NAMES list"], joined);
        Assert.Equal(["ada"], came.Arrived);
        Assert.Equal(("ada", "hello, bob", MessageKind.Text), (hello.From, hello.Text, hello.Kind));
        Assert.Equal(("waves", MessageKind.Action), (waves.Text, waves.Kind));
        Assert.Equal(("beep", MessageKind.Notice), (beep.Text, beep.Kind));
        Assert.Equal(("ada", "psst"), (psst.From, psst.Text));
        Assert.Equal(":bob!bob@chat PRIVMSG #lobby :hello, ada", heard);
        Assert.Equal(":bob!bob@chat PRIVMSG ada :psst yourself", whispered);
        Assert.Equal(":bob!bob@chat PART #lobby :tea", left);
    }

    [Fact(Timeout = Limit)]
    public async Task Every_command_that_cannot_be_done_gets_its_own_number()
    {
        (string Command, string Answer)[] expected =
        [
            ("PING", " 409 ada "),
            ("NICK", " 431 ada "),
            ("NICK bob", " 433 ada bob "),
            ("NICK -x-", " 432 ada -x- "),
            ("NICK NickServ", " 432 ada NickServ "),
            ("USER x 0 * :x", " 462 ada "),
            ("JOIN", " 461 ada JOIN "),
            ("PASS x", " 462 ada "),
            ("JOIN lobby", " 403 ada lobby "),
            ("JOIN ,", " 461 ada JOIN "),
            ("JOIN #two!words", " 403 ada #two!words "),
            ($"JOIN #{new string('x', 65)}", " 403 ada #xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... :the room name"),
            ("PART", " 461 ada PART "),
            ("PART ,", " 461 ada PART "),
            ("PART lobby", " 403 ada lobby "),
            ("PART #attic", " 403 ada #attic "),
            ("PART #lobby", " 442 ada #lobby "),
            ("PRIVMSG", " 411 ada "),
            ("PRIVMSG , :x", " 411 ada "),
            ("PRIVMSG bob", " 412 ada "),
            ("PRIVMSG nobody :x", " 401 ada nobody "),
            ("PRIVMSG #attic :x", " 404 ada #attic "),
            ("PRIVMSG a,b,c,d,e :x", " 407 ada e "),
            ("PRIVMSG bob :\u0001VERSION\u0001", " 404 ada bob "),
            ("TAGMSG #attic", " 421 ada TAGMSG "),
            ("TOPIC", " 461 ada TOPIC "),
            ("TOPIC attic", " 403 ada attic "),
            ("TOPIC #attic :x", " 403 ada #attic "),
            ("TOPIC #lobby :x", " 442 ada #lobby "),
            ("TOPIC #attic", " 403 ada #attic "),
            ("NAMES #attic", " 366 ada #attic "),
            ("NAMES attic", " 366 ada attic "),
            ("NAMES", " 366 ada * "),
            ("WHO #attic", " 315 ada #attic "),
            ("WHO nobody", " 315 ada nobody "),
            ("WHO *", " 315 ada * "),
            ("WHOWAS", " 431 ada "),
            ("WHOWAS nobody", " 406 ada nobody "),
            ("WHOIS nobody", " 401 ada nobody "),
            ("WHOIS", " 431 ada "),
            ("INVITE bob #lobby", " 442 ada #lobby "),
            ("INVITE bob #attic", " 403 ada #attic "),
            ("INVITE bob", " 461 ada INVITE "),
            ("INVITE bob lobby", " 403 ada lobby "),
            ("KICK #lobby", " 461 ada KICK "),
            ("KICK lobby bob", " 403 ada lobby "),
            ("KICK #lobby bob", " 482 ada #lobby "),
            ("MODE", " 461 ada MODE "),
            ("MODE #attic", " 403 ada #attic "),
            ("MODE nobody", " 401 ada nobody "),
            ("MODE #lobby", " 324 ada #lobby +n"),
            ("MODE #lobby +b", " 368 ada #lobby "),
            ("MODE #lobby +b bob!*@*", " 482 ada #lobby "),
            ("MODE #lobby +q", " 729 ada #lobby q "),
            ("MODE #lobby -b", " 461 ada MODE "),
            ("MODE #lobby +bb eve bob", " 472 ada b "),
            ("MODE #lobby +o ada", " 472 ada o "),
            ("MODE ada", " 221 ada +"),
            ("MODE bob", " 502 ada "),
            ("MODE ada +x", " 501 ada "),
            ("MODE ada -o", " 501 ada "),
            ("OPER ada", " 461 ada OPER "),
            ("OPER ada wrong", " 464 ada "),
            ("KILL", " 461 ada KILL "),
            ("KILL bob :x", " 481 ada "),
            ("DIE", " 481 ada "),
            ("USERHOST", " 461 ada USERHOST "),
            ("ISON", " 461 ada ISON "),
            ("ISON nobody", " 303 ada :"),
            ("ISON BOB nobody :ada bob", " 303 ada :bob ada"),
            ("MOTD", " 422 ada "),
            ("CAP FOO", " 410 ada FOO "),
            ("CAP", " 410 ada * "),
            ("CAP REQ :echo-message", " CAP ada NAK :echo-message"),
            ("001 x", " 421 ada 001 "),
            ("FROBNICATE x", " 421 ada FROBNICATE "),
        ];
        await using ServerProcess server = await Start();
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        using IrcPeer ada = await IrcPeer.Named(server.IrcPort, "ada");

        foreach ((string command, string answer) in expected)
        {
            await ada.Send(command);

            // Whatever comes first is the answer.
            string? line = await ada.Read();
            Assert.True(line?.StartsWith($":chat.local{answer}", StringComparison.Ordinal), $"'{command}' was answered by '{line}', expected '{answer}'");
            await ada.Ask();
        }
    }

    [Fact(Timeout = Limit)]
    public async Task What_a_channel_refuses_gets_its_own_number_and_a_notice_gets_none()
    {
        await using ServerProcess server = await Start("--max-rooms-per-person", "2", "--max-people-per-room", "2");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");
        using IrcPeer bob = await IrcPeer.InChannel(server.IrcPort, "bob", "#lobby");
        using IrcPeer eve = await IrcPeer.Named(server.IrcPort, "eve");
        await ada.Reads("JOIN #lobby");

        await eve.Send("JOIN #lobby");
        Assert.Equal(":chat.local 471 eve #lobby :room 'lobby' is full; the limit is 2 people", await eve.Read());
        await bob.Send("INVITE ADA #Lobby");
        Assert.Equal(":chat.local 443 bob ADA #Lobby :ada is in room 'lobby' already", await bob.Read());
        await bob.Send("INVITE nobody #lobby");
        Assert.Equal(":chat.local 401 bob nobody :No such nick/channel", await bob.Read());
        await ada.Send("JOIN #attic,#cellar");
        Assert.Equal(
            ":chat.local 405 ada #cellar :room 'cellar' cannot be joined: you are in 2 rooms, which is the limit", await ada.Reads(" 405 "));
        await ada.Reads(" 366 ada #attic ");
        Assert.Empty(await ada.Ask("NOTICE", "NOTICE eve", "NOTICE nobody :x", "NOTICE #nowhere :x", "NOTICE a,b,c,d,e :x", "NOTICE eve :\u0001VERSION x\u0001"));
        await ada.Send("JOIN 0");
        string[] left = [await ada.Reads("PART"), await ada.Reads("PART")];
        Assert.Equal([":ada!ada@chat PART #attic", ":ada!ada@chat PART #lobby"], left.Order());
        Assert.Equal(":ada!ada@chat PART #lobby", await bob.Reads("PART"));
        await bob.Send("PART #lobby :\u0002so\u0002 long");
        Assert.Equal(":bob!bob@chat PART #lobby :so long", await bob.Reads("PART"));
    }

    [Fact(Timeout = Limit)]
    public async Task Operators_moderate_by_masks_as_clients_make_them()
    {
        await using ServerProcess server = await Start("--operator", $"root={Chat.Domain.PasswordHash.Create("correct horse")}");
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        using IrcPeer eve = await IrcPeer.InChannel(server.IrcPort, "eve", "#lobby");
        using IrcPeer root = await IrcPeer.Named(server.IrcPort, "admin");
        await root.Send("OPER root :correct horse");
        await root.Reads(" 381 admin ");
        await root.Reads("MODE admin :+o");

        foreach (string mask in (string[])["*", "*!*@*", "*!*@chat", "v*!*@*"])
        {
            await root.Send($"MODE #lobby +b {mask}");
            Assert.StartsWith($":chat.local 696 admin #lobby b {mask} :", await root.Read(), StringComparison.Ordinal);
        }

        await root.Send("MODE #lobby +q *!*eve@chat");
        Assert.Equal(":admin!admin@chat MODE #lobby +q *!*eve@chat", await root.Read());
        await eve.Send("PRIVMSG #lobby :x");
        Assert.Equal(":chat.local 404 eve #lobby :you are muted in room 'lobby'", await eve.Reads(" 404 "));
        await root.Send("MODE #lobby q");
        Assert.Equal(":chat.local 728 admin #lobby q EVE!*@*", await root.Read());
        Assert.Equal(":chat.local 729 admin #lobby q :End of channel mute list", await root.Read());
        await root.Send("MODE #lobby -q EVE!*@*");
        Assert.Equal(":admin!admin@chat MODE #lobby -q EVE!*@*", await root.Read());
        await eve.Send("PRIVMSG #lobby :y");
        Assert.Equal("y", (await bob.Read(static frame => frame.Message is not null)).Message.Text);
        await root.Send("MODE #lobby +b *!~eve@*");
        await root.Reads("MODE #lobby +b");
        Assert.StartsWith(":admin!admin@chat KICK #lobby eve :", await eve.Reads("KICK"), StringComparison.Ordinal);
        await eve.Send("JOIN #lobby");
        Assert.Equal(":chat.local 474 eve #lobby :you are banned from room 'lobby'", await eve.Read());
        await root.Send("MODE #lobby -b eve", "MODE #lobby +b *!*@127.0.0.1");
        await root.Reads("MODE #lobby +b");
        await eve.Send("JOIN #lobby");
        Assert.StartsWith(":chat.local 474 eve #lobby ", await eve.Read(), StringComparison.Ordinal);
        await root.Send("MODE #lobby -b *!*@127.0.0.1");
        await root.Reads("MODE #lobby -b");
        await eve.Send("JOIN #lobby");
        await eve.Reads(" 366 eve #lobby ");

        await root.Send("TOPIC #lobby :by decree");
        Assert.Equal(":admin!admin@chat TOPIC #lobby :by decree", await eve.Reads("TOPIC"));
        await root.Reads("TOPIC");
        Assert.StartsWith(":chat.local 403 admin #attic ", await Answer(root, "TOPIC #attic :x"), StringComparison.Ordinal);
        Assert.StartsWith(":chat.local 403 admin #attic ", await Answer(root, "KICK #attic eve"), StringComparison.Ordinal);
        Assert.StartsWith(":chat.local 441 admin nobody #lobby ", await Answer(root, "KICK #lobby nobody"), StringComparison.Ordinal);
        Assert.StartsWith(":chat.local 401 admin nobody ", await Answer(root, "KILL nobody :x"), StringComparison.Ordinal);
        await root.Send("WHO *");
        Assert.Equal(
            [
                ":chat.local 352 admin * admin 127.0.0.1 chat.local admin H* :0 admin", ":chat.local 352 admin * bob 127.0.0.1 chat.local bob H :0 bob",
                ":chat.local 352 admin * eve 127.0.0.1 chat.local eve H :0 eve", ":chat.local 315 admin * :End of /WHO list",
            ],
            await root.ReadsUpTo(" 315 "));
        await root.Send("JOIN #lobby", "KICK #lobby bob");
        Assert.Equal(":admin!admin@chat KICK #lobby bob :admin", await root.Reads("KICK"));
        Assert.Equal(":admin!admin@chat KICK #lobby bob :admin", await eve.Reads("KICK"));
        await root.Send("KICK #lobby eve");
        Assert.Equal(":admin!admin@chat KICK #lobby eve :admin", await eve.Reads("KICK"));
        await root.Send("KILL eve :spam");
        Assert.Equal("ERROR :Closing link: (eve) [admin ended your connection: spam]", await eve.Reads("ERROR"));
    }

    [Fact(Timeout = Limit)]
    public async Task A_changed_mode_is_told_to_the_members_of_the_channel_and_one_that_holds_already_is_not()
    {
        await using ServerProcess server = await Start("--operator", $"root={Chat.Domain.PasswordHash.Create("correct horse")}");
        using ChatPeer chat = await ChatPeer.InRoom(server.Port, "chat", "lobby");
        using IrcPeer bob = await IrcPeer.InChannel(server.IrcPort, "bob", "#lobby");
        using IrcPeer eve = await IrcPeer.InChannel(server.IrcPort, "eve", "#lobby");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");
        await ada.Send("OPER root :correct horse");
        await ada.Reads("MODE ada :+o");

        await ada.Send("MODE #lobby +q *!*eve@chat", "MODE #lobby q eve", "MODE #lobby -q eve", "MODE #lobby +b eve");
        List<string> heard = await bob.ReadsUpTo("KICK");
        await ada.Send("MODE #lobby +b *!*@192.0.2.7", "MODE #lobby -b *!*@192.0.2.7", "PRIVMSG #lobby :done");

        Assert.Equal(
            [
                ":ada!ada@chat MODE #lobby +q EVE!*@*", ":ada!ada@chat MODE #lobby -q EVE!*@*", ":ada!ada@chat MODE #lobby +b EVE!*@*",
                ":ada!ada@chat KICK #lobby eve :ada", ":ada!ada@chat MODE #lobby +b *!*@192.0.2.7",
                ":ada!ada@chat MODE #lobby -b *!*@192.0.2.7", ":ada!ada@chat PRIVMSG #lobby :done",
            ],
            heard.Concat(await bob.ReadsUpTo("PRIVMSG")).Where(static line => !line.Contains("JOIN", StringComparison.Ordinal)));
        await eve.Reads("MODE #lobby +b EVE!*@*");
        Assert.Equal("done", (await chat.Read(static frame => frame.Message is not null)).Message.Text);

        // Who made the change hears of it once.
        Assert.Equal(6, (await ada.Ask()).Count(static line => line.Contains("MODE #lobby", StringComparison.Ordinal)));
    }

    [Fact(Timeout = Limit)]
    public async Task Who_marks_the_operators_of_a_channel_whenever_they_became_it()
    {
        await using ServerProcess server = await Start("--operator", $"root={Chat.Domain.PasswordHash.Create("correct horse")}");
        using IrcPeer bob = await IrcPeer.InChannel(server.IrcPort, "bob", "#lobby");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");

        await ada.Send("OPER root :correct horse");
        await ada.Reads(" 381 ");
        await ada.Send("JOIN #attic");
        await ada.Reads(" 366 ada #attic ");

        await bob.Send("WHO #lobby");
        List<string> lobby = await bob.ReadsUpTo(" 315 ");
        Assert.Equal(
            [":chat.local 352 bob #lobby ada chat chat.local ada H* :0 ada", ":chat.local 352 bob #lobby bob chat chat.local bob H :0 bob"],
            lobby.Where(static line => line.Contains(" 352 ", StringComparison.Ordinal)));
        await bob.Send("WHO #attic");
        Assert.Equal(":chat.local 352 bob #attic ada chat chat.local ada H* :0 ada", await bob.Reads(" 352 "));
        await ada.Send("AWAY :at lunch");
        await ada.Reads(" 306 ");
        await ada.Send("NICK Countess");
        await bob.Reads("NICK Countess");
        await bob.Send("WHO #lobby");
        Assert.Equal(":chat.local 352 bob #lobby Countess chat chat.local Countess G* :0 Countess", await bob.Reads(" 352 "));
    }

    [Fact(Timeout = Limit)]
    public async Task A_nickname_is_registered_with_a_password_and_had_again_with_it_only()
    {
        await using ServerProcess server = await Start();
        using IrcPeer ada = await IrcPeer.Named(server.IrcPort, "ada");

        await ada.Send("PRIVMSG NickServ :REGISTER short");
        Assert.Equal(":chat.local NOTICE ada :a password of 5 characters is refused; expected 8 to 256", await ada.Read());
        await ada.Send("PRIVMSG nickserv :register sesame-open");
        Assert.StartsWith(":NickServ!NickServ@chat.local NOTICE ada :Your nickname is registered now", await ada.Read(), StringComparison.Ordinal);
        await ada.Send("PRIVMSG NickServ :help");
        Assert.StartsWith(":NickServ!NickServ@chat.local NOTICE ada :REGISTER <password>", await ada.Read(), StringComparison.Ordinal);

        using IrcPeer thief = await IrcPeer.Connect(server.IrcPort);
        await thief.Send("NICK Ada", "USER x 0 * :x");
        Assert.StartsWith(":chat.local 433 * Ada :the name 'ada' is registered; give its password", await thief.Read(), StringComparison.Ordinal);
        await thief.Send("PASS wrong-sesame", "NICK Ada");
        Assert.Equal(":chat.local 433 * Ada :that is not the password of 'Ada'", await Second(thief));
        using IrcPeer owner = await IrcPeer.Connect(server.IrcPort);
        await owner.Send("PASS sesame-open", "NICK Ada", "USER x 0 * :x");
        await owner.Reads(" 001 Ada ");
        Assert.Equal("ERROR :Closing link: (ada) [the owner of the name 'ada' has come]", await ada.Reads("ERROR"));
        using IrcPeer guest = await IrcPeer.Named(server.IrcPort, "guest");
        await guest.Send("NICK ada");
        Assert.StartsWith(":chat.local 433 guest ada ", await guest.Read(), StringComparison.Ordinal);
        await guest.Send("PRIVMSG NickServ :IDENTIFY ada sesame-open");
        Assert.Equal(":guest!guest@chat NICK ada", await guest.Read());
        await guest.Send("WHOIS ada");
        Assert.Equal(":chat.local 307 ada ada :has identified for this nickname", await guest.Reads(" 307 "));
    }

    [Fact(Timeout = Limit)]
    public async Task Names_of_the_greatest_length_leave_room_for_a_text()
    {
        // Letters of four bytes each.
        string name = string.Concat(Enumerable.Repeat("\U00010330", 32));
        string channel = "#" + string.Concat(Enumerable.Repeat("\U00010331", 64));
        await using ServerProcess server = await Start();
        using IrcPeer bob = await IrcPeer.InChannel(server.IrcPort, "bob", channel);
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, name, channel);

        await ada.Send($"PRIVMSG {channel} :hello");

        string heard = await bob.Reads("PRIVMSG");
        Assert.StartsWith($":{name}!", heard, StringComparison.Ordinal);
        Assert.EndsWith($" PRIVMSG {channel} :hello", heard, StringComparison.Ordinal);
    }

    [Fact(Timeout = Limit)]
    public async Task Who_reads_too_slowly_is_told_the_limits_before_they_are_cut_off()
    {
        // More than the quarter of what may wait, even if the system takes a good part of it; and less than all.
        const int MaxWaiting = 16 * 1024 * 1024;
        const int Messages = 2500;
        await using ServerProcess server = await Start("--max-output-bytes", $"{MaxWaiting}", "--write-timeout", "100");
        using IrcPeer slow = await IrcPeer.Connect(server.IrcPort, receiveBuffer: 256 * 1024);
        await slow.Send("NICK slow", "USER slow 0 * :x");
        await slow.Reads(" 422 ");
        await slow.Send("JOIN #lobby");
        await slow.Reads(" 366 ");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");

        for (int message = 1; message <= Messages; message++)
        {
            await ada.Say("lobby", new string('x', 4000));
        }

        await ada.Read(static frame => frame.Said?.Sequence == Messages);
        Assert.Matches(
            $"^:chat\\.local NOTICE slow :you read too slowly: \\d+ bytes wait for you; you are cut off when it is more than {MaxWaiting}, or when you take nothing for 100 s$",
            await slow.Reads("NOTICE slow"));
    }

    [Fact(Timeout = Limit)]
    public async Task Questions_about_the_server_are_answered()
    {
        using var folder = new TemporaryFolder();
        string motd = Path.Combine(folder.Path, "motd");
        await File.WriteAllTextAsync(motd, "Be kind.", TestContext.Current.CancellationToken);
        await using ServerProcess server = await Start("--motd", motd, "--irc-name", "irc.example");
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);
        await ada.Send("NICK ada", "USER ada 0 * :x");
        await ada.Reads(" 376 ");

        await ada.Send("LUSERS");
        Assert.Equal(
            [":irc.example 251 ada :There are 1 users and 0 invisible on 1 servers", ":irc.example 254 ada 0 :channels formed",
                ":irc.example 255 ada :I have 1 clients and 0 servers"],
            await ada.ReadsUpTo(" 255 "));
        await ada.Send("MOTD");
        Assert.Equal(
            [":irc.example 375 ada :- irc.example Message of the day -", ":irc.example 372 ada :- Be kind.", ":irc.example 376 ada :End of /MOTD command"],
            await ada.ReadsUpTo(" 376 "));
        await ada.Send("VERSION");
        Assert.Matches(@"^:irc\.example 351 ada \S+ irc\.example :", await ada.Reads(" 351 "));
        await ada.Send("TIME");
        Assert.Matches(@"^:irc\.example 391 ada irc\.example :\d{4}-\d\d-\d\dT", await ada.Reads(" 391 "));
        await ada.Send("PING a b");
        Assert.Equal(":irc.example PONG irc.example :a", await ada.Read());
    }

    [Fact(Timeout = Limit)]
    public async Task Names_and_channels_are_the_same_in_whatever_case()
    {
        await using ServerProcess server = await Start();
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "Ada[x]", "#lobby");
        using IrcPeer bob = await IrcPeer.Named(server.IrcPort, "bob");

        // CASEMAPPING=ascii: '[' and '{' are two characters, as they are for the rest of the world.
        await bob.Send("NICK ADA[X]");
        Assert.StartsWith(":chat.local 433 bob ADA[X] ", await bob.Read(), StringComparison.Ordinal);
        await bob.Send("NICK ada{x}");
        Assert.Equal(":bob!bob@chat NICK ada{x}", await bob.Read());
        await bob.Send("JOIN #LOBBY");
        Assert.Equal(
            [":ada{x}!ada{x}@chat JOIN #lobby", ":chat.local 353 ada{x} = #lobby :Ada[x] ada{x}", ":chat.local 366 ada{x} #lobby :End of /NAMES list"],
            await bob.ReadsUpTo(" 366 "));
        await bob.Send("PRIVMSG aDA[X] :psst", "PRIVMSG #Lobby :hello");

        Assert.Equal(":ada{x}!ada{x}@chat PRIVMSG Ada[x] :psst", await ada.Reads("psst"));
        Assert.Equal(":ada{x}!ada{x}@chat PRIVMSG #lobby :hello", await ada.Reads("hello"));
    }

    [Fact(Timeout = Limit)]
    public async Task Nothing_but_registration_is_done_before_it()
    {
        await using ServerProcess server = await Start();
        using ChatPeer bob = await ChatPeer.Named(server.Port, "bob");
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);

        Assert.StartsWith(":chat.local 451 * JOIN ", Assert.Single(await ada.Ask("JOIN #lobby")), StringComparison.Ordinal);
        Assert.StartsWith(":chat.local 461 * USER ", Assert.Single(await ada.Ask("USER x")), StringComparison.Ordinal);
        await ada.Send("NICK BOB", "USER x 0 * :x");
        Assert.StartsWith(":chat.local 433 * BOB ", await ada.Read(), StringComparison.Ordinal);
        await ada.Send("NICK ada");

        await ada.Reads(" 001 ada ");
    }

    [Fact(Timeout = Limit)]
    public async Task Capabilities_hold_registration_up_and_bring_times_ids_and_echoes()
    {
        await using ServerProcess server = await Start();
        using IrcPeer plain = await IrcPeer.InChannel(server.IrcPort, "plain", "#lobby");
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);

        await ada.Send("CAP LS 302", "NICK ada", "USER ada 0 * :x");
        Assert.Equal(":chat.local CAP * LS :echo-message message-tags server-time", await ada.Read());
        Assert.Equal(":chat.local CAP * NAK :sasl", Assert.Single(await ada.Ask("CAP REQ :sasl")));
        Assert.Equal(":chat.local CAP * NAK :away-notify", Assert.Single(await ada.Ask("CAP REQ :away-notify")));
        Assert.Equal(
            ":chat.local CAP * ACK :server-time message-tags echo-message", Assert.Single(await ada.Ask("CAP REQ :server-time message-tags echo-message")));
        await ada.Send("CAP END");
        await ada.Reads(" 422 ");
        await ada.Send("JOIN #lobby");
        await ada.Reads(" 366 ");
        await ada.Send("@+typing=active TAGMSG #lobby", "PRIVMSG #lobby :one");
        string echo = await ada.Reads("PRIVMSG #lobby");
        await ada.Send("PRIVMSG plain :two");
        string privateEcho = await ada.Reads("PRIVMSG plain");
        string heard = await plain.Reads("PRIVMSG #lobby");

        Assert.Matches(@"^@time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z;msgid=lobby-1 :ada!ada@chat PRIVMSG #lobby :one$", echo);
        Assert.Matches(@"^@time=[0-9:.TZ-]+;msgid=[0-9a-f]{32} :ada!ada@chat PRIVMSG plain :two$", privateEcho);
        Assert.Equal(":ada!ada@chat PRIVMSG plain :two", await plain.Reads("PRIVMSG plain"));
        using IrcPeer timed = await IrcPeer.Named(server.IrcPort, "timed", "server-time message-tags");
        await ada.Send("PRIVMSG timed :three");
        Assert.Equal(await ada.Reads("PRIVMSG timed"), await timed.Reads("PRIVMSG timed"));
        Assert.Equal(":ada!ada@chat PRIVMSG #lobby :one", heard);
    }

    [Fact(Timeout = Limit)]
    public async Task Whoever_joins_sees_what_was_said_before()
    {
        await using ServerProcess server = await Start();
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await bob.Request(new ClientFrame { Say = new Say { Room = "lobby", Text = "early" } });
        await bob.Request(new ClientFrame { SetTopic = new SetTopic { Room = "lobby", Topic = "tea & cake" } });
        using IrcPeer plain = await IrcPeer.Named(server.IrcPort, "plain");
        using IrcPeer timed = await IrcPeer.Named(server.IrcPort, "timed", "server-time");

        await plain.Send("JOIN #lobby");
        await timed.Send("JOIN #lobby");

        Assert.Equal(":chat.local 332 plain #lobby :tea & cake", await plain.Reads(" 332 "));
        Assert.StartsWith(":chat.local 333 plain #lobby bob ", await plain.Read(), StringComparison.Ordinal);
        Assert.Matches(@"^:bob!bob@chat PRIVMSG #lobby :\[\d\d:\d\d\] early$", await plain.Reads("early"));
        Assert.Matches(@"^@time=\S+Z :bob!bob@chat PRIVMSG #lobby :early$", await timed.Reads("early"));
    }

    [Fact(Timeout = Limit)]
    public async Task Names_change_and_those_in_the_same_rooms_are_told()
    {
        await using ServerProcess server = await Start();
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");
        using IrcPeer bob = await IrcPeer.InChannel(server.IrcPort, "bob", "#lobby");
        using ChatPeer eve = await ChatPeer.InRoom(server.Port, "eve", "lobby");

        await ada.Send("NICK Countess");
        string own = await ada.Reads("NICK");
        string heard = await bob.Reads("NICK");
        Renamed renamed = (await eve.Read(static frame => frame.Renamed is not null)).Renamed;
        await ada.Send("PRIVMSG #lobby :it is me");
        string said = await bob.Reads("PRIVMSG");
        using ChatPeer next = await ChatPeer.Successor(server.Port, "ada");

        Assert.Equal(":ada!ada@chat NICK Countess", own);
        Assert.Equal(own, heard);
        Assert.Equal(("ada", "Countess"), (renamed.OldName, renamed.NewName));
        Assert.Equal(":Countess!Countess@chat PRIVMSG #lobby :it is me", said);
    }

    [Fact(Timeout = Limit)]
    public async Task Topics_invitations_absence_and_questions_about_people_and_rooms()
    {
        await using ServerProcess server = await Start();
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");
        using IrcPeer bob = await IrcPeer.InChannel(server.IrcPort, "bob", "#lobby");

        await ada.Send("TOPIC #lobby :about tea");
        Assert.Equal(":ada!ada@chat TOPIC #lobby :about tea", await bob.Reads("TOPIC"));
        Assert.Equal(":ada!ada@chat TOPIC #lobby :about tea", await ada.Reads("TOPIC"));
        await bob.Send("TOPIC #lobby");
        Assert.Equal(":chat.local 332 bob #lobby :about tea", await bob.Reads(" 332 "));
        await bob.Send("JOIN #attic", "INVITE ada #attic");
        Assert.Equal(":chat.local 341 bob ada #attic", await bob.Reads(" 341 "));
        Assert.Equal(":bob!bob@chat INVITE ada #attic", await ada.Reads("INVITE"));
        await ada.Send("AWAY :at lunch");
        Assert.StartsWith(":chat.local 306 ada ", await ada.Reads(" 306 "), StringComparison.Ordinal);
        await bob.Send("PRIVMSG ada :are you there?");
        Assert.Equal(":chat.local 301 bob ada :at lunch", await bob.Reads(" 301 "));
        await bob.Send("NOTICE ada :no answer, please");
        await ada.Reads("NOTICE ada :no answer, please");
        Assert.Empty(await bob.Ask());
        await bob.Send("WHOIS ada");
        List<string> whois = await bob.ReadsUpTo(" 318 ");
        Assert.Equal(["311", "319", "312", "301", "317", "318"], whois.Select(line => line.Split(' ')[1]));
        await bob.Send("WHO #lobby");
        List<string> who = await bob.ReadsUpTo(" 315 ");
        Assert.Equal(":chat.local 352 bob #lobby ada chat chat.local ada G :0 ada", who[0]);
        Assert.Equal(":chat.local 352 bob #lobby bob chat chat.local bob H :0 bob", who[1]);
        await ada.Send("AWAY");
        Assert.StartsWith(":chat.local 305 ada ", await ada.Reads(" 305 "), StringComparison.Ordinal);
        await bob.Send("LIST");
        Assert.Equal(
            [":chat.local 321 bob Channel :Users  Name", ":chat.local 322 bob #lobby 2 :about tea", ":chat.local 322 bob #attic 1 :", ":chat.local 323 bob :End of /LIST"],
            await bob.ReadsUpTo(" 323 "));
        await bob.Send("LIST #attic,#nowhere");
        Assert.Equal(
            [":chat.local 321 bob Channel :Users  Name", ":chat.local 322 bob #attic 1 :", ":chat.local 323 bob :End of /LIST"], await bob.ReadsUpTo(" 323 "));
        await bob.Send("USERHOST ada");
        Assert.Equal(":chat.local 302 bob :ada=+ada@chat", await bob.Reads(" 302 "));
        await ada.Send("QUIT :good night");
        Assert.Equal("ERROR :Closing link: (ada) [Quit: good night]", await ada.Reads("ERROR"));
        Assert.Null(await ada.Read());
        Assert.Equal(":ada!ada@chat QUIT :Quit: good night", await bob.Reads("QUIT"));
    }

    [Fact(Timeout = Limit)]
    public async Task Whois_tells_channels_absence_rank_and_silence()
    {
        await using ServerProcess server = await Start("--operator", $"root={Chat.Domain.PasswordHash.Create("correct horse")}");
        long start = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "Ada", "#lobby");
        using IrcPeer bob = await IrcPeer.Named(server.IrcPort, "bob");
        await ada.Send("OPER root :correct horse");
        await ada.Reads(" 381 ");
        await ada.Send("JOIN #attic", "AWAY :at lunch", "PRIVMSG NickServ :REGISTER sesame-open");
        await ada.Reads("Your nickname is registered now");

        // The clock ticks: whoever says nothing becomes idle.
        List<string> lines;
        do
        {
            await bob.Send("WHOIS ada");
            lines = await bob.ReadsUpTo(" 318 ");
        }
        while (Idle(lines) < 2);

        Assert.Equal(
            [
                ":chat.local 311 bob Ada Ada chat * :Ada", ":chat.local 319 bob Ada :#attic #lobby",
                ":chat.local 312 bob Ada chat.local :NetPoll, by the door 'irc'", ":chat.local 301 bob Ada :at lunch",
                ":chat.local 313 bob Ada :is an IRC operator", ":chat.local 307 bob Ada :has identified for this nickname",
            ],
            lines.Take(6));
        Assert.InRange(long.Parse(lines[6].Split(' ')[5], System.Globalization.CultureInfo.InvariantCulture), start, DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        Assert.Equal([":chat.local 318 bob Ada :End of /WHOIS list"], lines.Skip(7));
        long before = Idle(lines);
        await ada.Send("PRIVMSG bob :psst");
        await bob.Reads("psst");
        await bob.Send("WHOIS ada");
        Assert.InRange(Idle(await bob.ReadsUpTo(" 318 ")), 0, before - 1);
        await bob.Send("WHOIS bob");
        Assert.Equal(["311", "312", "378", "317", "318"], (await bob.ReadsUpTo(" 318 ")).Select(static line => line.Split(' ')[1]));

        static long Idle(List<string> lines) => long.Parse(
            lines.Single(static line => line.Contains(" 317 ", StringComparison.Ordinal)).Split(' ')[4], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact(Timeout = Limit)]
    public async Task A_list_that_is_cut_says_so_and_a_channel_is_found_by_its_name_all_the_same()
    {
        await using ServerProcess server = await Start("--max-listed-rooms", "2");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#attic");
        foreach (string channel in (string[])["#barn", "#zoo"])
        {
            await ada.Send($"JOIN {channel}");
            await ada.Reads($" {channel} :End of /NAMES");
        }

        List<string> all;
        do
        {
            await ada.Send("LIST");
            all = await ada.ReadsUpTo(" 323 ");
        }
        while (all.Count < 5);

        Assert.Equal(
            [
                ":chat.local 321 ada Channel :Users  Name", ":chat.local 322 ada #attic 1 :", ":chat.local 322 ada #barn 1 :",
                ":chat.local NOTICE ada :There are 3 channels, of which the 2 fullest are listed; LIST with its name tells of any",
                ":chat.local 323 ada :End of /LIST",
            ],
            all);
        await ada.Send("LIST #Zoo,#nowhere,zoo");
        Assert.Equal(
            [":chat.local 321 ada Channel :Users  Name", ":chat.local 322 ada #zoo 1 :", ":chat.local 323 ada :End of /LIST"], await ada.ReadsUpTo(" 323 "));
    }

    [Fact(Timeout = Limit)]
    public async Task Long_and_coloured_texts_arrive_whole_and_plain()
    {
        await using ServerProcess server = await Start();
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        string text = string.Concat(Enumerable.Repeat("é", 1900));

        await bob.Say("lobby", text);
        string heard = "";
        while (heard.Length < text.Length)
        {
            string line = await ada.Reads("PRIVMSG");
            heard += line[":bob!bob@chat PRIVMSG #lobby :".Length..];
        }

        await ada.Send("PRIVMSG #lobby :\u000304,12red\u000f \u0002bold\u0002\tand plain");
        Message message = (await bob.Read(static frame => frame.Message is not null)).Message;

        Assert.Equal(text, heard);
        using IrcPeer timed = await IrcPeer.InChannel(server.IrcPort, "timed", "#lobby", "server-time message-tags");
        List<string> replayed = [await timed.Reads("PRIVMSG"), await timed.Reads("PRIVMSG")];
        Assert.Matches("^@time=[^ ;]+;msgid=lobby-1 :bob!", replayed[0]);
        Assert.Matches("^@time=[^ ;]+ :bob!", replayed[1]);
        Assert.Equal("red bold and plain", message.Text);
    }

    [Fact(Timeout = Limit)]
    public async Task Lines_that_are_too_long_or_no_text_are_answered_and_the_conversation_goes_on()
    {
        await using ServerProcess server = await Start();
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");

        await ada.Send($"PRIVMSG #lobby :{new string('x', 510 - 16)}");
        Assert.Equal(510 - 16, (await bob.Read(static frame => frame.Message is not null)).Message.Text.Length);
        await ada.Send($"PRIVMSG #lobby :{new string('x', 511 - 16)}");
        Assert.Equal(":chat.local 417 ada :A line of 511 bytes exceeds the limit of 510", await ada.Reads(" 417 "));
        await ada.Send($"@+x={new string('x', 4096 - 5)} PRIVMSG #lobby :tagged");
        Assert.Equal("tagged", (await bob.Read(static frame => frame.Message is not null)).Message.Text);
        await ada.Send($"@+x={new string('x', 4097 - 5)} PRIVMSG #lobby :tagged");
        Assert.Equal(":chat.local 417 ada :Tags of 4097 bytes exceed the limit of 4096", await ada.Reads(" 417 "));
        await ada.SendBytes([.. "PRIVMSG #lobby :"u8, 0xff, 0xfe, (byte)'x', 13, 10]);
        Message message = (await bob.Read(static frame => frame.Message is not null)).Message;
        await ada.SendBytes(new byte[20_000]);

        Assert.Equal("\ufffd\ufffdx", message.Text);
        Assert.Matches(@"^ERROR :Closing link: \(ada\) \[a line of \d+ bytes or more exceeds the limit of 9212, tags included\]$", await ada.Reads("ERROR"));
    }

    [Fact(Timeout = Limit)]
    public async Task Who_says_too_much_is_told_the_limit()
    {
        await using ServerProcess server = await Start("--flood-burst", "3", "--flood-rate", "1", "--flood-cooldown", "1");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");

        await ada.Send([.. Enumerable.Range(0, 5).Select(message => $"PRIVMSG #lobby :{message}")]);

        Assert.Equal(
            ":chat.local 263 ada PRIVMSG :you say too much; the limit is 3 at once and 1 a second; wait 1 s", await ada.Reads(" 263 "));
    }

    [Fact(Timeout = Limit)]
    public async Task Who_falls_silent_is_pinged_and_who_does_not_register_is_sent_away()
    {
        await using ServerProcess server = await Start("--idle-timeout", "2", "--registration-timeout", "2");
        using IrcPeer silent = await IrcPeer.Named(server.IrcPort, "silent");
        using IrcPeer stranger = await IrcPeer.Connect(server.IrcPort);

        Assert.Equal("PING :chat.local", await silent.Reads("PING"));
        Assert.Contains("nothing was received within 2 s", await silent.Reads("ERROR"), StringComparison.Ordinal);
        Assert.Contains("no name was asked for and given within 2 s", await stranger.Reads("ERROR"), StringComparison.Ordinal);
    }

    [Fact(Timeout = Limit)]
    public async Task A_big_room_tells_who_comes_together_and_nobody_that_they_came_themselves()
    {
        const int People = 120;
        await using ServerProcess server = await Start();
        using IrcPeer first = await IrcPeer.InChannel(server.IrcPort, "first", "#hall");
        List<IrcPeer> people = [];
        for (int index = 0; index < People; index++)
        {
            people.Add(await IrcPeer.InChannel(server.IrcPort, $"p{index}", "#hall"));
        }

        HashSet<string> seen = [];
        while (seen.Count < People)
        {
            Assert.True(seen.Add((await first.Reads(" JOIN #hall"))[1..].Split('!')[0]));
        }

        await first.Send("PRIVMSG #hall :end");
        foreach ((IrcPeer peer, int index) in people.Select((peer, index) => (peer, index)))
        {
            List<string> lines = await peer.ReadsUpTo("PRIVMSG #hall :end");
            string[] came = [.. lines.Where(line => line.EndsWith(" JOIN #hall", StringComparison.Ordinal)).Select(line => line[1..].Split('!')[0])];
            Assert.Equal(Enumerable.Range(index + 1, People - index - 1).Select(later => $"p{later}"), came);
            peer.Dispose();
        }
    }

    private static async Task<string?> Answer(IrcPeer peer, string command)
    {
        await peer.Send(command);
        return await peer.Read();
    }

    private static async Task<string?> Second(IrcPeer peer)
    {
        Assert.StartsWith(":chat.local 464 * ", await peer.Read(), StringComparison.Ordinal);
        return await peer.Read();
    }

    private static Task<ServerProcess> Start(params string[] options) => ServerProcess.Start(["--irc-port", "0", .. options]);
}
