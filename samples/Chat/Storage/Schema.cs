using Microsoft.Data.Sqlite;

namespace Chat.Storage;

/// <summary>The tables, and how a database is opened.</summary>
internal static class Schema
{
    private const long Version = 1;

    private const string Tables = """
        CREATE TABLE rooms (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            sequence INTEGER NOT NULL DEFAULT 0,
            topic TEXT NOT NULL DEFAULT '',
            topic_by TEXT NOT NULL DEFAULT '',
            topic_time INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE messages (
            room INTEGER NOT NULL REFERENCES rooms (id),
            sequence INTEGER NOT NULL,
            sender TEXT NOT NULL,
            sender_key TEXT NOT NULL,
            message_id TEXT,
            kind INTEGER NOT NULL,
            text TEXT NOT NULL,
            time INTEGER NOT NULL,
            PRIMARY KEY (room, sequence)
        ) WITHOUT ROWID;
        CREATE UNIQUE INDEX messages_by_id ON messages (room, sender_key, message_id) WHERE message_id IS NOT NULL;
        CREATE INDEX messages_by_time ON messages (time);
        CREATE TABLE restrictions (
            room INTEGER NOT NULL REFERENCES rooms (id),
            kind INTEGER NOT NULL,
            target TEXT NOT NULL,
            PRIMARY KEY (room, kind, target)
        ) WITHOUT ROWID;
        CREATE TABLE accounts (
            key TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            password_hash TEXT NOT NULL
        ) WITHOUT ROWID;
        """;

    /// <summary>Sets the connection up, and makes the tables in a database that is new.</summary>
    /// <exception cref="IOException">A later version of this program wrote the database.</exception>
    public static void Prepare(SqliteConnection connection)
    {
        Run(connection, "PRAGMA journal_mode = WAL");
        Run(connection, "PRAGMA synchronous = FULL");
        long version = (long)Scalar(connection, "PRAGMA user_version")!;
        if (version == 0)
        {
            Run(connection, $"BEGIN; {Tables} PRAGMA user_version = {Version}; COMMIT");
        }
        else if (version != Version)
        {
            throw new IOException($"{connection.DataSource} has version {version}; this program knows version {Version}");
        }
    }

    private static void Run(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static object? Scalar(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }
}
