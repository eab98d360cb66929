using NetPoll.Actors.Pollers;
using Proto;

namespace NetPoll.Actors.Diagnostics;

/// <summary>The live table of all pollers: PID <c>netpoll/connections</c>. It keeps nothing; each question goes to the pollers.</summary>
internal sealed class ConnectionTableActor : IActor
{
    internal const string Id = "netpoll/connections";

    private readonly NetPollExtension _extension;

    internal ConnectionTableActor(NetPollExtension extension) => _extension = extension;

    /// <inheritdoc/>
    public Task ReceiveAsync(IContext context)
    {
        _ = TryAnswer(context, _extension.Homes);
        return Task.CompletedTask;
    }

    /// <summary>Answers a question about the connections of some pollers. Does not wait for the answer: the mailbox is free for the next one.</summary>
    /// <returns>False for another message.</returns>
    internal static bool TryAnswer(IContext context, ReadOnlySpan<ActorPoller> homes)
    {
        switch (context.Message)
        {
            case GetConnections query:
                List<TableScan> tables = [];
                foreach (ActorPoller home in homes)
                {
                    tables.Add(new TableScan(home, query));
                }

                Answer(context, tables, () => Gather(tables, query));
                return true;

            case CloseConnections order:
                List<CloseScan> closings = [];
                foreach (ActorPoller home in homes)
                {
                    closings.Add(new CloseScan(home, order));
                }

                Answer(context, closings, () => new ConnectionsClosing(
                    closings.Sum(static scan => scan.Closed),
                    closings.Find(static scan => scan.Failure is not null)?.Failure));
                return true;

            default:
                return false;
        }
    }

    private static void Answer(IContext context, IReadOnlyList<ConnectionScan> scans, Func<object> answer)
    {
        ActorSystem system = context.System;
        PID? sender = context.Sender;
        _ = AnswerAsync();

        async Task AnswerAsync()
        {
            await Task.WhenAll(scans.Select(static scan => scan.RunAsync())).ConfigureAwait(false);
            if (sender is not null)
            {
                system.Root.Send(sender, answer());
            }
        }
    }

    private static ConnectionTable Gather(List<TableScan> scans, GetConnections query)
    {
        IEnumerable<ConnectionInfo> rows = scans.SelectMany(static scan => scan.Rows);
        if (query.OrderBy != ConnectionOrder.None)
        {
            rows = rows.OrderByDescending(row => TableScan.Key(row, query.OrderBy));
        }

        return new ConnectionTable(
            [.. rows.Take(query.Limit)],
            scans.Sum(static scan => scan.Matched),
            scans.Sum(static scan => scan.Total),
            scans.Find(static scan => scan.Failure is not null)?.Failure);
    }
}
