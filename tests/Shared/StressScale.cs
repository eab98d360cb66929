using System.Globalization;

namespace NetPoll.Tests;

/// <summary>How hard the stress tests try: <c>NETPOLL_STRESS=10</c> multiplies their rounds and their time by ten.</summary>
internal static class StressScale
{
    private const string Variable = "NETPOLL_STRESS";

    private static readonly double Factor = Read();

    public static int Rounds(int byDefault) => (int)Math.Clamp(byDefault * Factor, 1, int.MaxValue);

    public static TimeSpan Duration(TimeSpan byDefault) => byDefault * Factor;

    private static double Read()
    {
        string? text = Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrEmpty(text))
        {
            return 1;
        }

        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double factor) && factor > 0
            ? factor
            : throw new InvalidOperationException($"{Variable} is '{text}'; expected a number above 0.");
    }
}
