using NetPoll.Actors.Pollers;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors;

/// <summary>Whether NetPoll can serve, at one moment.</summary>
/// <param name="IsStopping">A shutdown has begun.</param>
/// <param name="Pollers">Each poller.</param>
/// <param name="Listeners">The listeners that listen.</param>
public sealed record NetPollHealth(bool IsStopping, IReadOnlyList<PollerHealth> Pollers, IReadOnlyList<Listener> Listeners)
{
    internal static NetPollHealth Of(NetPollExtension extension)
    {
        TimeSpan threshold = extension.Options.Pollers.StallThreshold;
        return new NetPollHealth(
            extension.IsStopping,
            [.. extension.Homes.Select(home => PollerHealth.Of(home, threshold))],
            extension.Listeners);
    }
}

/// <summary>Whether a poller does its work, at one moment.</summary>
/// <param name="Pid">The poller's actor.</param>
/// <param name="IsRunning">Its thread runs. One that has ended, by a failure or a shutdown, never runs again.</param>
/// <param name="HeldFor">How long the turn that runs has lasted; zero while the poller waits for events, and after its end.</param>
/// <param name="IsStalled">That is as long as <see cref="PollerOptions.StallThreshold"/>, or longer: whatever else lives there waits.</param>
public sealed record PollerHealth(PID Pid, bool IsRunning, TimeSpan HeldFor, bool IsStalled)
{
    internal static PollerHealth Of(ActorPoller home, TimeSpan threshold)
    {
        TimeSpan held = home.Poller.HeldFor;
        return new PollerHealth(home.Pid, !home.Poller.HasStopped, held, threshold != Timeout.InfiniteTimeSpan && held >= threshold);
    }
}
