using System.Globalization;
using System.Text;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>The plain mode's output: exactly one line per event, for scripts to read.</summary>
/// <remarks>
/// A line is a word that says what happened and then fields with one blank between them. Names and rooms contain no blank; a text
/// is the last field and goes to the end of the line. SEQUENCE is the number of the message in its room, or of the last one before
/// the event. New kinds of lines may come; these stay as they are.
/// <code>
/// welcome NAME                            the server gave you the name
/// joined ROOM SEQUENCE NAME,NAME,...      you are in the room, and so are they
/// left ROOM SEQUENCE                      you are no longer in the room
/// room ROOM                               texts go to this room now ('/room', or '/join' of a room that you are in)
/// said ROOM SEQUENCE TEXT                 the room has taken your text
/// message ROOM SEQUENCE NAME TEXT         somebody else said something
/// presence ROOM SEQUENCE +NAME... -NAME...  they came, they went
/// sent NAME TEXT                          your private message is on its way
/// private NAME TEXT                       somebody said something to you alone
/// members ROOM SEQUENCE NAME,NAME,...     the answer to '/who'
/// rooms TOTAL ROOM:PEOPLE...              the answer to '/rooms', the fullest first; TOTAL may be more than are listed
/// closed ROOM SEQUENCE REASON             the server closed the room
/// notice TEXT                             the server wants you to read it
/// error CODE TEXT                         a request was refused: CODE as in protos/chat.proto, 0 if the client itself refused it
/// help TEXT                               the answer to '/help'
/// goodbye REASON                          the server ends the conversation
/// </code>
/// </remarks>
internal static class PlainFormat
{
    /// <summary>The line for a frame; null for one that says nothing to people.</summary>
    public static string? Line(ServerFrame frame, ClientFrame? request) => frame.BodyCase switch
    {
        ServerFrame.BodyOneofCase.Welcome => Join("welcome", frame.Welcome.Name),
        ServerFrame.BodyOneofCase.Joined => Join("joined", frame.Joined.Room, Number(frame.Joined.Sequence), List(frame.Joined.Members)),
        ServerFrame.BodyOneofCase.Left => Join("left", frame.Left.Room, Number(frame.Left.Sequence)),
        ServerFrame.BodyOneofCase.Said => Join("said", frame.Said.Room, Number(frame.Said.Sequence), request?.Say?.Text ?? ""),
        ServerFrame.BodyOneofCase.Message =>
            Join("message", frame.Message.Room, Number(frame.Message.Sequence), frame.Message.From, frame.Message.Text),
        ServerFrame.BodyOneofCase.Presence => Join([
            "presence", frame.Presence.Room, Number(frame.Presence.Sequence),
            .. frame.Presence.Arrived.Select(static name => "+" + name), .. frame.Presence.Departed.Select(static name => "-" + name)]),
        ServerFrame.BodyOneofCase.PrivateSent => Join("sent", frame.PrivateSent.To, request?.SendPrivate?.Text ?? ""),
        ServerFrame.BodyOneofCase.PrivateMessage => Join("private", frame.PrivateMessage.From, frame.PrivateMessage.Text),
        ServerFrame.BodyOneofCase.Members => Join("members", frame.Members.Room, Number(frame.Members.Sequence), List(frame.Members.Members_)),
        ServerFrame.BodyOneofCase.RoomList => Join([
            "rooms", Number(frame.RoomList.Total),
            .. frame.RoomList.Rooms.Select(static room => $"{room.Room}:{Number(room.Members)}")]),
        ServerFrame.BodyOneofCase.RoomClosed =>
            Join("closed", frame.RoomClosed.Room, Number(frame.RoomClosed.Sequence), frame.RoomClosed.Reason),
        ServerFrame.BodyOneofCase.Notice => Join("notice", frame.Notice.Text),
        ServerFrame.BodyOneofCase.Error => Join("error", Number((int)frame.Error.Code), frame.Error.Text),
        ServerFrame.BodyOneofCase.Goodbye => Join("goodbye", frame.Goodbye.Reason),
        _ => null,
    };

    /// <summary>The line for a mistake that the client noticed itself.</summary>
    public static string Error(string text) => Join("error", "0", text);

    /// <summary>The line for a change of the current room.</summary>
    public static string CurrentRoom(string room) => Join("room", room);

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

    private static bool IsUnfit(char character) => char.IsControl(character) || character is '\u2028' or '\u2029';

    private static string Join(params string[] fields) => OneLine(string.Join(' ', fields));

    private static string List(IEnumerable<string> names) => string.Join(',', names);

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
