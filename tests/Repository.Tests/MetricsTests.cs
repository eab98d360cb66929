using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Repository.Tests;

/// <summary>The guide's table of instruments is that of the meter.</summary>
public sealed partial class MetricsTests
{
    [Fact]
    public void Every_instrument_of_the_actors_is_in_the_guide_with_its_kind_and_unit()
    {
        HashSet<(string Name, string Kind, string Unit)> instruments = [];
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Name == "NetPoll.Actors")
            {
                string kind = instrument.GetType().Name.Contains("UpDown", StringComparison.Ordinal) ? "up-down counter" : "counter";
                instruments.Add((instrument.Name, kind, instrument.Unit ?? string.Empty));
            }
        };
        listener.Start();
        RuntimeHelpers.RunClassConstructor(typeof(NetPoll.Actors.ConnectionActor).Assembly.GetType("NetPoll.Actors.Diagnostics.ActorMetrics", throwOnError: true)!.TypeHandle);

        HashSet<(string Name, string Kind, string Unit)> documented = [.. Row().Matches(RepositoryRoot.Read("docs/actors.md"))
            .Select(static row => (row.Groups["name"].Value, row.Groups["kind"].Value, row.Groups["unit"].Value))];

        Assert.NotEmpty(instruments);
        Assert.Equal(instruments.Order(), documented.Order());
    }

    [GeneratedRegex(@"^\| `(?<name>netpoll\.[\w.]+)` \| (?<kind>[^|]+) \| `(?<unit>[^`]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
