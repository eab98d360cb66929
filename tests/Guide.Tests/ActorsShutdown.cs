using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal static class ActorsShutdown
{
    public static async Task StopAsync(ActorSystem system)
    {
        // No new connections; OnShutdown to all; 20 s for them to end; the rest is reset. Then the pollers' actors and their threads.
        await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(20));

        // Stops no actor by itself, so it comes last.
        await system.ShutdownAsync();
    }
}
