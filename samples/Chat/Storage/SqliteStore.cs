using Chat.Domain;
using Microsoft.Data.Sqlite;

namespace Chat.Storage;

/// <summary>Keeps the chat in a folder: a SQLite database <c>chat.db</c>, and a lock, so that two servers never write to one.</summary>
/// <remarks>
/// The write-ahead log is synced at the end of every transaction: what a method was given is on the disk when it returns, and is there
/// after the process was killed or the machine lost its power. One caller at a time, on any thread.
/// </remarks>
public sealed class SqliteStore : IChatStore
{
    private const string DatabaseName = "chat.db";
    private const string LockName = "chat.lock";

    private readonly FileStream _lock;
    private readonly SqliteConnection _connection;
    private readonly Statements _statements;

    // What the rooms' numbers are; from the database when a room is not here.
    private readonly Dictionary<string, Room> _rooms = [];

    // Those whose numbers grew in the transaction that runs.
    private readonly HashSet<Room> _grown = [];

    private SqliteStore(FileStream held, SqliteConnection connection)
    {
        _lock = held;
        _connection = connection;
        _statements = new Statements(connection);
    }

    /// <summary>Opens a folder, and makes it if it is not there.</summary>
    /// <param name="folder">Its path.</param>
    /// <exception cref="IOException">It cannot be made or read, another server has it, or a later version of this program wrote it.</exception>
    public static SqliteStore Open(string folder)
    {
        FileStream held = Lock(folder);
        SqliteConnection? connection = null;
        try
        {
            connection = new SqliteConnection(new SqliteConnectionStringBuilder
            {
                DataSource = Path.Combine(folder, DatabaseName),

                // A pool would keep the file open after the end.
                Pooling = false,
            }.ToString());
            connection.Open();
            Schema.Prepare(connection);
            return new SqliteStore(held, connection);
        }
        catch (Exception exception)
        {
            connection?.Dispose();
            held.Dispose();
            throw exception is SqliteException ? new IOException($"cannot open {Path.Combine(folder, DatabaseName)}: {exception.Message}", exception) : exception;
        }
    }

    public IReadOnlyList<StoreResult> Append(IReadOnlyList<NewMessage> messages) => InTransaction(() =>
    {
        var results = new StoreResult[messages.Count];
        for (int index = 0; index < results.Length; index++)
        {
            results[index] = Append(messages[index]);
        }

        foreach (Room room in _grown)
        {
            _statements.SetSequence.Run(room.Id, room.Sequence);
        }

        return results;
    });

    public StoredRoom LoadRoom(string room, int limit) => Translate(() =>
    {
        (long id, long sequence, Topic? topic) = _statements.FindRoom.First(
            static row => (row.GetInt64(0), row.GetInt64(1), ReadTopic(row)), room);
        if (id == 0)
        {
            return new StoredRoom(0, [], null, [], []);
        }

        List<RoomMessage> messages = _statements.LastMessages.All(row => ReadMessage(row, room), id, limit);
        messages.Reverse();
        return new StoredRoom(
            sequence, messages, topic, Restricted(id, RestrictionKind.Ban), Restricted(id, RestrictionKind.Mute));
    });

    public IReadOnlyList<RoomMessage> Read(string room, long after, int limit) => Translate(() =>
    {
        long id = _statements.FindRoom.First(static row => row.GetInt64(0), room);
        return (IReadOnlyList<RoomMessage>)_statements.MessagesAfter.All(row => ReadMessage(row, room), id, after, limit);
    });

    public void SaveTopic(string room, Topic topic) => InTransaction(() =>
    {
        _statements.SetTopic.Run(FindOrMake(room).Id, topic.Text, topic.By, topic.Time.ToUnixTimeMilliseconds());
        return true;
    });

    public void SaveRestriction(string room, RestrictionKind kind, string target, bool holds) => InTransaction(() =>
    {
        (holds ? _statements.Restrict : _statements.Lift).Run(FindOrMake(room).Id, (int)kind, target);
        return true;
    });

    public IReadOnlyList<Account> LoadAccounts() => Translate(() =>
        (IReadOnlyList<Account>)_statements.Accounts.All(static row => new Account(row.GetString(0), row.GetString(1))));

    public void SaveAccount(Account account) => InTransaction(() =>
    {
        _statements.SaveAccount.Run(ChatRules.NameKey(account.Name), account.Name, account.PasswordHash);
        return true;
    });

    public int Prune(DateTimeOffset before) => InTransaction(() => _statements.Prune.Run(before.ToUnixTimeMilliseconds()));

    public void Dispose()
    {
        _statements.Dispose();
        _connection.Dispose();
        _lock.Dispose();
    }

    private static FileStream Lock(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"cannot make the data folder '{folder}': {exception.Message}", exception);
        }

        string path = Path.Combine(folder, LockName);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException($"cannot write to the data folder '{folder}': {exception.Message}", exception);
        }
        catch (IOException exception)
        {
            throw new IOException($"the data folder '{folder}' is in use by another server, which holds {path}", exception);
        }
    }

    private StoreResult Append(NewMessage message)
    {
        Room room = FindOrMake(message.Room);
        string sender = ChatRules.NameKey(message.From);
        if (message.MessageId.Length > 0)
        {
            (long sequence, long time, bool isSame) = _statements.FindById.First(
                row => (row.GetInt64(0), row.GetInt64(1), row.GetString(2) == message.Text && row.GetInt64(3) == (int)message.Kind),
                room.Id, sender, message.MessageId);
            if (sequence > 0)
            {
                StoreOutcome outcome = isSame ? StoreOutcome.Repetition : StoreOutcome.IdTaken;
                return new StoreResult(outcome, sequence, DateTimeOffset.FromUnixTimeMilliseconds(time));
            }
        }

        // To the millisecond, as it is kept: the first answer and a later one must not differ.
        long milliseconds = message.Time.ToUnixTimeMilliseconds();
        room.Sequence++;
        _grown.Add(room);
        _statements.Insert.Run(
            room.Id,
            room.Sequence,
            message.From,
            sender,
            message.MessageId.Length > 0 ? message.MessageId : DBNull.Value,
            (int)message.Kind,
            message.Text,
            milliseconds);
        return new StoreResult(StoreOutcome.Stored, room.Sequence, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds));
    }

    private Room FindOrMake(string name)
    {
        if (!_rooms.TryGetValue(name, out Room? room))
        {
            _statements.MakeRoom.Run(name);
            room = _statements.FindRoom.First(static row => new Room(row.GetInt64(0), row.GetInt64(1)), name)!;
            _rooms.Add(name, room);
        }

        return room;
    }

    private List<string> Restricted(long room, RestrictionKind kind)
        => _statements.Restricted.All(static row => row.GetString(0), room, (int)kind);

    private static Topic? ReadTopic(SqliteDataReader row) => row.GetString(2).Length == 0 ? null
        : new Topic(row.GetString(2), row.GetString(3), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(4)));

    private static RoomMessage ReadMessage(SqliteDataReader row, string room) => new(
        room,
        row.GetInt64(0),
        row.GetString(1),
        row.GetString(2),
        DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(3)),
        (MessageKind)row.GetInt64(4));

    private T InTransaction<T>(Func<T> action) => Translate(() =>
    {
        try
        {
            using SqliteTransaction transaction = _connection.BeginTransaction();
            _statements.Use(transaction);
            T result = action();
            transaction.Commit();
            return result;
        }
        catch
        {
            // What they say was not kept.
            _rooms.Clear();
            throw;
        }
        finally
        {
            _grown.Clear();
            _statements.Use(null);
        }
    });

    private static T Translate<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (SqliteException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    private sealed class Room
    {
        public Room(long id, long sequence)
        {
            Id = id;
            Sequence = sequence;
        }

        public long Id { get; }

        public long Sequence { get; set; }
    }
}
