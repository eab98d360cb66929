using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NetPoll.Core;

namespace NetPoll.Hosting;

/// <summary>The health check of a host with NetPoll.</summary>
public static class HealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds the check: it fails before the start, when a poller has ended, when a listener of the host's does not listen, and from the
    /// beginning of the stop on; it reports <see cref="HealthStatus.Degraded"/> while a turn holds a poller for
    /// <see cref="PollerOptions.StallThreshold"/> or longer.
    /// </summary>
    /// <param name="builder">What <c>services.AddHealthChecks()</c> returns; NetPoll is added by <see cref="ServiceCollectionExtensions.AddNetPoll"/>.</param>
    /// <param name="name">What the check is called.</param>
    /// <param name="failureStatus">What a failure is reported as; null for unhealthy.</param>
    /// <param name="tags">To choose checks by.</param>
    public static IHealthChecksBuilder AddNetPoll(
        this IHealthChecksBuilder builder, string name = "netpoll", HealthStatus? failureStatus = null, IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new HealthCheckRegistration(
            name,
            static services => new NetPollHealthCheck(services.GetRequiredService<NetPollHostedService>()),
            failureStatus,
            tags));
    }
}
