using Chat.Domain;
using Chat.Storage;
using Microsoft.Data.Sqlite;
using NetPoll.Tests;

namespace Chat.Tests.Storage;

/// <summary>What both stores promise, and what only the one on the disk can.</summary>
public sealed class StoreTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Messages_are_numbered_in_their_rooms_and_read_back(bool onDisk)
    {
        using var folder = new TemporaryFolder();
        using IChatStore store = Open(folder, onDisk);

        IReadOnlyList<StoreResult> results = store.Append(
            [Message("lobby", "one"), Message("attic", "two"), Message("lobby", "three", kind: MessageKind.Action)]);
        store.Append([Message("lobby", "four")]);

        Assert.Equal([(StoreOutcome.Stored, 1L), (StoreOutcome.Stored, 1L), (StoreOutcome.Stored, 2L)], results.Select(result => (result.Outcome, result.Sequence)));
        StoredRoom room = store.LoadRoom("lobby", 2);
        Assert.Equal(3, room.Sequence);
        Assert.Equal(
            [new RoomMessage("lobby", 2, "ada", "three", Now, MessageKind.Action), new RoomMessage("lobby", 3, "ada", "four", Now)], room.Messages);
        Assert.Equal(["three"], store.Read("lobby", 1, 1).Select(message => message.Text));
        Assert.Equal((0, 0), ((int)store.LoadRoom("cellar", 9).Sequence, store.Read("cellar", 0, 9).Count));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_repeated_id_gets_the_first_answer_and_stores_nothing(bool onDisk)
    {
        using var folder = new TemporaryFolder();
        using IChatStore store = Open(folder, onDisk);
        store.Append([Message("lobby", "zero"), Message("lobby", "one", "id-1")]);

        NewMessage later = Message("lobby", "one", "id-1") with { Time = Now.AddHours(1) };
        StoreResult repeated = Assert.Single(store.Append([later]));
        StoreResult shouted = Assert.Single(store.Append([later with { From = "ADA" }]));
        StoreResult other = Assert.Single(store.Append([later with { Text = "another" }]));
        StoreResult others = Assert.Single(store.Append([later with { From = "bob" }]));
        StoreResult elsewhere = Assert.Single(store.Append([later with { Room = "attic" }]));
        IReadOnlyList<StoreResult> twice = store.Append([Message("lobby", "two", "id-2"), Message("lobby", "two", "id-2")]);

        Assert.Equal(new StoreResult(StoreOutcome.Repetition, 2, Now), repeated);
        Assert.Equal(new StoreResult(StoreOutcome.Repetition, 2, Now), shouted);
        Assert.Equal((StoreOutcome.IdTaken, 2L), (other.Outcome, other.Sequence));
        Assert.Equal((StoreOutcome.Stored, 3L), (others.Outcome, others.Sequence));
        Assert.Equal((StoreOutcome.Stored, 1L), (elsewhere.Outcome, elsewhere.Sequence));
        Assert.Equal([(StoreOutcome.Stored, 4L), (StoreOutcome.Repetition, 4L)], twice.Select(result => (result.Outcome, result.Sequence)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Topics_restrictions_and_accounts_are_kept_and_taken_away(bool onDisk)
    {
        using var folder = new TemporaryFolder();
        using IChatStore store = Open(folder, onDisk);
        var topic = new Topic("tea", "ada", Now);

        store.SaveTopic("lobby", topic);
        store.SaveRestriction("lobby", RestrictionKind.Ban, "EVE", holds: true);
        store.SaveRestriction("lobby", RestrictionKind.Ban, "EVE", holds: true);
        store.SaveRestriction("lobby", RestrictionKind.Mute, "BOB", holds: true);
        store.SaveRestriction("lobby", RestrictionKind.Mute, "BOB", holds: false);
        store.SaveAccount(new Account("Ada", "old"));
        store.SaveAccount(new Account("ada", "new"));

        StoredRoom room = store.LoadRoom("lobby", 1);
        Assert.Equal(topic, room.Topic);
        Assert.Equal(["EVE"], room.Banned);
        Assert.Empty(room.Muted);
        Assert.Equal([new Account("ada", "new")], store.LoadAccounts());
        store.SaveTopic("lobby", topic with { Text = "" });
        Assert.Null(store.LoadRoom("lobby", 1).Topic);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Old_messages_are_forgotten_and_the_numbers_go_on(bool onDisk)
    {
        using var folder = new TemporaryFolder();
        using IChatStore store = Open(folder, onDisk);
        store.Append([Message("lobby", "old"), Message("lobby", "new") with { Time = Now.AddDays(1) }, Message("attic", "old")]);

        Assert.Equal(2, store.Prune(Now.AddHours(1)));

        Assert.Equal(["new"], store.LoadRoom("lobby", 9).Messages.Select(message => message.Text));
        Assert.Equal(2, Assert.Single(store.Append([Message("attic", "next")])).Sequence);
    }

    [Fact]
    public void What_is_on_the_disk_is_there_for_the_next_one()
    {
        using var folder = new TemporaryFolder();
        using (SqliteStore store = SqliteStore.Open(folder.Path))
        {
            store.Append([Message("lobby", "one", "id-1")]);
            store.SaveTopic("lobby", new Topic("tea", "ada", Now));
        }

        using SqliteStore next = SqliteStore.Open(folder.Path);
        StoredRoom room = next.LoadRoom("lobby", 9);

        Assert.Equal(("one", "tea"), (Assert.Single(room.Messages).Text, room.Topic?.Text));
        Assert.Equal(StoreOutcome.Repetition, Assert.Single(next.Append([Message("lobby", "one", "id-1")])).Outcome);
        Assert.Equal(2, Assert.Single(next.Append([Message("lobby", "two")])).Sequence);
    }

    [Fact]
    public void A_batch_that_fails_leaves_nothing_behind_and_the_numbers_as_they_were()
    {
        using var folder = new TemporaryFolder();
        using SqliteStore store = SqliteStore.Open(folder.Path);
        store.Append([Message("lobby", "one")]);

        // Stands for a disk that fails in the middle of a batch.
        Execute(folder, "CREATE TRIGGER fail BEFORE INSERT ON messages WHEN NEW.text = 'poison' BEGIN SELECT RAISE(ABORT, 'broken'); END");
        Assert.Throws<IOException>(() => store.Append([Message("lobby", "two"), Message("lobby", "poison")]));

        Assert.Equal(1, store.LoadRoom("lobby", 9).Sequence);
        Assert.Equal(2, Assert.Single(store.Append([Message("lobby", "two")])).Sequence);
    }

    [Fact]
    public void A_folder_that_cannot_be_used_is_named_with_the_reason()
    {
        using var folder = new TemporaryFolder();
        using (SqliteStore.Open(folder.Path))
        {
            var inUse = Assert.Throws<IOException>(() => SqliteStore.Open(folder.Path));
            Assert.Contains($"'{folder.Path}' is in use by another server", inUse.Message, StringComparison.Ordinal);
        }

        string file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "");
        Assert.Contains($"cannot make the data folder '{file}'", Assert.Throws<IOException>(() => SqliteStore.Open(file)).Message, StringComparison.Ordinal);

        Execute(folder, "PRAGMA user_version = 7");
        Assert.Contains("has version 7; this program knows version 1", Assert.Throws<IOException>(() => SqliteStore.Open(folder.Path)).Message, StringComparison.Ordinal);

        File.WriteAllText(Path.Combine(folder.Path, "chat.db"), new string('x', 5000));
        Assert.Contains("chat.db", Assert.Throws<IOException>(() => SqliteStore.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    private static IChatStore Open(TemporaryFolder folder, bool onDisk) => onDisk ? SqliteStore.Open(folder.Path) : new MemoryStore();

    private static NewMessage Message(string room, string text, string id = "", MessageKind kind = MessageKind.Text)
        => new(room, "ada", id, kind, text, Now);

    private static void Execute(TemporaryFolder folder, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(folder.Path, "chat.db")};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
