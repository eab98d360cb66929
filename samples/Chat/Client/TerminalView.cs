using System.Globalization;
using Chat.Protocol;
using Google.Protobuf.Collections;

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

    // The last message that was shown, by room: after a return one's own may come twice.
    private readonly Dictionary<string, long> _shown = [];
    private string _name = "";
    private (string Old, string New) _renamed;
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
            foreach (string line in Lines(frame, request).ToArray())
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

    public void ShowConnection(bool isOnline, string why)
    {
        lock (_lock)
        {
            Scroll(isOnline ? Paint(Dim, "* You are back.") : Paint(Red, $"! {why}; trying to come back ..."));
        }
    }

    public void ShowHelp()
    {
        lock (_lock)
        {
            foreach ((string usage, string meaning) in Command.Help)
            {
                Scroll(Paint(Dim, $"  {usage,-23}{meaning}"));
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

    /// <summary>Takes note of a frame, and returns what is shown of it.</summary>
    private IEnumerable<string> Lines(ServerFrame frame, ClientFrame? request)
    {
        switch (frame.BodyCase)
        {
            case ServerFrame.BodyOneofCase.Welcome when frame.Welcome.Name == _name:
                // A return: that is told when the rooms are entered.
                break;
            case ServerFrame.BodyOneofCase.Welcome:
                _name = frame.Welcome.Name;
                yield return Paint(Dim, $"* You are {_name}. '/help' tells the commands.");
                foreach (string line in frame.Welcome.MessageOfTheDay.Split('\n', StringSplitOptions.RemoveEmptyEntries))
                {
                    yield return Paint(Cyan, $"* {line}");
                }

                break;
            case ServerFrame.BodyOneofCase.NameChanged:
                _name = frame.NameChanged.Name;
                yield return Paint(Dim, $"* You are {_name} now.");
                break;
            case ServerFrame.BodyOneofCase.Renamed when (frame.Renamed.OldName, frame.Renamed.NewName) != _renamed:
                // Each room that both are in tells it.
                _renamed = (frame.Renamed.OldName, frame.Renamed.NewName);
                yield return Paint(Dim, $"* {frame.Renamed.OldName} is {frame.Renamed.NewName} now.");
                break;
            case ServerFrame.BodyOneofCase.Joined:
                _rooms.Add(frame.Joined.Room);
                _currentRoom = frame.Joined.Room;
                foreach (string line in Joined(frame.Joined))
                {
                    yield return line;
                }

                break;
            case ServerFrame.BodyOneofCase.Left:
                Forget(frame.Left.Room);
                yield return Paint(Dim, $"* You left {frame.Left.Room}.");
                break;
            case ServerFrame.BodyOneofCase.RoomClosed:
                Forget(frame.RoomClosed.Room);
                yield return Paint(Red, $"! {frame.RoomClosed.Room}: {frame.RoomClosed.Reason}");
                break;
            case ServerFrame.BodyOneofCase.Kicked:
                Forget(frame.Kicked.Room);
                yield return Paint(Red, $"! {frame.Kicked.By} put you out of {frame.Kicked.Room}{Because(frame.Kicked.Reason)}");
                break;
            case ServerFrame.BodyOneofCase.Said:
                if (frame.Said.Sequence > _shown.GetValueOrDefault(frame.Said.Room))
                {
                    _shown[frame.Said.Room] = frame.Said.Sequence;
                    yield return Said(
                        frame.Said.TimeUnixMilliseconds, frame.Said.Room, _name, request?.Say?.Kind ?? MessageKind.Text, request?.Say?.Text ?? "");
                }

                break;
            case ServerFrame.BodyOneofCase.Message:
                _shown[frame.Message.Room] = frame.Message.Sequence;
                yield return Said(frame.Message);
                break;
            case ServerFrame.BodyOneofCase.History:
                foreach (Message message in frame.History.Messages)
                {
                    yield return Said(message);
                }

                if (!frame.History.IsLast)
                {
                    yield return Paint(Dim, $"* '/history {frame.History.Messages[^1].Sequence}' shows what came then.");
                }

                break;
            case ServerFrame.BodyOneofCase.Presence:
                foreach (string line in Presence(frame.Presence))
                {
                    yield return line;
                }

                break;
            case ServerFrame.BodyOneofCase.People:
                foreach (Person person in frame.People.People_)
                {
                    yield return Describe(person);
                }

                break;
            default:
                if (Line(frame, request) is { } only)
                {
                    yield return only;
                }

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
        ServerFrame.BodyOneofCase.PrivateSent => Time(frame.PrivateSent.TimeUnixMilliseconds)
            + Paint(Magenta, $"-> {frame.PrivateSent.To}: ") + PlainFormat.OneLine(request?.SendPrivate?.Text ?? "")
            + (frame.PrivateSent.Away.Length > 0 ? Paint(Dim, $" (away: {frame.PrivateSent.Away})") : ""),
        ServerFrame.BodyOneofCase.PrivateMessage => Time(frame.PrivateMessage.TimeUnixMilliseconds)
            + Paint(Magenta, $"{frame.PrivateMessage.From} to you: ") + PlainFormat.OneLine(frame.PrivateMessage.Text),
        ServerFrame.BodyOneofCase.Members => Paint(
            Dim, $"* In {frame.Members.Room}: {string.Join(", ", frame.Members.Members_)}."),
        ServerFrame.BodyOneofCase.RoomList => Paint(Dim, Rooms(frame.RoomList)),
        ServerFrame.BodyOneofCase.TopicChanged => Paint(Dim, $"* {About(frame.TopicChanged.Room, frame.TopicChanged.Topic)}"),
        ServerFrame.BodyOneofCase.Person => Describe(frame.Person),
        ServerFrame.BodyOneofCase.Restrictions => Paint(
            Dim, $"* {frame.Restrictions.Room} bans {List(frame.Restrictions.Banned)} and mutes {List(frame.Restrictions.Muted)}."),
        ServerFrame.BodyOneofCase.Invited => Paint(Cyan, $"* {frame.Invited.By} asks you into {frame.Invited.Room}: '/join {frame.Invited.Room}'"),
        ServerFrame.BodyOneofCase.Done => Paint(Dim, $"* {Done(request)}"),
        ServerFrame.BodyOneofCase.Notice => Paint(Cyan, $"* {frame.Notice.Text}"),
        ServerFrame.BodyOneofCase.Error => Paint(Red, $"! {frame.Error.Text}"),
        ServerFrame.BodyOneofCase.Goodbye => Paint(Dim, $"* {frame.Goodbye.Reason}"),
        _ => null,
    };

    private IEnumerable<string> Joined(Joined joined)
    {
        yield return Paint(Dim, $"* You are in {joined.Room}, with {Others(joined.Members)}.");
        if (joined.Topic is { } topic)
        {
            yield return Paint(Dim, $"* {About(joined.Room, topic)}");
        }

        if (joined.Gap is { } gap)
        {
            yield return Paint(Red, $"! You missed messages {gap.First} to {gap.Last}: '/history {gap.First - 1}' shows them.");
        }

        foreach (Message message in joined.Replay)
        {
            yield return Said(message);
        }

        _shown[joined.Room] = joined.Sequence;
    }

    private static string About(string room, Topic topic)
        => topic.Text.Length == 0 ? $"{topic.By} took the topic of {room} away." : $"{room} is about: {topic.Text} (so says {topic.By})";

    private string Said(Message message) => Said(message.TimeUnixMilliseconds, message.Room, message.From, message.Kind, message.Text);

    private string Said(long time, string room, string name, MessageKind kind, string text)
    {
        string where = _rooms.Count > 1 ? Paint(Dim, $"{room} ") : "";
        string who = kind == MessageKind.Action ? Paint(Cyan, $"* {name}") : Paint(Cyan, $"<{name}>");
        return $"{Time(time)}{where}{who} {PlainFormat.OneLine(text)}";
    }

    private string Describe(Person person)
    {
        string[] parts =
        [
            $"{person.Name} came by {person.Door.Split('/')[0]} at {Clock(person.SinceUnixMilliseconds)}",
            .. person.Address.Length > 0 ? [$"from {person.Address}"] : Array.Empty<string>(),
            .. person.IsOperator ? ["is an operator"] : Array.Empty<string>(),
            .. person.Registered ? ["has a registered name"] : Array.Empty<string>(),
            .. person.Away.Length > 0 ? [$"is away: {person.Away}"] : Array.Empty<string>(),
        ];
        return Paint(Dim, $"* {string.Join(", ", parts)}.");
    }

    /// <summary>What an answer that says nothing but "done" means, by what was asked.</summary>
    private static string Done(ClientFrame? request) => request?.BodyCase switch
    {
        ClientFrame.BodyOneofCase.SetAway => request.SetAway.Text.Length > 0 ? $"You are away: {request.SetAway.Text}" : "You are back.",
        ClientFrame.BodyOneofCase.Register => "Your name is registered: it needs its password from now on.",
        ClientFrame.BodyOneofCase.BecomeOperator => "You are an operator.",
        ClientFrame.BodyOneofCase.Invite => $"{request.Invite.Name} is asked into {request.Invite.Room}.",
        ClientFrame.BodyOneofCase.Kill => $"The connection of {request.Kill.Name} is ended.",
        ClientFrame.BodyOneofCase.Drain => "The server stops.",
        ClientFrame.BodyOneofCase.Moderate => $"{request.Moderate.Target} in {request.Moderate.Room}: {request.Moderate.Action.ToString().ToLowerInvariant()}, done.",
        _ => "Done.",
    };

    private static string Are(RepeatedField<string> names) => $"{string.Join(", ", names)} {(names.Count == 1 ? "is" : "are")}";

    private static string List(IEnumerable<string> names) => names.Any() ? string.Join(", ", names) : "nobody";

    private static string Because(string reason) => reason.Length > 0 ? $": {reason}" : "";

    private string Others(IEnumerable<string> members)
    {
        string others = string.Join(", ", members.Where(name => name != _name));
        return others.Length == 0 ? "nobody else" : others;
    }

    private IEnumerable<string> Presence(Presence presence)
    {
        // One's own name may be in it; that one came was told.
        string[] arrived = [.. presence.Arrived.Where(name => name != _name)];
        string[] parts =
        [
            .. arrived.Length > 0 ? [$"{string.Join(", ", arrived)} came into"] : Array.Empty<string>(),
            .. presence.Departed.Count > 0 ? [$"{string.Join(", ", presence.Departed)} left"] : Array.Empty<string>(),
        ];
        if (parts.Length > 0)
        {
            yield return Paint(Dim, $"* {string.Join(", ", parts)} {presence.Room}{Why(presence)}.");
        }

        if (presence.Away.Count > 0)
        {
            yield return Paint(Dim, $"* {Are(presence.Away)} away.");
        }

        if (presence.Back.Count > 0)
        {
            yield return Paint(Dim, $"* {Are(presence.Back)} back.");
        }
    }

    private static string Why(Presence presence)
        => presence.Departed.Count == 1 && presence.Reasons.Count == 1 && presence.Reasons[0].Length > 0 ? $" ({presence.Reasons[0]})" : "";

    private static string Rooms(RoomList list)
    {
        string rooms = string.Join(", ", list.Rooms.Select(static room => $"{room.Room} ({room.Members})"));
        return $"* {(list.Total == 1 ? "1 room" : $"{list.Total} rooms")}: {rooms}{(list.Rooms.Count < list.Total ? ", ..." : "")}";
    }

    private string Time(long unixMilliseconds) => Paint(Dim, $"{Clock(unixMilliseconds)} ");

    private string Clock(long unixMilliseconds)
    {
        // A time that no calendar has would throw; it only comes from a broken server.
        long clamped = Math.Clamp(unixMilliseconds, 0, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds());
        DateTimeOffset time = TimeZoneInfo.ConvertTime(DateTimeOffset.FromUnixTimeMilliseconds(clamped), _zone);
        return time.ToString("HH:mm", CultureInfo.InvariantCulture);
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
        int width = _width() is > 0 and int known ? known : UsualWidth;
        ReadOnlySpan<char> room = ScreenColumns.Fitting(_currentRoom ?? "(no room)", width / 2);
        string prompt = $"{room}> ";
        (string text, int back) = _editor.Window(Math.Max(2, width - ScreenColumns.Of(prompt) - 1));
        _output.Write($"{EraseLine}{prompt}{text}{(back > 0 ? $"\u001b[{back}D" : "")}");
        _output.Flush();
        _drawn = true;
    }
}
