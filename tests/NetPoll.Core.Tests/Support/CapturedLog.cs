using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace NetPoll.Core.Tests.Support;

/// <summary>A logger that keeps what it is told.</summary>
internal sealed class CapturedLog : ILogger
{
    private readonly ConcurrentQueue<Entry> _entries = new();

    internal IReadOnlyCollection<Entry> Entries => _entries;

    /// <summary>Whether it throws, too, as a log whose disk is full.</summary>
    internal bool IsBroken { get; init; }

    /// <summary>Runs in the call of whoever logs.</summary>
    internal Action<Entry>? OnEntry { get; set; }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        Entry entry = new(logLevel, eventId.Id, formatter(state, exception), exception);
        _entries.Enqueue(entry);
        OnEntry?.Invoke(entry);
        if (IsBroken)
        {
            throw new AggregateException("A provider has failed.", new IOException("The disk is full."));
        }
    }

    internal sealed record Entry(LogLevel Level, int Id, string Message, Exception? Exception);
}
