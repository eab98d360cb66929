using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace NetPoll.Core.Diagnostics;

/// <summary>The user's logger, whose exceptions end here: of all that logs, nobody could do anything about one.</summary>
/// <remarks>
/// The pollers log on their own threads, and handles that were forgotten on the finalizer's. An exception that left there would end the process, or
/// what it was in the midst of. <c>LoggerFactory</c>'s logger throws when one of its providers does, as for a disk that is full.
/// </remarks>
internal sealed class GuardedLogger : ILogger
{
    private readonly ILogger _logger;

    private GuardedLogger(ILogger logger) => _logger = logger;

    /// <summary>Puts the guard before a logger, where options are taken over: everything behind logs through it.</summary>
    internal static ILogger Of(ILogger logger) => logger is NullLogger or GuardedLogger ? logger : new GuardedLogger(logger);

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        try
        {
            return _logger.BeginScope(state);
        }
#pragma warning disable CA1031 // As the type says.
        catch (Exception)
#pragma warning restore CA1031
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel)
    {
        try
        {
            return _logger.IsEnabled(logLevel);
        }
#pragma warning disable CA1031 // As the type says.
        catch (Exception)
#pragma warning restore CA1031
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        try
        {
            _logger.Log(logLevel, eventId, state, exception, formatter);
        }
#pragma warning disable CA1031 // As the type says.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
    }
}
