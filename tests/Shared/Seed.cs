using System.Globalization;

namespace NetPoll.Tests;

/// <summary>The randomness of a test: printed with its output, and taken from <c>NETPOLL_SEED</c> to play a run again.</summary>
internal static class Seed
{
    private const string Variable = "NETPOLL_SEED";

    /// <summary>A seed for this run, printed.</summary>
    public static int Next()
    {
        string? text = Environment.GetEnvironmentVariable(Variable);
        int seed = string.IsNullOrEmpty(text) ? Random.Shared.Next()
            : int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int given) ? given
            : throw new InvalidOperationException($"{Variable} is '{text}'; expected a whole number.");
        TestContext.Current.TestOutputHelper?.WriteLine($"{Variable}={seed}");
        return seed;
    }
}
