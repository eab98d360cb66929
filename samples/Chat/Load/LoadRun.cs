using System.Diagnostics;
using System.Globalization;

namespace Chat.Load;

/// <summary>The whole run: everybody comes in, speaks, waits for what is on its way, and is asked what they saw.</summary>
internal sealed class LoadRun
{
    private const int EnteringAtOnce = 64;

    /// <summary>How long what is on its way may take when nobody speaks any more, as long as something still comes.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly LoadOptions _options;
    private readonly TextWriter _progress;
    private readonly Counters _counters = new();
    private readonly LoadClient[] _clients;

    public LoadRun(LoadOptions options, TextWriter progress)
    {
        _options = options;
        _progress = progress;
        _clients = [.. Enumerable.Range(0, options.Clients).Select(index => new LoadClient(options, _counters, index))];
    }

    /// <exception cref="LoadException">The clients cannot get in.</exception>
    public async Task<LoadResult> RunAsync(CancellationToken stop)
    {
        try
        {
            long start = Stopwatch.GetTimestamp();
            await Parallel.ForEachAsync(
                _clients, new ParallelOptions { MaxDegreeOfParallelism = EnteringAtOnce }, static async (client, _) => await client.EnterAsync());
            _progress.WriteLine($"{_clients.Length} clients are in {_options.Rooms} rooms after {Seconds(start)} s");

            start = Stopwatch.GetTimestamp();
            using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
            end.CancelAfter(_options.Duration);
            Task speaking = Task.WhenAll(_clients.Select(client => client.SpeakAsync(end.Token)));
            while (await Task.WhenAny(speaking, Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None)) != speaking)
            {
                Report(start);
            }

            TimeSpan spoken = Stopwatch.GetElapsedTime(start);
            await SettleAsync();
            Report(start);
            await Task.WhenAll(_clients.Select(static client => client.CloseAsync()));
            return Result(spoken);
        }
        finally
        {
            foreach (LoadClient client in _clients)
            {
                client.Dispose();
            }
        }
    }

    private static string Seconds(long start) => Stopwatch.GetElapsedTime(start).TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);

    /// <summary>Waits for the answers, and for what everybody else is to hear.</summary>
    private async Task SettleAsync()
    {
        long seen = -1;
        long lastChange = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(lastChange) < Patience && _clients.Any(static client => client.IsConnected)
            && (_clients.Any(static client => client.Unanswered > 0) || _counters.DeliveredCount < Expected()))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20));
            long now = _counters.DeliveredCount + _counters.AcknowledgedCount;
            if (now != seen)
            {
                seen = now;
                lastChange = Stopwatch.GetTimestamp();
            }
        }
    }

    /// <summary>How many deliveries the acknowledged messages are: one for everybody else in their room.</summary>
    private long Expected()
    {
        // All rooms have as many members, to within one; each message's room is that of its sender.
        long expected = 0;
        foreach (IGrouping<int, LoadClient> room in _clients.GroupBy(static client => client.RoomIndex))
        {
            expected += room.Sum(static client => client.AcknowledgedMessages) * (room.Count() - 1);
        }

        return expected;
    }

    private void Report(long start) => _progress.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{Seconds(start),5} s: {_counters.SentCount} sent, {_counters.AcknowledgedCount} acknowledged, {_counters.DeliveredCount} delivered, "
        + $"delivery p50 {_counters.Delivery.Percentile(0.5).TotalMilliseconds:0.0} ms, p99 {_counters.Delivery.Percentile(0.99).TotalMilliseconds:0.0} ms"));

    private LoadResult Result(TimeSpan spoken)
    {
        long lost = 0;
        foreach (IGrouping<int, LoadClient> room in _clients.GroupBy(static client => client.RoomIndex))
        {
            // What was acknowledged to one must have reached all.
            long end = room.Max(static client => client.LastSaid);
            lost += room.Sum(client => client.Arrivals.Missing(end));
        }

        return new LoadResult(
            _options,
            spoken,
            _counters,
            _clients.Sum(static client => client.Unanswered),
            lost,
            _clients.Sum(static client => client.Arrivals.Duplicated),
            _clients.Sum(static client => client.Arrivals.OutOfOrder));
    }
}
