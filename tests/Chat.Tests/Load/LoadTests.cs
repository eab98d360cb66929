using System.Diagnostics;
using Chat.Load;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Load;

/// <summary>The load tool counts right, and says so by its exit code.</summary>
public sealed class LoadTests
{
    private const int Limit = 120_000;

    [Fact(Timeout = Limit)]
    public async Task A_run_on_the_real_server_loses_doubles_and_reorders_nothing()
    {
        using var folder = new TemporaryFolder();
        await using ServerProcess server = await ServerProcess.Start("--data", folder.Path);

        await using var load = new ProgramProcess("Chat.Load", "--port", $"{server.Port}", "--clients", "60", "--rooms", "3", "--rate", "5", "--duration", "3");

        Assert.Equal(0, await load.Ends());
        Dictionary<string, string> result = load.Output.ToDictionary(line => line[..14].Trim(), line => line[14..]);
        Assert.Equal("60 in 3 rooms, seed 1", result["clients"]);
        Assert.All(["lost", "duplicated", "out of order", "unanswered", "refused", "disconnected"], what => Assert.Equal("0", result[what]));
        long sent = Number(result["sent"]);
        Assert.InRange(sent, 100, 3000);
        Assert.Equal(sent, Number(result["acknowledged"]));
        Assert.Equal(sent * 19, Number(result["delivered"]));
    }

    [Fact(Timeout = Limit)]
    public async Task A_server_that_dies_is_a_failure()
    {
        await using ServerProcess server = await ServerProcess.Start();
        await using var load = new ProgramProcess("Chat.Load", "--port", $"{server.Port}", "--clients", "10", "--rooms", "2", "--rate", "5", "--duration", "20");
        await NetPoll.Tests.Eventually.True("they speak", () => load.Error.Any(line => line.Contains(" delivered", StringComparison.Ordinal)));

        server.Program.Kill();

        Assert.Equal(1, await load.Ends());
        Assert.Contains(load.Output, line => line.StartsWith("disconnected  10", StringComparison.Ordinal));
    }

    [Theory(Timeout = Limit)]
    [InlineData(2, "chat-load: --clients '0': expected a whole number from 1 to 100000", "--clients", "0")]
    [InlineData(2, "chat-load: --rate 'fast': expected a number above 0, up to 1000, such as 0.2", "--rate", "fast")]
    public async Task A_wrong_command_line_is_named(int exit, string error, params string[] arguments)
    {
        await using var load = new ProgramProcess("Chat.Load", arguments);

        Assert.Equal(exit, await load.Ends());
        Assert.Equal([error], load.Error);
    }

    [Theory]
    [InlineData("3 4 5", 0, 0, 0)]
    [InlineData("3 5", 1, 0, 0)]
    [InlineData("3 4", 1, 0, 0)]
    [InlineData("4 5", 1, 0, 0)]
    [InlineData("3 5 4", 0, 0, 1)]
    [InlineData("3 4 4 5", 0, 1, 0)]
    [InlineData("2 3 4 5", 0, 1, 0)]
    [InlineData("", 3, 0, 0)]
    public void Every_kind_of_disorder_is_told_from_the_others(string sequences, long lost, long duplicated, long outOfOrder)
    {
        var arrivals = new Arrivals(joinedAt: 2);

        foreach (string sequence in sequences.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            arrivals.Note(long.Parse(sequence, null));
        }

        Assert.Equal((lost, duplicated, outOfOrder), (arrivals.Missing(5), arrivals.Duplicated, arrivals.OutOfOrder));
    }

    [Fact]
    public void Percentiles_are_right_to_within_two_percent()
    {
        var latencies = new Latencies();
        long now = Stopwatch.GetTimestamp();

        // So long ago that the time that the test itself takes does not count.
        for (int second = 1; second <= 1000; second++)
        {
            latencies.Add(now - (second * Stopwatch.Frequency));
        }

        Assert.InRange(latencies.Percentile(0.5).TotalSeconds, 499, 512);
        Assert.InRange(latencies.Percentile(0.99).TotalSeconds, 989, 1015);
        Assert.InRange(latencies.Percentile(0.001).TotalSeconds, 0.99, 1.1);
    }

    private static long Number(string text) => long.Parse(text.Split(' ', ':', ',')[0], null);
}
