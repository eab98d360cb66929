using Microsoft.Extensions.Diagnostics.HealthChecks;
using NetPoll.Actors;

namespace NetPoll.Hosting;

/// <summary>Unhealthy when a poller has ended, a listener of the host's does not listen, a datagram socket is not open, or the host stops; degraded when a poller is held.</summary>
internal sealed class NetPollHealthCheck : IHealthCheck
{
    private readonly NetPollHostedService _service;

    public NetPollHealthCheck(NetPollHostedService service) => _service = service;

    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(context);
        return Task.FromResult(Check(context.Registration.FailureStatus));
    }

    private HealthCheckResult Check(HealthStatus failure)
    {
        if (_service.NetPoll is not { } netPoll)
        {
            return new HealthCheckResult(failure, "NetPoll has not started.");
        }

        NetPollHealth health = netPoll.CheckHealth();
        Dictionary<string, object> data = new()
        {
            ["pollers"] = health.Pollers.Count,
            ["listeners"] = health.Listeners.Select(static listener => listener.EndPoint.ToString()).ToArray(),
        };
        if (health.IsStopping)
        {
            return new HealthCheckResult(failure, "NetPoll is stopping.", data: data);
        }

        string[] broken =
        [
            .. health.Pollers.Where(static poller => !poller.IsRunning).Select(static poller => $"{poller.Pid.Id} has ended"),
            .. _service.ListenerNames.Where(name => netPoll.FindListener(name) is null).Select(static name => $"listener '{name}' does not listen"),
            .. _service.DatagramSocketNames.Where(name => netPoll.FindDatagramSocket(name) is null).Select(static name => $"datagram socket '{name}' is not open"),
        ];
        if (broken.Length > 0)
        {
            return new HealthCheckResult(failure, $"{string.Join("; ", broken)}.", data: data);
        }

        string[] stalled = [.. health.Pollers.Where(static poller => poller.IsStalled).Select(static poller => $"{poller.Pid.Id} has been held for {poller.HeldFor}")];
        return stalled.Length > 0
            ? HealthCheckResult.Degraded($"{string.Join("; ", stalled)}.", data: data)
            : HealthCheckResult.Healthy($"{health.Pollers.Count} pollers run; {health.Listeners.Count} listeners listen.", data);
    }
}
