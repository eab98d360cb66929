namespace Chat.Domain;

/// <summary>The limits of the chat, for every door alike.</summary>
public sealed class ChatOptions
{
    /// <summary>Characters (Unicode code points) in a person's name: 1 to 64. Default 32.</summary>
    public int MaxNameLength { get; init; } = 32;

    /// <summary>Characters (Unicode code points) in a room's name: 1 to 128. Default 64.</summary>
    public int MaxRoomNameLength { get; init; } = 64;

    /// <summary>Bytes of a text in UTF-8: 1 to 8,192, so that a request with it fits into a frame. Default 4,000.</summary>
    public int MaxTextBytes { get; init; } = 4000;

    /// <summary>Rooms that one session may be in: 1 to 10,000. Default 32.</summary>
    public int MaxRoomsPerSession { get; init; } = 32;

    /// <summary>Rooms that may exist at a time: 1 to 1,000,000. Default 10,000. A room costs a few kilobytes.</summary>
    public int MaxRooms { get; init; } = 10_000;

    /// <summary>
    /// People in a room: 1 to 15,000, so that the list of its members fits into a frame. Default 10,000.
    /// </summary>
    public int MaxMembersPerRoom { get; init; } = 10_000;

    /// <summary>Rooms that one answer to a request for the rooms lists: 1 to 10,000, the fullest first. Default 500.</summary>
    public int MaxListedRooms { get; init; } = 500;

    /// <summary>Bytes of a topic in UTF-8: 1 to 4,000. Default 300.</summary>
    public int MaxTopicBytes { get; init; } = 300;

    /// <summary>Characters of the id that a sender gives a message: 1 to 256. Default 64.</summary>
    public int MaxMessageIdLength { get; init; } = 64;

    /// <summary>Messages of a room that those who come, or come back, may be told: 1 to 10,000. Default 500.</summary>
    public int ReplayMessages { get; init; } = 500;

    /// <summary>
    /// Bytes of those messages, roughly: 4 KiB to 2 MiB, so that they fit into a frame. Default 256 KiB. A room keeps them in memory.
    /// </summary>
    public int ReplayBytes { get; init; } = 256 * 1024;

    /// <summary>How old those messages may be: 1 minute to 10 years. Default 7 days.</summary>
    public TimeSpan ReplayAge { get; init; } = TimeSpan.FromDays(7);

    /// <summary>
    /// How long messages are kept: 1 minute to 100 years. Default 365 days. A repetition is known as one as long as its message is kept.
    /// </summary>
    public TimeSpan HistoryAge { get; init; } = TimeSpan.FromDays(365);

    /// <summary>Requests to one room that may wait for the disk: 1 to 1,000,000. Default 10,000.</summary>
    public int MaxWaitingPerRoom { get; init; } = 10_000;

    /// <summary>A room with more people than this tells who comes and goes in batches: 0 to 15,000. Default 50.</summary>
    public int PresenceBatchFrom { get; init; } = 50;

    /// <summary>How long such a batch is collected: 10 ms to 1 minute. Default 500 ms.</summary>
    public TimeSpan PresenceInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Messages, topics and the like that a session may send at once: 1 to 1,000,000. Default 20.</summary>
    public int FloodBurst { get; init; } = 20;

    /// <summary>The same per second, on average: 0.1 to 1,000,000. Default 5.</summary>
    public double FloodRate { get; init; } = 5;

    /// <summary>How long everything of a session is refused that went beyond: 0 to 1 hour. Default 2 s.</summary>
    public TimeSpan FloodCoolDown { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Wrong passwords that one connection may try: 1 to 1,000. Default 3.</summary>
    public int MaxWrongPasswords { get; init; } = 3;

    /// <summary>
    /// The names of those who may become operators, each with the hash of their password as <see cref="PasswordHash"/> makes it.
    /// Default none.
    /// </summary>
    public IReadOnlyDictionary<string, string> Operators { get; init; } = new Dictionary<string, string>();

    /// <summary>Throws when a value is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and its range.</exception>
    public void Validate()
    {
        Check(nameof(MaxNameLength), MaxNameLength, 64);
        Check(nameof(MaxRoomNameLength), MaxRoomNameLength, 128);
        Check(nameof(MaxTextBytes), MaxTextBytes, 8192);
        Check(nameof(MaxRoomsPerSession), MaxRoomsPerSession, 10_000);
        Check(nameof(MaxRooms), MaxRooms, 1_000_000);
        Check(nameof(MaxMembersPerRoom), MaxMembersPerRoom, 15_000);
        Check(nameof(MaxListedRooms), MaxListedRooms, 10_000);
        Check(nameof(MaxTopicBytes), MaxTopicBytes, 4000);
        Check(nameof(MaxMessageIdLength), MaxMessageIdLength, 256);
        Check(nameof(ReplayMessages), ReplayMessages, 10_000);
        Check(nameof(ReplayBytes), ReplayBytes, 4096, 2 * 1024 * 1024);
        Check(nameof(ReplayAge), ReplayAge, TimeSpan.FromMinutes(1), TimeSpan.FromDays(3650), "1 minute to 10 years");
        Check(nameof(HistoryAge), HistoryAge, TimeSpan.FromMinutes(1), TimeSpan.FromDays(36_500), "1 minute to 100 years");
        Check(nameof(MaxWaitingPerRoom), MaxWaitingPerRoom, 1_000_000);
        Check(nameof(PresenceBatchFrom), PresenceBatchFrom, 0, 15_000);
        Check(nameof(PresenceInterval), PresenceInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), "10 ms to 1 minute");
        Check(nameof(FloodBurst), FloodBurst, 1_000_000);
        Check(nameof(MaxWrongPasswords), MaxWrongPasswords, 1000);
        if (!(FloodRate >= 0.1 && FloodRate <= 1_000_000))
        {
            throw new ArgumentOutOfRangeException(nameof(FloodRate), FloodRate, $"FloodRate is {FloodRate}; expected 0.1 to 1000000.");
        }

        Check(nameof(FloodCoolDown), FloodCoolDown, TimeSpan.Zero, TimeSpan.FromHours(1), "0 to 1 hour");
        foreach ((string name, string hash) in Operators)
        {
            if (!PasswordHash.IsHash(hash))
            {
                throw new ArgumentException(
                    $"Operators has for '{name}' what is no hash of a password; expected one as 'chat-server --hash-password' makes it.",
                    nameof(Operators));
            }
        }
    }

    private static void Check(string option, TimeSpan value, TimeSpan least, TimeSpan most, string expected)
    {
        if (value < least || value > most)
        {
            throw new ArgumentOutOfRangeException(option, value, $"{option} is {value}; expected {expected}.");
        }
    }

    private static void Check(string option, int value, int highest) => Check(option, value, 1, highest);

    private static void Check(string option, int value, int lowest, int highest)
    {
        if (value < lowest || value > highest)
        {
            throw new ArgumentOutOfRangeException(option, value, $"{option} is {value}; expected {lowest} to {highest}.");
        }
    }
}
