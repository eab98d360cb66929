using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Irc;

/// <summary>irssi, from the system's packages, in a terminal: a client that was written for other servers.</summary>
public sealed class IrssiTests
{
    private const int Limit = 120_000;

    [Fact(Timeout = Limit)]
    public async Task Irssi_joins_sees_the_history_talks_and_hears()
    {
        Terminal.Needs("irssi", "script");
        using var folder = new TemporaryFolder();
        await using ServerProcess server = await ServerProcess.Start("--irc-port", "0");
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await bob.Request(new ClientFrame { Say = new Say { Room = "lobby", Text = "early bird" } });
        await bob.Request(new ClientFrame { SetTopic = new SetTopic { Room = "lobby", Topic = "about tea" } });

        await using var irssi = new Irssi(folder.Path, server.IrcPort);
        await server.Logs("ada came in");
        await irssi.Type("/join #lobby");
        Presence came = (await bob.Read(static frame => frame.Presence is not null)).Presence;
        await irssi.Logs("early bird");
        await irssi.Logs("about tea");

        await irssi.Type("hello from irssi");
        Message hello = (await bob.Read(static frame => frame.Message is not null)).Message;
        await bob.Say("lobby", "hello, irssi");
        await irssi.Logs("bob> hello, irssi");
        await irssi.Type("/me waves");
        Message waves = (await bob.Read(static frame => frame.Message?.Sequence == 4)).Message;
        await irssi.Type("/msg bob psst");
        PrivateMessage psst = (await bob.Read(static frame => frame.PrivateMessage is not null)).PrivateMessage;
        await irssi.Type("/topic about cake");
        await bob.Read(static frame => frame.TopicChanged?.Topic.Text == "about cake");
        await irssi.Type("/nick countess");
        await bob.Read(static frame => frame.Renamed?.NewName == "countess");
        await irssi.Type("/quit good night");
        Presence went = (await bob.Read(static frame => frame.Presence?.Departed.Count > 0)).Presence;

        Assert.Equal(["ada"], came.Arrived);
        Assert.Equal(("ada", "hello from irssi", 2L), (hello.From, hello.Text, hello.Sequence));
        Assert.Equal(("waves", MessageKind.Action), (waves.Text, waves.Kind));
        Assert.Equal(("ada", "psst"), (psst.From, psst.Text));
        Assert.Equal(["countess"], went.Departed);
        Assert.Equal(["good night"], went.Reasons);
        Assert.Equal(0, await irssi.Ends());
    }

    [Fact(Timeout = Limit)]
    public async Task Irssi_shows_what_was_refused_and_goes_on()
    {
        Terminal.Needs("irssi", "script");
        using var folder = new TemporaryFolder();
        await using ServerProcess server = await ServerProcess.Start("--irc-port", "0");
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await using var irssi = new Irssi(folder.Path, server.IrcPort);
        await server.Logs("ada came in");

        await irssi.Type($"/log open -window {folder.Path}/status.log all");
        await irssi.Type("/quote FROBNICATE #lobby");
        await irssi.Logs("FROBNICATE Unknown command", "status.log");
        await irssi.Type("/join #two!words");
        await irssi.Logs("two!words", "status.log");
        await irssi.Type("/msg nobody hello");
        await irssi.Logs("nobody: No such nick/channel", "nobody.log");
        await irssi.Type("/join #lobby");
        await bob.Read(static frame => frame.Presence?.Arrived.Count > 0);
        await irssi.Type("/kick bob because");
        await irssi.Logs("only operators may do that");
        await bob.Send(new ClientFrame { Quit = new Quit { Reason = "tea" } });
        await irssi.Logs("bob [bob@chat] has quit [Quit: tea]");
        await irssi.Type("still here");
        await irssi.Logs("still here");
    }

    /// <summary>The program in a terminal; it writes what it shows of a channel into a log.</summary>
    private sealed class Irssi : IAsyncDisposable
    {
        private readonly string _folder;
        private readonly Terminal _terminal;

        public Irssi(string folder, int port)
        {
            _folder = folder;
            File.WriteAllText(Path.Combine(folder, "config"), $$"""
                settings = { core = { real_name = "Ada"; user_name = "ada"; nick = "ada"; };
                  "irc/core" = { cmd_queue_speed = "10msec"; };
                  "fe-common/core" = { autolog = "yes"; autolog_path = "{{folder}}/$0.log"; autolog_level = "all"; }; };
                """);
            _terminal = new Terminal($"irssi --home={folder} -c 127.0.0.1 -p {port} -n ada", columns: 100);
        }

        public Task Type(string line) => _terminal.Type(line);

        public async Task Logs(string text, string file = "#lobby.log")
        {
            try
            {
                await Eventually.True($"'{text}' in irssi's {file}", () => Read(file).Contains(text, StringComparison.Ordinal));
            }
            catch (TimeoutException exception)
            {
                throw new TimeoutException($"{exception.Message} It has:\n{Read(file)}", exception);
            }
        }

        public Task<int> Ends() => _terminal.Ends();

        public ValueTask DisposeAsync() => _terminal.DisposeAsync();

        private string Read(string file)
        {
            string path = Path.Combine(_folder, file);
            return File.Exists(path) ? File.ReadAllText(path) : "";
        }
    }
}
