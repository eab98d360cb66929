using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NetPoll.Core;

namespace NetPoll.Actors;

/// <summary>How NetPoll works in an actor system.</summary>
public sealed class NetPollOptions
{
    /// <summary>The poller threads.</summary>
    public PollerOptions Pollers { get; set; } = new();

    /// <summary>Where connections and listeners report what goes wrong, and the pollers too unless they have a logger of their own. Default: nowhere.</summary>
    public ILogger Logger { get; set; } = NullLogger.Instance;
}
