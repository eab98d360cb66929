using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Chat.Domain;

namespace Chat.Server;

/// <summary>The options: their names, ranges and defaults, and what they mean to the server.</summary>
internal static partial class CommandLine
{
    /// <summary>The folder of the history when none is named.</summary>
    public const string DefaultData = "chat-data";

    /// <summary>As <c>--data</c>: nothing is written.</summary>
    public const string InMemory = "memory";

    private const string Any = "any";
    private const int DefaultStatusSeconds = 300;

    private static readonly ServerOptions Defaults = new();

    private static readonly Option<IPAddress> Host = new("--host")
    {
        HelpName = "ADDRESS",
        Description = "The address to listen on: one of this machine's, or 'any' for all of them.",
        DefaultValueFactory = static _ => Defaults.Address,
        CustomParser = Address,
    };

    private static readonly Option<int> Port = Number("--port", "The port to listen on; 0 lets the system choose.", Defaults.Port, 0, 65_535);

    private static readonly Option<int?> IrcPort = OptionalPort("--irc-port", "The port for IRC clients; none are let in without it.", 0);

    private static readonly Option<string> IrcName = Text("--irc-name", "NAME", "What the server calls itself to IRC clients.", Defaults.IrcName);

    private static readonly Option<int> IrcHistory = Number(
        "--irc-history", "How many of a room's last messages IRC clients are told when they join.", Defaults.IrcHistory, 0, 10_000);

    private static readonly Option<string> Data = Text(
        "--data", "DIR", $"The folder for history and accounts; '{InMemory}' keeps them in memory only.", DefaultData);

    private static readonly Option<string?> Motd = new("--motd") { HelpName = "FILE", Description = "A file with what people read first." };

    private static readonly Option<int?> MetricsPort = OptionalPort(
        "--metrics-port", "The port of a page with figures for Prometheus, on this machine only; no page without it.", 1);

    private static readonly Option<int> StatusInterval = Seconds(
        "--status-interval", "Seconds between two lines with the most important figures; 0 for none.", TimeSpan.FromSeconds(DefaultStatusSeconds), 0, 86_400);

    private static readonly Option<int> Pollers = Number("--pollers", "Poller threads; one per core unless told otherwise.", Defaults.Pollers, 1, 256);

    private static readonly Option<int> MaxConnections = Number(
        "--max-connections", "Connections that there may be.", Defaults.MaxConnections, 1, 10_000_000);

    private static readonly Option<int> MaxPerAddress = Number(
        "--max-connections-per-address", "Connections that there may be from one address.", Defaults.MaxConnectionsPerAddress, 1, 10_000_000);

    private static readonly Option<int> RegistrationTimeout = Seconds(
        "--registration-timeout", "Seconds until a connection must have a name.", Defaults.RegistrationTimeout, 1, 3600);

    private static readonly Option<int> IdleTimeout = Seconds(
        "--idle-timeout",
        "Seconds that nothing may come from a person; the server asks for a sign of life after half of them.",
        Defaults.IdleTimeout,
        1,
        86_400);

    private static readonly Option<int> DrainTimeout = Seconds(
        "--drain-timeout", "Seconds that people may take to receive the goodbye when the server stops.", Defaults.DrainTimeout, 0, 3600);

    private static readonly Option<int> WriteTimeout = Seconds(
        "--write-timeout", "Seconds that a person may take nothing of what waits for them.", Defaults.WriteTimeout, 1, 3600);

    private static readonly Option<int> MaxOutputBytes = Number(
        "--max-output-bytes", "Bytes that may wait for one person.", Defaults.MaxOutputBytes, 65_536, 1 << 30);

    private static readonly Option<int> MaxNameLength = Number(
        "--max-name-length", "Characters of a person's name.", Defaults.Chat.MaxNameLength, 1, 64);

    private static readonly Option<int> MaxRoomNameLength = Number(
        "--max-room-name-length", "Characters of a room's name.", Defaults.Chat.MaxRoomNameLength, 1, 128);

    private static readonly Option<int> MaxTextBytes = Number("--max-text-bytes", "Bytes of a message.", Defaults.Chat.MaxTextBytes, 1, 8192);

    private static readonly Option<int> MaxTopicBytes = Number("--max-topic-bytes", "Bytes of a topic.", Defaults.Chat.MaxTopicBytes, 1, 4000);

    private static readonly Option<int> MaxMessageIdLength = Number(
        "--max-message-id-length", "Characters of the id that a sender gives a message.", Defaults.Chat.MaxMessageIdLength, 1, 256);

    private static readonly Option<int> MaxRooms = Number("--max-rooms", "Rooms that there may be.", Defaults.Chat.MaxRooms, 1, 1_000_000);

    private static readonly Option<int> MaxRoomsPerPerson = Number(
        "--max-rooms-per-person", "Rooms that one person may be in.", Defaults.Chat.MaxRoomsPerSession, 1, 10_000);

    private static readonly Option<int> MaxPeoplePerRoom = Number(
        "--max-people-per-room", "People that may be in one room.", Defaults.Chat.MaxMembersPerRoom, 1, 15_000);

    private static readonly Option<int> MaxListedRooms = Number(
        "--max-listed-rooms", "Rooms that a list of them tells, the fullest first.", Defaults.Chat.MaxListedRooms, 1, 10_000);

    private static readonly Option<int> MaxWaitingPerRoom = Number(
        "--max-waiting-per-room", "Messages to one room that may wait for the disk.", Defaults.Chat.MaxWaitingPerRoom, 1, 1_000_000);

    private static readonly Option<int> MaxWrongPasswords = Number(
        "--max-wrong-passwords", "Wrong passwords that one connection may try.", Defaults.Chat.MaxWrongPasswords, 1, 1000);

    private static readonly Option<int> PresenceBatchFrom = Number(
        "--presence-batch-from", "A room with more people than this tells who comes and goes together.", Defaults.Chat.PresenceBatchFrom, 0, 15_000);

    private static readonly Option<int> PresenceInterval = Number(
        "--presence-interval",
        "Milliseconds that such a room collects.",
        (int)Defaults.Chat.PresenceInterval.TotalMilliseconds,
        10,
        60_000,
        "MILLISECONDS");

    private static readonly Option<int> FloodBurst = Number(
        "--flood-burst", "Messages and the like that a person may send at once.", Defaults.Chat.FloodBurst, 1, 1_000_000);

    private static readonly Option<int> FloodRate = Number(
        "--flood-rate", "The same, per second on average.", (int)Defaults.Chat.FloodRate, 1, 1_000_000);

    private static readonly Option<int> FloodCoolDown = Seconds(
        "--flood-cooldown", "Seconds that all is refused of a person who sent more.", Defaults.Chat.FloodCoolDown, 0, 3600);

    private static readonly Option<int> Replay = Number(
        "--replay", "Messages of a room that those who come back may be told.", Defaults.Chat.ReplayMessages, 1, 10_000);

    private static readonly Option<int> ReplayBytes = Number(
        "--replay-bytes", "Bytes of those messages.", Defaults.Chat.ReplayBytes, 4096, 2 * 1024 * 1024);

    private static readonly Option<int> ReplayDays = Number(
        "--replay-days", "Days that those messages may be old.", (int)Defaults.Chat.ReplayAge.TotalDays, 1, 3650);

    private static readonly Option<int> HistoryDays = Number(
        "--history-days", "Days that messages are kept.", (int)Defaults.Chat.HistoryAge.TotalDays, 1, 36_500);

    private static readonly Option<string[]> Operators = new("--operator")
    {
        HelpName = "NAME=HASH",
        Description = "Somebody who may become operator, with the hash that --hash-password prints. More than once for several.",
        AllowMultipleArgumentsPerToken = false,
    };

    private static readonly Option<string?> Config = new("--config")
    {
        HelpName = "FILE",
        Description = "A file with options, in a section 'Chat' as in 'appsettings.json', which is read when it is in the working folder.",
    };

    private static readonly Option<bool> HashPassword = new("--hash-password")
    {
        Description = "Reads a password, a line of the input, prints its hash for --operator, and ends.",
    };

    private static readonly Option[] Configurable =
    [
        Host, Port, IrcPort, IrcName, IrcHistory, Data, Motd, MetricsPort, StatusInterval, Pollers, MaxConnections, MaxPerAddress,
        RegistrationTimeout, IdleTimeout, WriteTimeout, DrainTimeout, MaxOutputBytes, FloodBurst, FloodRate, FloodCoolDown, MaxNameLength,
        MaxRoomNameLength, MaxTextBytes, MaxTopicBytes, MaxMessageIdLength, MaxRooms, MaxRoomsPerPerson, MaxPeoplePerRoom, MaxListedRooms,
        MaxWaitingPerRoom, MaxWrongPasswords, PresenceBatchFrom, PresenceInterval, Replay, ReplayBytes, ReplayDays, HistoryDays, Operators,
    ];

    private static ServerOptions Options(ParseResult result) => new()
    {
        Address = result.GetRequiredValue(Host),
        Port = result.GetRequiredValue(Port),
        IrcPort = result.GetValue(IrcPort),
        IrcName = result.GetRequiredValue(IrcName),
        IrcHistory = result.GetRequiredValue(IrcHistory),
        Data = result.GetRequiredValue(Data) is var data && data == InMemory ? null : data,
        MessageOfTheDay = ReadMotd(result.GetValue(Motd)),
        MetricsPort = result.GetValue(MetricsPort),
        StatusInterval = TimeSpan.FromSeconds(result.GetRequiredValue(StatusInterval)),
        Pollers = result.GetRequiredValue(Pollers),
        MaxConnections = result.GetRequiredValue(MaxConnections),
        MaxConnectionsPerAddress = result.GetRequiredValue(MaxPerAddress),
        RegistrationTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(RegistrationTimeout)),
        IdleTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(IdleTimeout)),
        WriteTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(WriteTimeout)),
        DrainTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(DrainTimeout)),
        MaxOutputBytes = result.GetRequiredValue(MaxOutputBytes),
        Chat = new ChatOptions
        {
            FloodBurst = result.GetRequiredValue(FloodBurst),
            FloodRate = result.GetRequiredValue(FloodRate),
            FloodCoolDown = TimeSpan.FromSeconds(result.GetRequiredValue(FloodCoolDown)),
            MaxNameLength = result.GetRequiredValue(MaxNameLength),
            MaxRoomNameLength = result.GetRequiredValue(MaxRoomNameLength),
            MaxTextBytes = result.GetRequiredValue(MaxTextBytes),
            MaxTopicBytes = result.GetRequiredValue(MaxTopicBytes),
            MaxMessageIdLength = result.GetRequiredValue(MaxMessageIdLength),
            MaxRooms = result.GetRequiredValue(MaxRooms),
            MaxRoomsPerSession = result.GetRequiredValue(MaxRoomsPerPerson),
            MaxMembersPerRoom = result.GetRequiredValue(MaxPeoplePerRoom),
            MaxListedRooms = result.GetRequiredValue(MaxListedRooms),
            MaxWaitingPerRoom = result.GetRequiredValue(MaxWaitingPerRoom),
            MaxWrongPasswords = result.GetRequiredValue(MaxWrongPasswords),
            PresenceBatchFrom = result.GetRequiredValue(PresenceBatchFrom),
            PresenceInterval = TimeSpan.FromMilliseconds(result.GetRequiredValue(PresenceInterval)),
            ReplayMessages = result.GetRequiredValue(Replay),
            ReplayBytes = result.GetRequiredValue(ReplayBytes),
            ReplayAge = TimeSpan.FromDays(result.GetRequiredValue(ReplayDays)),
            HistoryAge = TimeSpan.FromDays(result.GetRequiredValue(HistoryDays)),
            Operators = ReadOperators(result.GetValue(Operators) ?? []),
        },
    };

    private static Dictionary<string, string> ReadOperators(string[] values)
    {
        Dictionary<string, string> operators = [];
        foreach (string value in values)
        {
            int at = value.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0 || !PasswordHash.IsHash(value[(at + 1)..]))
            {
                throw new FormatException($"{Operators.Name} '{ChatRules.Quote(value)}': expected NAME=HASH, the hash as --hash-password prints it");
            }

            operators[value[..at]] = value[(at + 1)..];
        }

        return operators;
    }

    private static string ReadMotd(string? path)
    {
        try
        {
            return path is null ? "" : File.ReadAllText(path).ReplaceLineEndings("\n").TrimEnd('\n');
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new FormatException($"{Motd.Name} '{path}': {exception.Message}", exception);
        }
    }

    private static Option<string> Text(string name, string value, string description, string usual)
        => new(name) { HelpName = value, Description = description, DefaultValueFactory = _ => usual };

    private static Option<int> Number(string name, string description, int usual, int least, int most, string value = "N") => new(name)
    {
        HelpName = value,
        Description = description,
        DefaultValueFactory = _ => usual,
        CustomParser = result => Number(result, least, most),
    };

    private static Option<int> Seconds(string name, string description, TimeSpan usual, int least, int most)
        => Number(name, description, (int)usual.TotalSeconds, least, most, "SECONDS");

    private static Option<int?> OptionalPort(string name, string description, int least) => new(name)
    {
        HelpName = "N",
        Description = description,
        CustomParser = result => Number(result, least, 65_535),
    };

    private static IPAddress Address(ArgumentResult result)
    {
        string value = result.Tokens[0].Value;
        if (value == Any)
        {
            return IPAddress.Any;
        }

        if (value == "localhost")
        {
            return IPAddress.Loopback;
        }

        // 'TryParse' takes the number 7 for 0.0.0.7.
        if (IPAddress.TryParse(value, out IPAddress? address)
            && (address.AddressFamily == AddressFamily.InterNetworkV6 || address.ToString() == value))
        {
            return address;
        }

        result.AddError($"{NameOf(result)} '{value}': expected an address of this machine, such as 127.0.0.1, or '{Any}'");
        return IPAddress.None;
    }

    private static int Number(ArgumentResult result, int least, int most)
    {
        string value = result.Tokens[0].Value;
        if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most)
        {
            return number;
        }

        result.AddError($"{NameOf(result)} '{value}': expected a whole number from {least} to {most}");
        return 0;
    }

    private static string NameOf(ArgumentResult result) => ((OptionResult)result.Parent!).Option.Name;
}
