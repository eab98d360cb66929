using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

internal static class ActorsOnPollers
{
    internal static PID SpawnScores(ActorSystem system)
    {
        Props props = Props.FromProducer(static () => new Scores()).OnPoller(PollerChoice.RoundRobin);
        return system.Root.Spawn(props);
    }

    internal static Task<int> CountOnPoller(ActorSystem system, Func<int> count)
    {
        TaskCompletionSource<int> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Poller poller = system.NetPoll().PollerThreads[0];
        poller.Post(() => done.SetResult(count()));
        return done.Task;
    }

    internal static async Task<string> DrainAsync(ActorSystem system)
    {
        PID poller = system.NetPoll().Pollers[0];
        PollerSnapshot figures = await system.Root.RequestAsync<PollerSnapshot>(poller, new GetPollerSnapshot());
        PollerDrained drained = await system.Root.RequestAsync<PollerDrained>(
            poller, new DrainPoller(TimeSpan.FromSeconds(20)), timeout: TimeSpan.FromSeconds(25));
        return $"{figures.Poller} had {figures.Monitored} descriptors; {drained.Reset} connections had to be reset";
    }
}

internal sealed record Scored(string Player, int Points);

internal sealed record GetBest;

internal sealed class Scores : IActor
{
    private readonly Dictionary<string, int> _points = [];

    public async Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Scored scored:
                _points[scored.Player] = _points.GetValueOrDefault(scored.Player) + scored.Points;
                break;
            case GetBest:
                // The poller's connections and its other actors go on meanwhile; this actor is given nothing else until the task ends.
                await SaveAsync();
                context.Respond(_points.MaxBy(static entry => entry.Value).Key);
                break;
        }
    }

    private static Task SaveAsync() => Task.Delay(TimeSpan.FromMilliseconds(1));
}
