using Chat.Client;
using Chat.Protocol;
using Chat.Tests.Support;
using NetPoll.Tests;
using Body = Chat.Protocol.ClientFrame.BodyOneofCase;

namespace Chat.Tests.Client;

/// <summary>A client whose connection is lost comes back, misses nothing and says nothing twice.</summary>
public sealed class ReturnTests
{
    private const int Limit = 180_000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    [Fact(Timeout = Limit)]
    public async Task A_client_outlives_its_server_and_loses_nothing()
    {
        using var folder = new TemporaryFolder();
        await using ServerProcess server = await ServerProcess.Start("--data", folder.Path);
        await using var ada = new PlainClient(server.Port, reconnect: Patience);
        await ada.Prints("joined lobby 0 ada");
        ada.Type("before");
        await ada.Prints("said lobby 1 before");

        server.Program.Kill();
        await Eventually.True("the loss is told", () => ada.Lines.Any(line => line.StartsWith("offline ", StringComparison.Ordinal)));
        ada.Type("in between");
        ada.Type("and then");
        await using ServerProcess next = await ServerProcess.Start("--data", folder.Path, "--port", $"{server.Port}");
        await ada.Prints("said lobby 3 and then");
        using ChatPeer bob = await ChatPeer.Named(next.Port, "bob");
        ServerFrame joined = await bob.Request(new ClientFrame { Join = new Join { Room = "lobby", Last = 10 } });
        ada.EndInput();

        Assert.Equal(ExitCode.Success, await ada.Ends());
        Assert.Equal(["before", "in between", "and then"], joined.Joined.Replay.Select(message => message.Text));
        Assert.Equal(
            ["online", "said lobby 2 in between", "said lobby 3 and then"],
            ada.Lines.Where(line => line == "online" || line.StartsWith("said lobby 2", StringComparison.Ordinal) || line.StartsWith("said lobby 3", StringComparison.Ordinal)));
    }

    [Fact(Timeout = Limit)]
    public async Task It_asks_for_what_it_missed_and_repeats_what_had_no_answer_with_the_same_ids_in_order()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port, reconnect: Patience);
        await server.Greet();
        await server.Send(new ServerFrame { Message = new Message { Room = "lobby", Sequence = 41, From = "bob", Text = "x" } });
        client.Type("one");
        client.Type("/msg bob psst");
        client.Type("two");
        Say one = (await server.Receive(Body.Say)).Say;
        await server.Receive(Body.SendPrivate);
        Say two = (await server.Receive(Body.Say)).Say;
        server.Hangup(reset: true);

        // The last connection is not dead yet for the server.
        await server.Accept();
        ClientFrame hello = await server.Receive(Body.Hello);
        await server.Send(new ServerFrame { ReplyTo = hello.Id, Error = new Error { Code = ErrorCode.NameTaken, Text = "taken" } });
        await server.Accept();
        hello = await server.Receive(Body.Hello);
        await server.Send(new ServerFrame { ReplyTo = hello.Id, Welcome = new Welcome { ProtocolVersion = 1, Name = "ada" } });
        ClientFrame join = await server.Receive(Body.Join);
        await server.Send(new ServerFrame
        {
            ReplyTo = join.Id,
            Joined = new Joined
            {
                Room = "lobby",
                Sequence = 45,
                Members = { "ada" },
                Gap = new Gap { First = 42, Last = 43 },
                Replay =
                {
                    new Message { Room = "lobby", Sequence = 44, From = "bob", Text = "y" },
                    new Message { Room = "lobby", Sequence = 45, From = "ada", Text = "one" },
                },
            },
        });
        ClientFrame again = await server.Receive(Body.Say);
        await server.Send(new ServerFrame { ReplyTo = again.Id, Said = new Said { Room = "lobby", Sequence = 45, Repetition = true } });
        ClientFrame second = await server.Receive(Body.Say);
        await server.Send(new ServerFrame { ReplyTo = second.Id, Said = new Said { Room = "lobby", Sequence = 46 } });

        await client.Prints("said lobby 46 two");
        Assert.Equal(41, join.Join.Since);
        Assert.Equal((one, two), (again.Say, second.Say));
        Assert.NotEqual(one.MessageId, two.MessageId);
        Assert.Contains("gap lobby 42 43", client.Lines);
        Assert.Contains("history lobby 44 bob y", client.Lines);

        // Told by the command that was lost, which ends in its own time.
        await client.Prints("error 0 the connection was lost before 'SendPrivate' was answered: it may have been done, or not");
        server.Hangup();
        await server.Accept();
    }

    [Fact(Timeout = Limit)]
    public async Task It_does_not_come_back_to_a_server_that_sent_it_away()
    {
        using var server = new ScriptedServer();
        await using var client = new PlainClient(server.Port, reconnect: Patience);
        await server.Greet();

        await server.Send(new ServerFrame { Goodbye = new Goodbye { Reason = "eve ended your connection" } });
        server.Hangup();

        Assert.Equal(ExitCode.ConnectionFailed, await client.Ends());
        Assert.Contains("ended the conversation: eve ended your connection", client.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = Limit)]
    public async Task It_keeps_to_the_pace_that_the_server_allows()
    {
        await using ServerProcess server = await ServerProcess.Start("--flood-burst", "5", "--flood-rate", "20");
        await using var ada = new PlainClient(server.Port);
        for (int line = 1; line <= 40; line++)
        {
            ada.Type($"line {line}");
        }

        ada.EndInput();

        Assert.Equal(ExitCode.Success, await ada.Ends());
        Assert.Equal(Enumerable.Range(1, 40).Select(line => $"said lobby {line} line {line}"), ada.Lines.Where(line => line.StartsWith("said", StringComparison.Ordinal)));
    }
}
