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
        ("/join ROOM", "enters a room and makes it the current one"),
        ("/room ROOM", "makes a room that you are in the current one"),
        ("/leave [ROOM]", "leaves a room"),
        ("/who [ROOM]", "tells who is in a room"),
        ("/rooms", "tells which rooms there are"),
        ("/msg NAME TEXT", "says something to one person"),
        ("/help", "tells the commands"),
        ("/quit", "leaves"),
    ];

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
            string text = line[0] == '/' ? line[1..] : line;
            return currentRoom is null
                ? new Wrong("you are in no room: '/join ROOM' enters one")
                : new Request(new ClientFrame { Say = new Say { Room = currentRoom, Text = text } });
        }

        string[] words = line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries);
        string? argument = words.Length > 1 ? words[1] : null;
        bool tooMany = words.Length > 2;
        return words[0] switch
        {
            "/join" when argument is not null && !tooMany => new Join(argument),
            "/room" when argument is not null && !tooMany => new ChangeRoom(argument),
            "/leave" when !tooMany => InRoom(argument ?? currentRoom, room => new ClientFrame { Leave = new Leave { Room = room } }),
            "/who" when !tooMany => InRoom(argument ?? currentRoom, room => new ClientFrame { Who = new Who { Room = room } }),
            "/rooms" when argument is null => new Request(new ClientFrame { ListRooms = new ListRooms() }),
            "/msg" when tooMany => new Request(new ClientFrame { SendPrivate = new SendPrivate { To = argument, Text = words[2] } }),
            "/help" => new ShowHelp(),
            "/quit" => new Quit(),
            string name => new Wrong(UsageOf(name) is { } usage
                ? $"'{name}' is not complete or has too much: expected '{usage}'"
                : $"'{name}' is no command: '/help' tells which there are, '/{name}' says it"),
        };
    }

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
