using Chat.Domain;
using Chat.Server.Doors;
using Microsoft.Extensions.Logging;

namespace Chat.Server.Operation;

/// <summary>Logs the most important figures on one line, every so often.</summary>
internal sealed class StatusLine : IAsyncDisposable
{
    private readonly PeriodicTimer _timer;
    private readonly Task _running;

    public StatusLine(TimeSpan interval, ChatFigures figures, Admission admission, ILogger logger)
    {
        _timer = new PeriodicTimer(interval);
        _running = RunAsync(interval, figures, admission, logger);
    }

    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _running;
    }

    private async Task RunAsync(TimeSpan interval, ChatFigures figures, Admission admission, ILogger logger)
    {
        long before = figures.MessagesStored;
        while (await _timer.WaitForNextTickAsync())
        {
            long stored = figures.MessagesStored;
            double memory = Environment.WorkingSet / (1024.0 * 1024);
            Log.Status(
                logger, figures.People, figures.Rooms, admission.Total, interval.TotalSeconds, stored - before, figures.FloodRefusals,
                admission.Refused, Math.Round(memory));
            before = stored;
        }
    }
}
