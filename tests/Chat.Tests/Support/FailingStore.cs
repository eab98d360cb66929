using Chat.Domain;

namespace Chat.Tests.Support;

/// <summary>A store whose disk is full, or broken, as long as the test says so; and which counts what it is given.</summary>
internal sealed class FailingStore : IChatStore
{
    private readonly MemoryStore _store = new();
    private volatile bool _fails;
    private volatile int _batches;

    public bool Fails
    {
        get => _fails;
        set => _fails = value;
    }

    /// <summary>Calls of <see cref="Append"/>.</summary>
    public int Batches => _batches;

    /// <summary>Holds up every batch until it is set; not at all by default.</summary>
    public ManualResetEventSlim Gate { get; } = new(initialState: true);

    public IReadOnlyList<StoreResult> Append(IReadOnlyList<NewMessage> messages)
    {
        Gate.Wait();
        _batches++;
        return Try(() => _store.Append(messages));
    }

    public StoredRoom LoadRoom(string room, int limit) => Try(() => _store.LoadRoom(room, limit));

    public IReadOnlyList<RoomMessage> Read(string room, long after, int limit) => Try(() => _store.Read(room, after, limit));

    public void SaveTopic(string room, Topic topic) => _store.SaveTopic(room, topic);

    public void SaveRestriction(string room, RestrictionKind kind, string target, bool holds)
        => _store.SaveRestriction(room, kind, target, holds);

    public IReadOnlyList<Account> LoadAccounts() => _store.LoadAccounts();

    public void SaveAccount(Account account) => _store.SaveAccount(account);

    public int Prune(DateTimeOffset before) => _store.Prune(before);

    public void Dispose() => Gate.Dispose();

    private T Try<T>(Func<T> action) => Fails ? throw new IOException("no space left on the disk") : action();
}
