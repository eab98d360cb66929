using System.Globalization;

namespace Chat.Load;

/// <summary>What came out.</summary>
/// <param name="Options">What was tried.</param>
/// <param name="Spoken">How long the clients spoke.</param>
/// <param name="Counters">What they counted.</param>
/// <param name="Unanswered">Messages that have no answer.</param>
/// <param name="Lost">Deliveries that did not come, of messages that were acknowledged or numbered.</param>
/// <param name="Duplicated">Deliveries that came again.</param>
/// <param name="OutOfOrder">Deliveries that came behind a later one.</param>
internal sealed record LoadResult(
    LoadOptions Options, TimeSpan Spoken, Counters Counters, long Unanswered, long Lost, long Duplicated, long OutOfOrder)
{
    /// <summary>Everything arrived, once and in order, and nothing was refused.</summary>
    public bool IsClean => Unanswered + Lost + Duplicated + OutOfOrder + Counters.RefusedCount + Counters.DisconnectedCount == 0;

    /// <summary>The result for people.</summary>
    public IEnumerable<string> Lines()
    {
        yield return Line($"clients       {Options.Clients} in {Options.Rooms} rooms, seed {Options.Seed}");
        yield return Line($"sent          {Counters.SentCount} messages of {Options.Bytes} bytes in {Spoken.TotalSeconds:0.0} s: {Counters.SentCount / Spoken.TotalSeconds:0} a second");
        yield return Line($"acknowledged  {Counters.AcknowledgedCount}, each when it was stored");
        yield return Line($"delivered     {Counters.DeliveredCount}: {Counters.DeliveredCount / Spoken.TotalSeconds:0} a second");
        yield return Line($"lost          {Lost}");
        yield return Line($"duplicated    {Duplicated}");
        yield return Line($"out of order  {OutOfOrder}");
        yield return Line($"unanswered    {Unanswered}");
        yield return Line($"refused       {Counters.RefusedCount}");
        yield return Line($"disconnected  {Counters.DisconnectedCount}");
        yield return Percentiles("delivery", Counters.Delivery);
        yield return Percentiles("answer", Counters.Answer);
        if (Counters.Problem is { } problem)
        {
            yield return Line($"first problem {problem}");
        }
    }

    private static string Percentiles(string what, Latencies latencies)
    {
        double Of(double share) => latencies.Percentile(share).TotalMilliseconds;
        return Line(
            $"{what,-14}p50 {Of(0.5):0.0}, p90 {Of(0.9):0.0}, p99 {Of(0.99):0.0}, p99.9 {Of(0.999):0.0}, most {Of(1):0.0} ms");
    }

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
