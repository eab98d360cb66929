using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using NetPoll.Actors;

namespace NetPoll.Hosting;

/// <summary>What has no logger of its own reports to the host's.</summary>
internal sealed class HostLoggers : IPostConfigureOptions<NetPollOptions>
{
    private readonly ILoggerFactory? _loggers;

    public HostLoggers(IServiceProvider services) => _loggers = services.GetService<ILoggerFactory>();

    public void PostConfigure(string? name, NetPollOptions options)
    {
        if (_loggers is null)
        {
            return;
        }

        if (options.Logger == NullLogger.Instance)
        {
            options.Logger = _loggers.CreateLogger("NetPoll.Actors");
        }

        if (options.Pollers?.Logger == NullLogger.Instance)
        {
            options.Pollers.Logger = _loggers.CreateLogger("NetPoll.Core");
        }
    }
}
