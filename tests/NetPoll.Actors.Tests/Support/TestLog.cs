using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace NetPoll.Actors.Tests.Support;

/// <summary>Keeps what was logged.</summary>
internal sealed class TestLog : ILogger
{
    private readonly ConcurrentQueue<Entry> _entries = new();

    public IReadOnlyList<Entry> Entries => [.. _entries];

    public IReadOnlyList<Entry> Errors => [.. _entries.Where(static entry => entry.Level >= LogLevel.Error)];

    /// <summary>Whether it throws, too, as a log whose disk is full.</summary>
    public bool IsBroken { get; set; }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        _entries.Enqueue(new Entry(logLevel, eventId.Id, formatter(state, exception), exception));
        if (IsBroken)
        {
            throw new AggregateException("A provider has failed.", new IOException("The disk is full."));
        }
    }

    internal sealed record Entry(LogLevel Level, int Id, string Text, Exception? Exception);
}
