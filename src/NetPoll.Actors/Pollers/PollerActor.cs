using NetPoll.Actors.Diagnostics;
using Proto;

namespace NetPoll.Actors.Pollers;

/// <summary>A poller as an actor: parent and supervisor of the connections that live on its thread.</summary>
/// <remarks>
/// PID <c>netpoll/poller-n</c>. Answers <see cref="GetPollerSnapshot"/> and <see cref="DrainPoller"/>, and for its own connections
/// <see cref="GetConnections"/> and <see cref="CloseConnections"/>. A connection whose handler throws is stopped, and no other is touched.
/// </remarks>
internal sealed class PollerActor : IActor
{
    private readonly ActorPoller _home;

    internal PollerActor(ActorPoller home) => _home = home;

    /// <inheritdoc/>
    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case GetPollerSnapshot:
                context.Respond(_home.Poller.Snapshot());
                break;

            case GetConnections or CloseConnections:
                _ = ConnectionTableActor.TryAnswer(context, [_home]);
                break;

            case DrainPoller drain:
                // Not awaited by the mailbox, which must take the failures of connections meanwhile.
                _ = DrainAsync(context.System, context.Self, context.Sender, drain.Time);
                break;

            case Stopping:
                // Adopted children are not stopped with their parent: that is ours to do.
                return _home.DrainAsync(TimeSpan.Zero);

            case Connections.WatchHandler watch:
                context.Watch(watch.Handler);
                break;

            case Connections.UnwatchHandler unwatch:
                context.Unwatch(unwatch.Handler);
                break;

            case Terminated terminated:
                // A handler; or a connection of ours, which took itself out of the table when it closed.
                _home.Handlers.Stopped(terminated.Who);
                break;
        }

        return Task.CompletedTask;
    }

    // Answers even if the actor has stopped meanwhile.
    private async Task DrainAsync(ActorSystem system, PID self, PID? sender, TimeSpan time)
    {
        int reset = await _home.DrainAsync(time);
        if (sender is not null)
        {
            system.Root.Send(sender, new PollerDrained(self, reset));
        }
    }
}
