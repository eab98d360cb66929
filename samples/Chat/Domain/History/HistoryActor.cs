using Microsoft.Extensions.Logging;
using Proto;

namespace Chat.Domain;

/// <summary>Keeps what must survive, by an <see cref="IChatStore"/>, on a thread of its own.</summary>
/// <remarks>
/// Messages are stored in batches: the first of one sends <see cref="Commit"/> to the actor itself, which comes after all that are in the
/// mailbox by then. So a batch is as large as what arrived while the last one was written, and a lonely message does not wait.
/// </remarks>
internal sealed partial class HistoryActor : IActor
{
    // Bounds the time that the last message of a batch waits for the first.
    private const int MaxBatch = 1000;

    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);

    private readonly IChatStore _store;
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly ChatFigures _figures;
    private readonly ILogger _logger;
    private readonly List<AppendMessage> _batch = [];

    public HistoryActor(IChatStore store, ChatOptions options, TimeProvider time, ChatFigures figures, ILogger logger)
    {
        _store = store;
        _options = options;
        _time = time;
        _figures = figures;
        _logger = logger;
    }

    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Started:
                Prune(context);
                break;
            case AppendMessage append:
                _batch.Add(append);
                if (_batch.Count == 1)
                {
                    context.Send(context.Self, Commit.Instance);
                }
                else if (_batch.Count == MaxBatch)
                {
                    Store(context);
                }

                break;
            case Commit:
                Store(context);
                break;
            case Stopping:
                Store(context);
                break;
            case HistoryRequest request:
                // What was said before is to be found.
                Store(context);
                Answer(context, request);
                break;
        }

        return Task.CompletedTask;
    }

    private void Store(IContext context)
    {
        if (_batch.Count == 0)
        {
            return;
        }

        IReadOnlyList<StoreResult>? results = null;
        string? error = Try(() => results = _store.Append([.. _batch.Select(static append => append.Message)]));
        for (int index = 0; index < _batch.Count; index++)
        {
            AppendMessage append = _batch[index];
            context.Send(append.Asker, new Appended(append.Message, results?[index] ?? default, error));
        }

        if (error is null)
        {
            _figures.Stored(_batch.Count);
        }

        _batch.Clear();
    }

    private void Answer(IContext context, HistoryRequest request)
    {
        string? error;
        switch (request)
        {
            case LoadRoom load:
                StoredRoom? room = null;
                error = Try(() => room = _store.LoadRoom(load.Room, load.Limit));
                context.Send(load.Asker, new RoomLoaded(room, error));
                break;
            case ReadMessages read:
                Read(context, read);
                break;
            case SaveTopic save:
                Try(() => _store.SaveTopic(save.Room, save.Topic));
                break;
            case SaveRestriction save:
                Try(() => _store.SaveRestriction(save.Room, save.Kind, save.Target, save.Holds));
                break;
            case SaveAccount save:
                error = Try(() => _store.SaveAccount(save.Account));
                context.Send(save.Asker, new AccountSaved(save.Account, error));
                break;
            case LoadAccounts load:
                IReadOnlyList<Account> accounts = [];
                error = Try(() => accounts = _store.LoadAccounts());
                context.Send(load.Asker, new AccountsLoaded(accounts, error));
                break;
        }
    }

    private void Read(IContext context, ReadMessages read)
    {
        IReadOnlyList<RoomMessage> messages = [];

        // One more than wanted tells whether these are the last.
        string? error = Try(() => messages = _store.Read(read.Room, read.After, read.Limit + 1));
        bool isLast = messages.Count <= read.Limit;
        context.Send(
            read.Asker,
            error is null
                ? new HistoryPage(read.RequestId, read.Room, isLast ? messages : [.. messages.Take(read.Limit)], isLast)
                : new Refused(read.RequestId, RefusalReason.Unavailable, $"the history cannot be read: {error}", read.Room));
    }

    private void Prune(IContext context)
    {
        int pruned = 0;
        if (Try(() => pruned = _store.Prune(_time.GetUtcNow() - _options.HistoryAge)) is null && pruned > 0)
        {
            LogPruned(_logger, pruned, _options.HistoryAge.TotalDays);
        }

        context.ReenterAfter(Task.Delay(PruneInterval, _time, context.CancellationToken), delay =>
        {
            if (delay.IsCompletedSuccessfully)
            {
                Prune(context);
            }
        });
    }

    /// <summary>Runs it; the store's failure is logged and returned, since the chat goes on without what it refuses.</summary>
    private string? Try(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (IOException exception)
        {
            LogStoreFailed(_logger, exception);
            return exception.Message;
        }
    }

    [LoggerMessage(EventId = 2, Level = LogLevel.Error, Message = "The store failed; what it was given is not kept")]
    private static partial void LogStoreFailed(ILogger logger, Exception exception);

    [LoggerMessage(EventId = 3, Level = LogLevel.Information, Message = "Forgot {Messages} messages of more than {Days} days ago")]
    private static partial void LogPruned(ILogger logger, int messages, double days);

    private sealed class Commit
    {
        public static readonly Commit Instance = new();
    }
}
