using System.Collections;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Chat.Protocol;
using Chat.Server;
using Chat.Tests.Support;
using NetPoll.Tests;
using CommandLine = Chat.Server.CommandLine;

namespace Chat.Tests.Server;

/// <summary>How the server is configured, watched and moderated.</summary>
public sealed class OperationTests
{
    private const int Limit = 120_000;

    [Fact]
    public void The_command_line_goes_before_the_environment_and_that_before_the_file()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(Path.Combine(folder.Path, "appsettings.json"), """
            { "Logging": { "x": 1 }, // Other sections are not the chat's.
              "Chat": { "Port": 1, "IrcPort": 2, "IdleTimeout": "3", "FloodRate": 4 } }
            """);
        var environment = new Hashtable { ["CHAT_PORT"] = "10", ["CHAT_IRC_PORT"] = "20", ["PORT"] = "30" };

        (ServerOptions? options, _) = CommandLine.Read(
            ["--port", "100"], environment, folder.Path, TextReader.Null, TextWriter.Null, TextWriter.Null);

        Assert.NotNull(options);
        Assert.Equal((100, 20, 3.0, 4.0), (options.Port, options.IrcPort, options.IdleTimeout.TotalSeconds, options.Chat.FloodRate));
    }

    [Theory]
    [InlineData("""{ "Chat": { "Prot": 1 } }""", "has 'Prot' in 'Chat': did you mean 'Port'? '--help' tells all options")]
    [InlineData("""{ "Chat": { "Port": true } }""", "has for 'Port' true: expected a text, a number, or several of them in []")]
    [InlineData("""{ "Chat": { "Port": "x" } }""", "--port 'x': expected a whole number from 0 to 65535")]
    [InlineData("""{ "Chat": """, "cannot be read: ")]
    [InlineData("""{ "Chat": { "Operator": "ada" } }""", "--operator 'ada': expected NAME=HASH")]
    public void A_wrong_file_is_named_with_what_was_expected(string text, string expected)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "chat.json");
        File.WriteAllText(path, text);
        using var error = new StringWriter();

        (ServerOptions? options, ExitCode exit) = CommandLine.Read(
            ["--config", path], new Hashtable(), "", TextReader.Null, TextWriter.Null, error);

        Assert.Null(options);
        Assert.Equal(ExitCode.Usage, exit);
        Assert.Contains(expected, error.ToString(), StringComparison.Ordinal);
        Assert.StartsWith("chat-server: ", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_systemd_unit_and_the_container_give_options_that_there_are()
    {
        string deploy = Path.Combine(Repository.Root, "samples/Chat/deploy");
        string unit = File.ReadAllLines(Path.Combine(deploy, "chat-server.service")).Single(line => line.StartsWith("ExecStart=", StringComparison.Ordinal));
        string[] container = File.ReadAllLines(Path.Combine(deploy, "Containerfile"));
        string environment = container.Single(line => line.StartsWith("ENV ", StringComparison.Ordinal));
        string[] words = unit.Split(' ');
        var variables = new Hashtable();
        foreach (string variable in environment.Split(' ').Skip(1))
        {
            variables.Add(variable.Split('=')[0], variable.Split('=')[1]);
        }

        using var folder = new TemporaryFolder();
        (ServerOptions? service, _) = CommandLine.Read([.. words.Skip(2)], new Hashtable(), folder.Path, TextReader.Null, TextWriter.Null, TextWriter.Null);
        (ServerOptions? contained, _) = CommandLine.Read([], variables, folder.Path, TextReader.Null, TextWriter.Null, TextWriter.Null);

        Assert.EndsWith($"/{typeof(ServerOptions).Assembly.GetName().Name}.dll", words[1], StringComparison.Ordinal);
        Assert.Equal((IPAddress.Any, "%S/chat-server"), (service?.Address, service?.Data));
        Assert.Contains($"ENTRYPOINT [\"dotnet\", \"{Path.GetFileName(words[1])}\"]", container);
        Assert.Equal((IPAddress.Any, 6667, "/data"), (contained?.Address, contained?.IrcPort, contained?.Data));
    }

    [Fact(Timeout = Limit)]
    public async Task An_operator_logs_in_with_the_hash_that_the_server_printed_and_drains_it()
    {
        string hash;
        await using (ProgramProcess hashing = ServerProcess.Run("--hash-password"))
        {
            await hashing.Type("correct horse");
            Assert.Equal(0, await hashing.Ends());
            hash = Assert.Single(hashing.Output);
        }

        await using ServerProcess server = await ServerProcess.Start("--operator", $"root={hash}", "--irc-port", "0");
        using ChatPeer eve = await ChatPeer.InRoom(server.Port, "eve", "lobby");
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        using IrcPeer ada = await IrcPeer.InChannel(server.IrcPort, "ada", "#lobby");
        await ada.Send("OPER root :correct horse");
        await ada.Reads(" 381 ada ");

        await ada.Send("KICK #lobby eve :spam");
        Kicked kicked = (await eve.Read(static frame => frame.Kicked is not null)).Kicked;
        string told = await ada.Reads("KICK");
        await ada.Send("MODE #lobby +b eve!*@*");
        await ada.Reads("MODE #lobby +b eve!*@*");
        ServerFrame refused = await eve.Join("lobby");
        await ada.Send("MODE #lobby +b");
        string listed = await ada.Reads(" 367 ");
        await ada.Send("KILL eve :spam");
        string goodbye = await eve.ReadGoodbye();
        await ada.Send("DIE");

        Assert.Equal(("ada", "spam"), (kicked.By, kicked.Reason));
        Assert.Equal(":ada!ada@chat KICK #lobby eve :spam", told);
        Assert.Equal(ErrorCode.Banned, refused.Error.Code);
        Assert.Equal(":chat.local 367 ada #lobby EVE!*@*", listed);
        Assert.Equal("ada ended your connection: spam", goodbye);
        Assert.Equal("the server stops", await bob.ReadGoodbye());
        Assert.Equal(0, await server.Program.Ends());
        await server.Logs("drain asked for by ada: saying goodbye to everybody");
    }

    [Fact(Timeout = Limit)]
    public async Task The_page_of_figures_and_the_status_line_count_what_happens()
    {
        int port = FreePort();
        await using ServerProcess server = await ServerProcess.Start("--metrics-port", $"{port}", "--status-interval", "1");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");
        await ada.Request(new ClientFrame { Say = new Say { Room = "lobby", Text = "x" } });

        using var http = new HttpClient();
        string page = "";
        await NetPoll.Tests.Eventually.True("the message is counted", () =>
        {
            page = http.GetStringAsync($"http://127.0.0.1:{port}/metrics").GetAwaiter().GetResult();
            return page.Contains("chat_messages_total", StringComparison.Ordinal) && Figure(page, "chat_messages_total") == 1;
        });

        Assert.Equal((1, 1, 1), (Figure(page, "chat_people"), Figure(page, "chat_rooms"), Figure(page, "chat_connections")));
        Assert.Contains("service_name=\"chat-server\"", page, StringComparison.Ordinal);
        Assert.Contains("netpoll_", page, StringComparison.Ordinal);
        await using ProgramProcess second = ServerProcess.Run("--port", "0", "--data", "memory", "--metrics-port", $"{port}");
        Assert.Equal(1, await second.Ends());
        Assert.Equal(
            [$"chat-server: cannot start: the page of figures cannot be served on port {port} of 127.0.0.1: Address already in use; choose another by --metrics-port"],
            second.Error);
        await server.Logs("people: 1, rooms: 1, connections: 1, messages in 1 s: ");
    }

    [Fact(Timeout = Limit)]
    public async Task The_log_calls_people_by_the_names_that_they_have()
    {
        await using ServerProcess server = await ServerProcess.Start("--irc-port", "0");
        using ChatPeer ada = await ChatPeer.Named(server.Port, "ada");
        using IrcPeer bob = await IrcPeer.Named(server.IrcPort, "bob");

        await ada.Request(new ClientFrame { ChangeName = new ChangeName { Name = "countess" } });
        await bob.Send("NICK robert", "QUIT");
        ada.Dispose();

        await server.Program.Prints("ada's new name", static line => line.Contains("ada (127.0.0.1:", StringComparison.Ordinal) && line.EndsWith(" is countess now", StringComparison.Ordinal));
        await server.Logs("countess (127.0.0.1:");
        await server.Program.Prints("robert's end", static line => line.Contains("robert (127.0.0.1:", StringComparison.Ordinal) && line.EndsWith(" left: Quit", StringComparison.Ordinal));
    }

    [Theory(Timeout = Limit)]
    [InlineData("--max-connections-per-address", "there are too many connections from 127.0.0.1; the limit is 2")]
    [InlineData("--max-connections", "the server is full; the limit is 2 connections")]
    public async Task Connections_beyond_a_limit_are_told_it_and_closed(string option, string refusal)
    {
        await using ServerProcess server = await ServerProcess.Start(option, "2", "--irc-port", "0");
        using ChatPeer first = await ChatPeer.Named(server.Port, "first");
        using IrcPeer second = await IrcPeer.Named(server.IrcPort, "second");

        using ChatPeer third = await ChatPeer.Connect(server.Port);
        ServerFrame error = await third.Read(static frame => frame.Error is not null);
        string goodbye = await third.ReadGoodbye();
        using IrcPeer fourth = await IrcPeer.Connect(server.IrcPort);
        string irc = await fourth.Reads("ERROR");
        first.Dispose();

        Assert.Equal(ErrorCode.TooManyConnections, error.Error.Code);
        Assert.Equal(refusal, goodbye);
        Assert.Contains("the limit is 2", irc, StringComparison.Ordinal);
        await server.Logs("first (127.0.0.1:");
        await NetPoll.Tests.Eventually.True("there is room again", () => Connects(server.Port));
    }

    [Fact(Timeout = Limit)]
    public async Task A_flood_is_refused_with_the_limit_and_the_wait()
    {
        await using ServerProcess server = await ServerProcess.Start("--flood-burst", "5", "--flood-rate", "1", "--flood-cooldown", "3");
        using ChatPeer ada = await ChatPeer.InRoom(server.Port, "ada", "lobby");

        for (int message = 0; message < 8; message++)
        {
            await ada.Say("lobby", $"{message}");
        }

        ServerFrame refused = await ada.Read(static frame => frame.Error is not null);
        Assert.Equal(ErrorCode.TooFast, refused.Error.Code);
        Assert.Equal("you say too much; the limit is 5 at once and 1 a second; wait 3 s", refused.Error.Text);
        Assert.InRange(refused.Error.RetryAfterMilliseconds, 2000U, 3000U);
    }

    [Fact(Timeout = Limit)]
    public async Task What_people_read_first_is_told_by_both_doors()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "motd");
        await File.WriteAllTextAsync(path, "Be kind.\nNo shouting.\n", TestContext.Current.CancellationToken);
        await using ServerProcess server = await ServerProcess.Start("--motd", path, "--irc-port", "0");
        using ChatPeer bob = await ChatPeer.Connect(server.Port);

        Welcome welcome = (await bob.Hello("bob")).Welcome;
        using IrcPeer ada = await IrcPeer.Connect(server.IrcPort);
        await ada.Send("NICK ada", "USER ada 0 * :x");

        Assert.Equal("Be kind.\nNo shouting.", welcome.MessageOfTheDay);
        Assert.EndsWith(":- Be kind.", await ada.Reads(" 372 "), StringComparison.Ordinal);
        Assert.EndsWith(":- No shouting.", await ada.Reads(" 372 "), StringComparison.Ordinal);
    }

    private static bool Connects(int port)
    {
        using ChatPeer peer = ChatPeer.Connect(port).GetAwaiter().GetResult();
        return peer.Hello("third").GetAwaiter().GetResult().Welcome is not null;
    }

    private static double Figure(string page, string name)
    {
        string line = page.Split('\n').First(line => line.StartsWith(name, StringComparison.Ordinal));
        return double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
