using NetPoll.Actors.Connections;
using Proto;

namespace NetPoll.Actors.Pollers;

/// <summary>What becomes of a connection whose handler threw: it is stopped and no other is touched, or its actor is restarted if its options say so.</summary>
internal sealed class ConnectionSupervision(ActorSystem system) : ISupervisorStrategy
{
    /// <inheritdoc/>
    public void HandleFailure(ISupervisor supervisor, PID child, RestartStatistics rs, Exception cause, object? message)
    {
        if (system.ProcessRegistry.Get(child) is Connection { Owner.ConnectionOptions.Restart: { } policy })
        {
            policy.Strategy.HandleFailure(supervisor, child, rs, cause, message);
        }
        else
        {
            supervisor.StopChildren(child);
        }
    }
}
