using System.Diagnostics;
using System.Text.RegularExpressions;
using Chat.Protocol;
using Chat.Tests.Support;

namespace Chat.Tests.Protocol;

/// <summary>docs/chat-protocol.md is enough to write a client in another language.</summary>
public sealed partial class OtherLanguagesTests
{
    private const int Limit = 120_000;

    [Fact(Timeout = Limit)]
    public async Task A_client_in_Python_that_writes_its_frames_by_hand_chats()
    {
        string? python = Environment.GetEnvironmentVariable("PATH")!.Split(':').Select(folder => Path.Combine(folder, "python3")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(python is null, "python3 is not installed");
        await using ServerProcess server = await ServerProcess.Start();
        using ChatPeer bob = await ChatPeer.InRoom(server.Port, "bob", "lobby");
        await bob.Request(new ClientFrame { Say = new Say { Room = "lobby", Text = "early" } });

        using Process client = Process.Start(new ProcessStartInfo(python!, [Script, $"{server.Port}", "péter", "lobby"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["PYTHONIOENCODING"] = "utf-8" },
        })!;
        try
        {
            Task<string> output = client.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            Task<string> error = client.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await bob.Read(static frame => frame.Presence?.Arrived.Contains("péter") == true);
            await client.StandardInput.WriteAsync("one\ntwo\n");
            client.StandardInput.Close();
            Message two = (await bob.Read(static frame => frame.Message?.Text == "two")).Message;
            await bob.Say("lobby", "hello, Python");
            await bob.Say("lobby", "bye");
            await bob.Read(static frame => frame.Presence?.Departed.Contains("péter") == true);
            string printed = await output;
            await client.WaitForExitAsync(TestContext.Current.CancellationToken);

            Assert.Equal(3, two.Sequence);
            Assert.Equal("", await error);
            // What others say may come before an answer.
            string[] lines = printed.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(
                ["welcome péter", "before 1 bob early", "joined 1 bob,péter", "said 2", "said 3", "again 3 True", "goodbye you quit"],
                lines.Where(line => !line.StartsWith("message", StringComparison.Ordinal)));
            Assert.Equal(
                ["message 4 bob hello, Python", "message 5 bob bye"], lines.Where(line => line.StartsWith("message", StringComparison.Ordinal)));
        }
        finally
        {
            if (!client.HasExited)
            {
                client.Kill();
            }
        }
    }

    [Fact]
    public void The_bytes_in_the_documentation_are_those_of_the_protocol()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "chat-protocol.md"));
        var hello = new ClientFrame { Id = 1, Hello = new Hello { ProtocolVersion = 1, Name = "ada" } };
        var say = new ClientFrame { Id = 3, Say = new Say { Room = "lobby", Text = "hi", MessageId = "7f3a" } };
        var said = new ServerFrame { ReplyTo = 3, Said = new Said { Room = "lobby", Sequence = 42, TimeUnixMilliseconds = 1_767_323_045_000 } };

        string[] examples = [.. HexLine().Matches(page).Select(match => match.Value.Replace(" ", "", StringComparison.Ordinal))];

        Assert.Equal([Hex(hello.ToFrame()), Hex(say.ToFrame()), Hex(said.ToFrame())], examples);
    }

    [Fact]
    public void Every_error_code_is_in_the_documentation()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "chat-protocol.md"));

        Assert.All(
            Enum.GetValues<ErrorCode>().Where(code => code != ErrorCode.Unspecified),
            code => Assert.Matches($@"\| {(int)code} \|", page));
    }

    private static string Script => Path.Combine(Repository.Root, "tests", "Chat.Tests", "Python", "chat_client.py");

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);

    [GeneratedRegex(@"^    ([0-9a-f]{2} )+[0-9a-f]{2}$", RegexOptions.Multiline)]
    private static partial Regex HexLine();
}
