using Microsoft.Data.Sqlite;

namespace Chat.Storage;

/// <summary>Everything that is asked of the database, prepared once.</summary>
internal sealed class Statements : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly List<Statement> _all = [];

    public Statements(SqliteConnection connection)
    {
        _connection = connection;
        MakeRoom = Prepare("INSERT OR IGNORE INTO rooms (name) VALUES ($1)");
        FindRoom = Prepare("SELECT id, sequence, topic, topic_by, topic_time FROM rooms WHERE name = $1");
        SetSequence = Prepare("UPDATE rooms SET sequence = $2 WHERE id = $1");
        SetTopic = Prepare("UPDATE rooms SET topic = $2, topic_by = $3, topic_time = $4 WHERE id = $1");
        Insert = Prepare(
            "INSERT INTO messages (room, sequence, sender, sender_key, message_id, kind, text, time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
        FindById = Prepare("SELECT sequence, time, text, kind FROM messages WHERE room = $1 AND sender_key = $2 AND message_id = $3");
        LastMessages = Prepare(
            "SELECT sequence, sender, text, time, kind FROM messages WHERE room = $1 ORDER BY sequence DESC LIMIT $2");
        MessagesAfter = Prepare(
            "SELECT sequence, sender, text, time, kind FROM messages WHERE room = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
        Restrict = Prepare("INSERT OR IGNORE INTO restrictions (room, kind, target) VALUES ($1, $2, $3)");
        Lift = Prepare("DELETE FROM restrictions WHERE room = $1 AND kind = $2 AND target = $3");
        Restricted = Prepare("SELECT target FROM restrictions WHERE room = $1 AND kind = $2");
        Accounts = Prepare("SELECT name, password_hash FROM accounts");
        SaveAccount = Prepare("INSERT OR REPLACE INTO accounts (key, name, password_hash) VALUES ($1, $2, $3)");
        Prune = Prepare("DELETE FROM messages WHERE time < $1");
    }

    public Statement MakeRoom { get; }

    public Statement FindRoom { get; }

    public Statement SetSequence { get; }

    public Statement SetTopic { get; }

    public Statement Insert { get; }

    public Statement FindById { get; }

    public Statement LastMessages { get; }

    public Statement MessagesAfter { get; }

    public Statement Restrict { get; }

    public Statement Lift { get; }

    public Statement Restricted { get; }

    public Statement Accounts { get; }

    public Statement SaveAccount { get; }

    public Statement Prune { get; }

    /// <summary>From now on they belong to the transaction, or to none.</summary>
    public void Use(SqliteTransaction? transaction)
    {
        foreach (Statement statement in _all)
        {
            statement.Use(transaction);
        }
    }

    public void Dispose()
    {
        foreach (Statement statement in _all)
        {
            statement.Dispose();
        }
    }

    private Statement Prepare(string sql)
    {
        var statement = new Statement(_connection, sql);
        _all.Add(statement);
        return statement;
    }
}

/// <summary>One statement with the parameters $1, $2, ...</summary>
internal sealed class Statement : IDisposable
{
    private readonly SqliteCommand _command;

    public Statement(SqliteConnection connection, string sql)
    {
        _command = connection.CreateCommand();
        _command.CommandText = sql;
        for (int number = 1; sql.Contains($"${number}", StringComparison.Ordinal); number++)
        {
            _command.Parameters.Add(new SqliteParameter { ParameterName = $"${number}" });
        }
    }

    public void Use(SqliteTransaction? transaction) => _command.Transaction = transaction;

    /// <summary>Runs it for what it changes.</summary>
    /// <returns>How many rows those were.</returns>
    public int Run(params ReadOnlySpan<object> values)
    {
        Bind(values);
        return _command.ExecuteNonQuery();
    }

    /// <summary>The first row of the answer; the type's default if there is none.</summary>
    public T? First<T>(Func<SqliteDataReader, T> read, params ReadOnlySpan<object> values)
    {
        Bind(values);
        using SqliteDataReader reader = _command.ExecuteReader();
        return reader.Read() ? read(reader) : default;
    }

    /// <summary>All rows of the answer.</summary>
    public List<T> All<T>(Func<SqliteDataReader, T> read, params ReadOnlySpan<object> values)
    {
        Bind(values);
        List<T> rows = [];
        using SqliteDataReader reader = _command.ExecuteReader();
        while (reader.Read())
        {
            rows.Add(read(reader));
        }

        return rows;
    }

    public void Dispose() => _command.Dispose();

    private void Bind(ReadOnlySpan<object> values)
    {
        for (int index = 0; index < values.Length; index++)
        {
            _command.Parameters[index].Value = values[index];
        }
    }
}
