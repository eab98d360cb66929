using Chat.Protocol;

namespace Chat.Client;

/// <summary>What a line of input asks for: one of the records below.</summary>
internal abstract record Command
{
    /// <summary>The commands, for <c>/help</c>: what to write, and what it does.</summary>
    public static readonly (string Usage, string Meaning)[] Help =
    [
        ("TEXT", "says it in the current room"),
        ("//TEXT", "says a text that begins with '/'"),
        ("/me TEXT", "says what you do"),
        ("/msg NAME TEXT", "says something to one person"),
        ("/join ROOM", "enters a room and makes it the current one"),
        ("/room ROOM", "makes a room that you are in the current one"),
        ("/leave [ROOM]", "leaves a room"),
        ("/who [ROOM]", "tells who is in a room"),
        ("/rooms", "tells which rooms there are"),
        ("/topic TEXT", "says what the current room is about; '-' for nothing"),
        ("/history [NUMBER]", "shows what was said in the current room after a message"),
        ("/nick NAME [PASSWORD]", "takes another name"),
        ("/register PASSWORD", "keeps your name for you"),
        ("/away [TEXT]", "says that you are away, or back"),
        ("/whois NAME", "tells about somebody"),
        ("/invite NAME", "asks somebody into the current room"),
        ("/oper NAME PASSWORD", "makes you an operator, who may:"),
        ("/kick NAME [REASON]", "puts somebody out of the current room"),
        ("/ban NAME [REASON]", "the same, for good; '/unban NAME' lifts it"),
        ("/mute NAME", "lets somebody listen only; '/unmute NAME' lifts it"),
        ("/bans", "tells whom the current room bans and mutes"),
        ("/kill NAME [REASON]", "ends somebody's connection"),
        ("/people", "tells who is connected"),
        ("/drain", "lets the server say goodbye and stop"),
        ("/help", "tells the commands"),
        ("/quit", "leaves"),
    ];

    private const uint HistoryPage = 100;

    /// <summary>Reads a line; null if there is nothing on it.</summary>
    /// <param name="line">The line without its end.</param>
    /// <param name="currentRoom">Where a text goes, and what a command without its room means; null if there is no such room.</param>
    public static Command? Parse(string line, string? currentRoom)
    {
        // The server refuses control characters; a tab is one that people do not mean as such.
        line = line.Replace('\t', ' ').TrimEnd('\r');
        if (string.IsNullOrWhiteSpace(line))
        {
            return null;
        }

        if (line[0] != '/' || line.StartsWith("//", StringComparison.Ordinal))
        {
            return Say(currentRoom, line[0] == '/' ? line[1..] : line, MessageKind.Text);
        }

        string[] words = line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries);
        string? first = words.Length > 1 ? words[1] : null;
        string? second = words.Length > 2 ? words[2] : null;
        string rest = first is null ? "" : second is null ? first : $"{first} {second}";
        string name = words[0];
        return Parse(name, first, second, rest, currentRoom) ?? new Wrong(UsageOf(name) is { } usage
            ? $"'{name}' is not complete or has too much: expected '{usage}'"
            : $"'{name}' is no command: '/help' tells which there are, '/{name}' says it");
    }

    private static Command? Parse(string name, string? first, string? second, string rest, string? room) => name switch
    {
        "/join" when first is not null && second is null => new Join(first),
        "/room" when first is not null && second is null => new ChangeRoom(first),
        "/leave" when second is null => InRoom(first ?? room, room => new ClientFrame { Leave = new Leave { Room = room } }),
        "/who" when second is null => InRoom(first ?? room, room => new ClientFrame { Who = new Who { Room = room } }),
        "/rooms" when first is null => new Request(new ClientFrame { ListRooms = new ListRooms() }),
        "/msg" when second is not null => new Request(new ClientFrame { SendPrivate = new SendPrivate { To = first, Text = second } }),
        "/me" when first is not null => Say(room, rest, MessageKind.Action),
        "/topic" when first is not null =>
            InRoom(room, room => new ClientFrame { SetTopic = new SetTopic { Room = room, Topic = rest == "-" ? "" : rest } }),
        "/history" when second is null && (first is null || (long.TryParse(first, out long after) && after >= 0)) =>
            InRoom(room, room => new ClientFrame
            {
                ReadHistory = new ReadHistory { Room = room, After = first is null ? 0 : long.Parse(first, null), Limit = HistoryPage },
            }),
        "/nick" when first is not null =>
            new Request(new ClientFrame { ChangeName = new ChangeName { Name = first, Password = second ?? "" } }),
        "/register" when first is not null && second is null => new Request(new ClientFrame { Register = new Register { Password = first } }),
        "/away" => new Request(new ClientFrame { SetAway = new SetAway { Text = rest } }),
        "/whois" when first is not null && second is null => new Request(new ClientFrame { WhoIs = new WhoIs { Name = first } }),
        "/invite" when first is not null && second is null =>
            InRoom(room, room => new ClientFrame { Invite = new Invite { Room = room, Name = first } }),
        "/oper" when second is not null =>
            new Request(new ClientFrame { BecomeOperator = new BecomeOperator { Name = first, Password = second } }),
        "/kick" when first is not null => Moderate(room, ModerationAction.Kick, first, second),
        "/ban" when first is not null => Moderate(room, ModerationAction.Ban, first, second),
        "/unban" when first is not null && second is null => Moderate(room, ModerationAction.Unban, first, second),
        "/mute" when first is not null && second is null => Moderate(room, ModerationAction.Mute, first, second),
        "/unmute" when first is not null && second is null => Moderate(room, ModerationAction.Unmute, first, second),
        "/bans" when first is null => InRoom(room, room => new ClientFrame { ListRestrictions = new ListRestrictions { Room = room } }),
        "/kill" when first is not null => new Request(new ClientFrame { Kill = new Kill { Name = first, Reason = second ?? "" } }),
        "/people" when first is null => new Request(new ClientFrame { ListPeople = new ListPeople() }),
        "/drain" when first is null => new Request(new ClientFrame { Drain = new Drain() }),
        "/help" => new ShowHelp(),
        "/quit" => new Quit(),
        _ => null,
    };

    private static Command Say(string? room, string text, MessageKind kind) => room is null
        ? new Wrong("you are in no room: '/join ROOM' enters one")
        : new Request(new ClientFrame
        {
            Say = new Say { Room = room, Text = text, Kind = kind, MessageId = Guid.NewGuid().ToString("N") },
        });

    private static Command Moderate(string? room, ModerationAction action, string target, string? reason) => InRoom(
        room, room => new ClientFrame { Moderate = new Moderate { Room = room, Action = action, Target = target, Reason = reason ?? "" } });

    private static string? UsageOf(string name)
        => Help.Select(static entry => entry.Usage).FirstOrDefault(usage => usage.Split(' ')[0] == name);

    private static Command InRoom(string? room, Func<string, ClientFrame> frame)
        => room is null ? new Wrong("you are in no room: name one") : new Request(frame(room));

    /// <summary>A request to the server that needs no care of its own.</summary>
    internal sealed record Request(ClientFrame Frame) : Command;

    /// <summary>Enter a room, or go back to it.</summary>
    internal sealed record Join(string Room) : Command;

    /// <summary>Go to a room that the client is in.</summary>
    internal sealed record ChangeRoom(string Room) : Command;

    /// <summary>Tell the commands.</summary>
    internal sealed record ShowHelp : Command;

    /// <summary>Leave.</summary>
    internal sealed record Quit : Command;

    /// <summary>Nothing that can be done, and why.</summary>
    internal sealed record Wrong(string Error) : Command;
}
