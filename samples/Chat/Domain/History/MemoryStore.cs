namespace Chat.Domain;

/// <summary>Keeps everything until the program ends: for tests, and for those who want no traces.</summary>
public sealed class MemoryStore : IChatStore
{
    private readonly Dictionary<string, Room> _rooms = [];
    private readonly Dictionary<string, Account> _accounts = [];

    public IReadOnlyList<StoreResult> Append(IReadOnlyList<NewMessage> messages) => [.. messages.Select(Append)];

    public StoredRoom LoadRoom(string room, int limit)
    {
        Room stored = Find(room);
        return new StoredRoom(
            stored.Sequence, [.. stored.Messages.TakeLast(limit)], stored.Topic, [.. stored.Banned], [.. stored.Muted]);
    }

    public IReadOnlyList<RoomMessage> Read(string room, long after, int limit)
        => [.. Find(room).Messages.SkipWhile(message => message.Sequence <= after).Take(limit)];

    public void SaveTopic(string room, Topic topic) => Find(room).Topic = topic.Text.Length == 0 ? null : topic;

    public void SaveRestriction(string room, RestrictionKind kind, string target, bool holds)
    {
        Room stored = Find(room);
        HashSet<string> targets = kind == RestrictionKind.Ban ? stored.Banned : stored.Muted;
        if (holds)
        {
            targets.Add(target);
        }
        else
        {
            targets.Remove(target);
        }
    }

    public IReadOnlyList<Account> LoadAccounts() => [.. _accounts.Values];

    public void SaveAccount(Account account) => _accounts[ChatRules.NameKey(account.Name)] = account;

    public int Prune(DateTimeOffset before)
    {
        int pruned = 0;
        foreach (Room room in _rooms.Values)
        {
            pruned += room.Messages.RemoveAll(message => message.Time < before);
        }

        return pruned;
    }

    public void Dispose()
    {
    }

    private StoreResult Append(NewMessage message)
    {
        Room room = Find(message.Room);
        (string, string) id = (ChatRules.NameKey(message.From), message.MessageId);
        if (message.MessageId.Length > 0 && room.ById.TryGetValue(id, out RoomMessage? first))
        {
            bool isRepetition = first.Text == message.Text && first.Kind == message.Kind;
            return new StoreResult(isRepetition ? StoreOutcome.Repetition : StoreOutcome.IdTaken, first.Sequence, first.Time);
        }

        RoomMessage stored = message.Numbered(++room.Sequence, message.Time);
        room.Messages.Add(stored);
        if (message.MessageId.Length > 0)
        {
            room.ById.Add(id, stored);
        }

        return new StoreResult(StoreOutcome.Stored, stored.Sequence, stored.Time);
    }

    private Room Find(string name)
    {
        if (!_rooms.TryGetValue(name, out Room? room))
        {
            room = new Room();
            _rooms.Add(name, room);
        }

        return room;
    }

    private sealed class Room
    {
        public List<RoomMessage> Messages { get; } = [];

        public Dictionary<(string From, string Id), RoomMessage> ById { get; } = [];

        public HashSet<string> Banned { get; } = [];

        public HashSet<string> Muted { get; } = [];

        public Topic? Topic { get; set; }

        public long Sequence { get; set; }
    }
}
