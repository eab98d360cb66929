using System.Globalization;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>
/// The screen of a person: what happens scrolls by above the line that is being typed, which is taken away for the moment and drawn
/// again, so that nothing tears it apart.
/// </summary>
internal sealed class TerminalView : IView
{
    private const int UsualWidth = 80;
    private const string EraseLine = "\r\u001b[K";
    private const string Reset = "\u001b[0m";
    private const string Dim = "\u001b[2m";
    private const string Red = "\u001b[31m";
    private const string Cyan = "\u001b[36m";
    private const string Magenta = "\u001b[35m";

    // Guards the screen and the line editor.
    private readonly Lock _lock = new();
    private readonly LineEditor _editor = new();
    private readonly TextWriter _output;
    private readonly Func<int> _width;
    private readonly TimeZoneInfo _zone;
    private readonly bool _colours;
    private readonly HashSet<string> _rooms = [];
    private string _name = "";
    private string? _currentRoom;
    private bool _drawn;

    /// <param name="output">The terminal.</param>
    /// <param name="width">How many columns it has at the moment; 0 if that is not known.</param>
    /// <param name="zone">The zone that times are told in.</param>
    /// <param name="colours">Whether it may be colourful.</param>
    public TerminalView(TextWriter output, Func<int> width, TimeZoneInfo zone, bool colours)
    {
        _output = output;
        _width = width;
        _zone = zone;
        _colours = colours;
    }

    /// <summary>Takes a key that was pressed.</summary>
    public LineEditor.Outcome Take(ConsoleKeyInfo key, out string line)
    {
        lock (_lock)
        {
            LineEditor.Outcome outcome = _editor.Take(key, out line);
            Draw();
            return outcome;
        }
    }

    public void Show(ServerFrame frame, ClientFrame? request)
    {
        lock (_lock)
        {
            Note(frame);
            if (Line(frame, request) is { } line)
            {
                Scroll(line);
            }
        }
    }

    public void ShowError(string text)
    {
        lock (_lock)
        {
            Scroll(Paint(Red, $"! {text}"));
        }
    }

    public void ShowCurrentRoom(string? room)
    {
        lock (_lock)
        {
            _currentRoom = room;
            Draw();
        }
    }

    public void ShowHelp()
    {
        lock (_lock)
        {
            foreach ((string usage, string meaning) in Command.Help)
            {
                Scroll(Paint(Dim, $"  {usage,-18}{meaning}"));
            }
        }
    }

    /// <summary>Takes the input line away for good.</summary>
    public void Close()
    {
        lock (_lock)
        {
            if (_drawn)
            {
                _output.Write(EraseLine);
                _output.Flush();
                _drawn = false;
            }
        }
    }

    private void Note(ServerFrame frame)
    {
        switch (frame.BodyCase)
        {
            case ServerFrame.BodyOneofCase.Welcome:
                _name = frame.Welcome.Name;
                break;
            case ServerFrame.BodyOneofCase.Joined:
                _rooms.Add(frame.Joined.Room);
                _currentRoom = frame.Joined.Room;
                break;
            case ServerFrame.BodyOneofCase.Left:
                Forget(frame.Left.Room);
                break;
            case ServerFrame.BodyOneofCase.RoomClosed:
                Forget(frame.RoomClosed.Room);
                break;
        }
    }

    private void Forget(string room)
    {
        _rooms.Remove(room);
        if (_currentRoom == room)
        {
            _currentRoom = null;
        }
    }

    private string? Line(ServerFrame frame, ClientFrame? request) => frame.BodyCase switch
    {
        ServerFrame.BodyOneofCase.Welcome => Paint(Dim, $"* You are {frame.Welcome.Name}. '/help' tells the commands."),
        ServerFrame.BodyOneofCase.Joined => Paint(
            Dim, $"* You are in {frame.Joined.Room}, with {Others(frame.Joined.Members)}."),
        ServerFrame.BodyOneofCase.Left => Paint(Dim, $"* You left {frame.Left.Room}."),
        ServerFrame.BodyOneofCase.Said =>
            Said(frame.Said.TimeUnixMilliseconds, frame.Said.Room, _name, request?.Say?.Text ?? ""),
        ServerFrame.BodyOneofCase.Message =>
            Said(frame.Message.TimeUnixMilliseconds, frame.Message.Room, frame.Message.From, frame.Message.Text),
        ServerFrame.BodyOneofCase.Presence => Paint(Dim, Presence(frame.Presence)),
        ServerFrame.BodyOneofCase.PrivateSent => Time(frame.PrivateSent.TimeUnixMilliseconds)
            + Paint(Magenta, $"-> {frame.PrivateSent.To}: ") + PlainFormat.OneLine(request?.SendPrivate?.Text ?? ""),
        ServerFrame.BodyOneofCase.PrivateMessage => Time(frame.PrivateMessage.TimeUnixMilliseconds)
            + Paint(Magenta, $"{frame.PrivateMessage.From} to you: ") + PlainFormat.OneLine(frame.PrivateMessage.Text),
        ServerFrame.BodyOneofCase.Members => Paint(
            Dim, $"* In {frame.Members.Room}: {string.Join(", ", frame.Members.Members_)}."),
        ServerFrame.BodyOneofCase.RoomList => Paint(Dim, Rooms(frame.RoomList)),
        ServerFrame.BodyOneofCase.RoomClosed => Paint(Red, $"! {frame.RoomClosed.Room}: {frame.RoomClosed.Reason}"),
        ServerFrame.BodyOneofCase.Notice => Paint(Cyan, $"* {frame.Notice.Text}"),
        ServerFrame.BodyOneofCase.Error => Paint(Red, $"! {frame.Error.Text}"),
        ServerFrame.BodyOneofCase.Goodbye => Paint(Dim, $"* {frame.Goodbye.Reason}"),
        _ => null,
    };

    private string Said(long time, string room, string name, string text)
    {
        string where = _rooms.Count > 1 ? Paint(Dim, $"{room} ") : "";
        return $"{Time(time)}{where}{Paint(Cyan, $"<{name}>")} {PlainFormat.OneLine(text)}";
    }

    private string Others(IEnumerable<string> members)
    {
        string others = string.Join(", ", members.Where(name => name != _name));
        return others.Length == 0 ? "nobody else" : others;
    }

    private static string Presence(Presence presence)
    {
        string[] parts =
        [
            .. presence.Arrived.Count > 0 ? [$"{string.Join(", ", presence.Arrived)} came into"] : Array.Empty<string>(),
            .. presence.Departed.Count > 0 ? [$"{string.Join(", ", presence.Departed)} left"] : Array.Empty<string>(),
        ];
        return $"* {string.Join(", ", parts)} {presence.Room}.";
    }

    private static string Rooms(RoomList list)
    {
        string rooms = string.Join(", ", list.Rooms.Select(static room => $"{room.Room} ({room.Members})"));
        return $"* {list.Total} rooms: {rooms}{(list.Rooms.Count < list.Total ? ", ..." : "")}";
    }

    private string Time(long unixMilliseconds)
    {
        // A time that no calendar has would throw; it only comes from a broken server.
        long clamped = Math.Clamp(unixMilliseconds, 0, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds());
        DateTimeOffset time = TimeZoneInfo.ConvertTime(DateTimeOffset.FromUnixTimeMilliseconds(clamped), _zone);
        return Paint(Dim, time.ToString("HH:mm ", CultureInfo.InvariantCulture));
    }

    private string Paint(string colour, string text)
    {
        string line = PlainFormat.OneLine(text);
        return _colours ? $"{colour}{line}{Reset}" : line;
    }

    private void Scroll(string line)
    {
        _output.Write(_drawn ? $"{EraseLine}{line}\n" : $"{line}\n");
        _drawn = false;
        Draw();
    }

    /// <summary>Draws the input line anew; it never takes more than one line of the screen.</summary>
    private void Draw()
    {
        string prompt = $"{_currentRoom ?? "(no room)"}> ";
        int width = _width() is > 0 and int known ? known : UsualWidth;
        (string text, int cursor) = _editor.Window(Math.Max(1, width - prompt.Length - 1));
        int back = text.Length - cursor;
        _output.Write($"{EraseLine}{prompt}{text}{(back > 0 ? $"\u001b[{back}D" : "")}");
        _output.Flush();
        _drawn = true;
    }
}
