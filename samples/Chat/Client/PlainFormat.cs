using System.Globalization;
using System.Text;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>The plain mode's output: one line per event, for scripts to read.</summary>
/// <remarks>
/// A line is a word that says what happened and then fields with one blank between them. Names and rooms contain no blank; a text
/// is the last field and goes to the end of the line. SEQUENCE is the number of the message in its room, or of the last one before
/// the event. New kinds of lines may come; these stay as they are.
/// <code>
/// welcome NAME                            the server gave you the name
/// joined ROOM SEQUENCE NAME,NAME,...      you are in the room, and so are they; behind it, as far as there are any:
/// topic ROOM NAME TEXT                    what it is about, by whom; also when that changes
/// gap ROOM FIRST LAST                     messages that you missed and that do not follow
/// history ROOM SEQUENCE NAME TEXT         what was said before
/// left ROOM SEQUENCE                      you are no longer in the room
/// room ROOM                               texts go to this room now ('/room', or '/join' of a room that you are in)
/// said ROOM SEQUENCE TEXT                 the room has stored your text
/// message ROOM SEQUENCE NAME TEXT         somebody else said something
/// action ROOM SEQUENCE NAME TEXT          somebody else did something ('/me')
/// presence ROOM SEQUENCE +NAME... -NAME...  they came, they went
/// away ROOM SEQUENCE +NAME... -NAME...    they are away, they are back
/// renamed ROOM SEQUENCE OLD NEW           somebody has another name
/// name NAME                               you have another name
/// sent NAME TEXT                          your private message is on its way
/// private NAME TEXT                       somebody said something to you alone
/// members ROOM SEQUENCE NAME,NAME,...     the answer to '/who'
/// rooms TOTAL ROOM:PEOPLE...              the answer to '/rooms', the fullest first; TOTAL may be more than are listed
/// person NAME DOOR SINCE [oper] [registered] [away TEXT]  somebody, for '/whois' and '/people'
/// restrictions ROOM -NAME... !NAME...     whom the room bans, whom it mutes
/// done REQUEST                            what you asked for is done
/// kicked ROOM SEQUENCE NAME REASON        an operator put you out
/// invited ROOM NAME                       somebody asks you into a room
/// closed ROOM SEQUENCE REASON             the server closed the room
/// notice TEXT                             the server wants you to read it
/// error CODE TEXT                         a request was refused: CODE as in protos/chat.proto, 0 if the client itself refused it
/// offline REASON                          the connection is lost, and tried to be had again ('--reconnect')
/// online                                  it is there again
/// help TEXT                               the answer to '/help'
/// goodbye REASON                          the server ends the conversation
/// </code>
/// </remarks>
internal static class PlainFormat
{
    /// <summary>The lines for a frame; none for one that says nothing to people.</summary>
    public static IEnumerable<string> Lines(ServerFrame frame, ClientFrame? request)
    {
        switch (frame.BodyCase)
        {
            case ServerFrame.BodyOneofCase.Welcome:
                yield return Join("welcome", frame.Welcome.Name);
                foreach (string line in frame.Welcome.MessageOfTheDay.Split('\n', StringSplitOptions.RemoveEmptyEntries))
                {
                    yield return Join("notice", line);
                }

                break;
            case ServerFrame.BodyOneofCase.Joined:
                foreach (string line in Joined(frame.Joined))
                {
                    yield return line;
                }

                break;
            case ServerFrame.BodyOneofCase.Presence:
                foreach (string line in Presence(frame.Presence))
                {
                    yield return line;
                }

                break;
            case ServerFrame.BodyOneofCase.History:
                foreach (Message message in frame.History.Messages)
                {
                    yield return History(message);
                }

                break;
            case ServerFrame.BodyOneofCase.People:
                foreach (Person person in frame.People.People_)
                {
                    yield return Person(person);
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

    /// <summary>The line for a mistake that the client noticed itself.</summary>
    public static string Error(string text) => Join("error", "0", text);

    /// <summary>The line for a change of the current room.</summary>
    public static string CurrentRoom(string room) => Join("room", room);

    /// <summary>The line for a loss and for a return of the connection.</summary>
    public static string Connection(bool isOnline, string why) => isOnline ? "online" : Join("offline", why);

    /// <summary>The line for <c>/help</c>.</summary>
    public static string Help() => Join("help", string.Join("; ", Command.Help.Select(static entry => $"{entry.Usage}: {entry.Meaning}")));

    /// <summary>The text, fit for one line of a terminal: what would end the line or command the terminal is replaced.</summary>
    public static string OneLine(string text)
    {
        if (!text.Any(IsUnfit))
        {
            return text;
        }

        var line = new StringBuilder(text.Length);
        foreach (char character in text)
        {
            line.Append(IsUnfit(character) ? '\ufffd' : character);
        }

        return line.ToString();
    }

    private static string? Line(ServerFrame frame, ClientFrame? request) => frame.BodyCase switch
    {
        ServerFrame.BodyOneofCase.Left => Join("left", frame.Left.Room, Number(frame.Left.Sequence)),
        ServerFrame.BodyOneofCase.Said => Join("said", frame.Said.Room, Number(frame.Said.Sequence), request?.Say?.Text ?? ""),
        ServerFrame.BodyOneofCase.Message => Join(
            frame.Message.Kind == MessageKind.Action ? "action" : "message",
            frame.Message.Room,
            Number(frame.Message.Sequence),
            frame.Message.From,
            frame.Message.Text),
        ServerFrame.BodyOneofCase.TopicChanged =>
            Topic(frame.TopicChanged.Room, frame.TopicChanged.Topic),
        ServerFrame.BodyOneofCase.Renamed =>
            Join("renamed", frame.Renamed.Room, Number(frame.Renamed.Sequence), frame.Renamed.OldName, frame.Renamed.NewName),
        ServerFrame.BodyOneofCase.NameChanged => Join("name", frame.NameChanged.Name),
        ServerFrame.BodyOneofCase.PrivateSent => Join("sent", frame.PrivateSent.To, request?.SendPrivate?.Text ?? ""),
        ServerFrame.BodyOneofCase.PrivateMessage => Join("private", frame.PrivateMessage.From, frame.PrivateMessage.Text),
        ServerFrame.BodyOneofCase.Members => Join("members", frame.Members.Room, Number(frame.Members.Sequence), List(frame.Members.Members_)),
        ServerFrame.BodyOneofCase.RoomList => Join([
            "rooms", Number(frame.RoomList.Total),
            .. frame.RoomList.Rooms.Select(static room => $"{room.Room}:{Number(room.Members)}")]),
        ServerFrame.BodyOneofCase.Person => Person(frame.Person),
        ServerFrame.BodyOneofCase.Restrictions => Join([
            "restrictions", frame.Restrictions.Room,
            .. frame.Restrictions.Banned.Select(static name => $"-{name}"), .. frame.Restrictions.Muted.Select(static name => $"!{name}")]),
        ServerFrame.BodyOneofCase.Done => Join("done", request?.BodyCase.ToString() ?? ""),
        ServerFrame.BodyOneofCase.Kicked =>
            Join("kicked", frame.Kicked.Room, Number(frame.Kicked.Sequence), frame.Kicked.By, frame.Kicked.Reason),
        ServerFrame.BodyOneofCase.Invited => Join("invited", frame.Invited.Room, frame.Invited.By),
        ServerFrame.BodyOneofCase.RoomClosed =>
            Join("closed", frame.RoomClosed.Room, Number(frame.RoomClosed.Sequence), frame.RoomClosed.Reason),
        ServerFrame.BodyOneofCase.Notice => Join("notice", frame.Notice.Text),
        ServerFrame.BodyOneofCase.Error => Join("error", Number((int)frame.Error.Code), frame.Error.Text),
        ServerFrame.BodyOneofCase.Goodbye => Join("goodbye", frame.Goodbye.Reason),
        _ => null,
    };

    private static IEnumerable<string> Joined(Joined joined)
    {
        yield return Join("joined", joined.Room, Number(joined.Sequence), List(joined.Members));
        if (joined.Topic is not null)
        {
            yield return Topic(joined.Room, joined.Topic);
        }

        if (joined.Gap is { } gap)
        {
            yield return Join("gap", joined.Room, Number(gap.First), Number(gap.Last));
        }

        foreach (Message message in joined.Replay)
        {
            yield return History(message);
        }
    }

    private static IEnumerable<string> Presence(Presence presence)
    {
        if (presence.Arrived.Count + presence.Departed.Count > 0)
        {
            yield return Changes("presence", presence, presence.Arrived, presence.Departed);
        }

        if (presence.Away.Count + presence.Back.Count > 0)
        {
            yield return Changes("away", presence, presence.Away, presence.Back);
        }
    }

    private static string Changes(string word, Presence presence, IEnumerable<string> plus, IEnumerable<string> minus) => Join([
        word, presence.Room, Number(presence.Sequence),
        .. plus.Select(static name => "+" + name), .. minus.Select(static name => "-" + name)]);

    private static string Topic(string room, Topic topic) => Join("topic", room, topic.By, topic.Text);

    private static string History(Message message) => Join(
        "history", message.Room, Number(message.Sequence), message.From, message.Kind == MessageKind.Action ? $"/me {message.Text}" : message.Text);

    private static string Person(Person person)
    {
        string since = DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(person.SinceUnixMilliseconds, 0, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()))
            .UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        List<string> fields = ["person", person.Name, person.Door.Split('/')[0], since];
        if (person.IsOperator)
        {
            fields.Add("oper");
        }

        if (person.Registered)
        {
            fields.Add("registered");
        }

        if (person.Away.Length > 0)
        {
            fields.Add($"away {person.Away}");
        }

        return Join([.. fields]);
    }

    private static bool IsUnfit(char character) => char.IsControl(character) || character is '\u2028' or '\u2029';

    private static string Join(params string[] fields) => OneLine(string.Join(' ', fields));

    private static string List(IEnumerable<string> names) => string.Join(',', names);

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
