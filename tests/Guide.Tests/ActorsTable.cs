using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal static class ActorsTable
{
    internal static async Task<IReadOnlyList<ConnectionInfo>> SlowestAsync(ActorSystem system)
    {
        ConnectionTable table = await system.Root.RequestAsync<ConnectionTable>(
            system.NetPoll().ConnectionTable,
            new GetConnections { Where = row => row.OutputBytes > 0, OrderBy = ConnectionOrder.OldestUnsent, Limit = 10 });
        return table.Connections;
    }

    internal static async Task<int> CloseIdleAsync(ActorSystem system, TimeSpan idle)
    {
        ConnectionsClosing closing = await system.Root.RequestAsync<ConnectionsClosing>(
            system.NetPoll().ConnectionTable, new CloseConnections(row => row.IdleFor > idle));
        return closing.Count;
    }
}
