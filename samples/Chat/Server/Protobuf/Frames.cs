using System.Diagnostics;
using Chat.Domain;
using Wire = Chat.Protocol;

namespace Chat.Server.Protobuf;

/// <summary>From the domain to the wire: the frame for each of the domain's answers and events.</summary>
internal static class Frames
{
    /// <summary>What a room tells.</summary>
    public static Wire.ServerFrame From(RoomEvent roomEvent) => roomEvent switch
    {
        RoomMessage message => new() { Message = From(message) },
        Said said => new()
        {
            ReplyTo = said.RequestId,
            Said = new()
            {
                Room = said.Room,
                Sequence = said.Sequence,
                TimeUnixMilliseconds = said.Message.Time.ToUnixTimeMilliseconds(),
                Repetition = said.IsRepetition,
            },
        },
        Presence presence => new() { Presence = From(presence) },
        Joined joined => new() { ReplyTo = joined.RequestId, Joined = From(joined) },
        Left left => new()
        {
            ReplyTo = left.RequestId,
            Left = new() { Room = left.Room, Sequence = left.Sequence },
        },
        RoomMembers members => new()
        {
            ReplyTo = members.RequestId,
            Members = new()
            {
                Room = members.Room,
                Sequence = members.Sequence,
                Members_ = { members.Members },
                Away = { members.Away },
            },
        },
        TopicChanged changed => new()
        {
            ReplyTo = changed.RequestId,
            TopicChanged = new() { Room = changed.Room, Sequence = changed.Sequence, Topic = From(changed.Topic) },
        },
        Renamed renamed => new()
        {
            Renamed = new() { Room = renamed.Room, Sequence = renamed.Sequence, OldName = renamed.OldName, NewName = renamed.NewName },
        },
        Kicked kicked => new()
        {
            Kicked = new() { Room = kicked.Room, Sequence = kicked.Sequence, By = kicked.By, Reason = kicked.Reason },
        },
        RoomClosed closed => new()
        {
            RoomClosed = new() { Room = closed.Room, Sequence = closed.Sequence, Reason = closed.Reason },
        },
        _ => throw new UnreachableException($"A room told {roomEvent}, for which the protocol has no frame."),
    };

    /// <summary>What came to a session's mailbox; null if the message is none of the domain's, or says nothing to the client.</summary>
    public static Wire.ServerFrame? FromMessage(object message, ChatOptions options, string messageOfTheDay) => message switch
    {
        RoomEvent roomEvent => From(roomEvent),
        Refused refused => From(refused),
        NameClaimed claimed => new()
        {
            ReplyTo = claimed.RequestId,
            Welcome = new()
            {
                ProtocolVersion = Wire.ChatProtocol.Version,
                Name = claimed.Person.Name,
                Server = "netpoll-chat-server",
                Limits = From(options),
                Registered = claimed.IsRegistered,
                MessageOfTheDay = messageOfTheDay,
            },
        },
        PrivateMessage privateMessage => new()
        {
            PrivateMessage = new()
            {
                From = privateMessage.From,
                Text = privateMessage.Text,
                TimeUnixMilliseconds = privateMessage.Time.ToUnixTimeMilliseconds(),
                Kind = From(privateMessage.Kind),
            },
        },
        PrivateSent sent => new()
        {
            ReplyTo = sent.RequestId,
            PrivateSent = new() { To = sent.To, TimeUnixMilliseconds = sent.Time.ToUnixTimeMilliseconds(), Away = sent.Away ?? "" },
        },
        RoomList list => new()
        {
            ReplyTo = list.RequestId,
            RoomList = new()
            {
                Total = (uint)list.Total,
                Rooms =
                {
                    list.Rooms.Select(static room => new Wire.RoomSummary
                    {
                        Room = room.Room,
                        Members = (uint)room.Members,
                        Topic = room.Topic,
                    }),
                },
            },
        },
        HistoryPage page => new()
        {
            ReplyTo = page.RequestId,
            History = new() { Room = page.Room, Messages = { page.Messages.Select(From) }, IsLast = page.IsLast },
        },
        RoomRestrictions restrictions => new()
        {
            ReplyTo = restrictions.RequestId,
            Restrictions = new() { Room = restrictions.Room, Banned = { restrictions.Banned }, Muted = { restrictions.Muted } },
        },
        NameChanged changed => new() { ReplyTo = changed.RequestId, NameChanged = new() { Name = changed.Person.Name } },
        OperatorGranted granted => new() { ReplyTo = granted.RequestId, Done = new() },
        Done done => new() { ReplyTo = done.RequestId, Done = new() },
        PersonFound found => new() { ReplyTo = found.RequestId, Person = From(found.Details) },
        PeopleListed listed => new() { ReplyTo = listed.RequestId, People = new() { People_ = { listed.People.Select(From) } } },
        Invited invited => new() { Invited = new() { Room = invited.Room, By = invited.By } },
        _ => null,
    };

    /// <summary>A refusal.</summary>
    public static Wire.ServerFrame From(Refused refused)
    {
        Wire.ServerFrame frame = Error(refused.RequestId, Code(refused.Reason), refused.Text);
        frame.Error.RetryAfterMilliseconds = (uint)Math.Ceiling(refused.RetryAfter.TotalMilliseconds);
        return frame;
    }

    /// <summary>A refusal that the door itself made.</summary>
    public static Wire.ServerFrame Error(ulong replyTo, Wire.ErrorCode code, string text)
        => new() { ReplyTo = replyTo, Error = new() { Code = code, Text = text } };

    private static Wire.Message From(RoomMessage message) => new()
    {
        Room = message.Room,
        Sequence = message.Sequence,
        From = message.From,
        Text = message.Text,
        TimeUnixMilliseconds = message.Time.ToUnixTimeMilliseconds(),
        Kind = From(message.Kind),
    };

    private static Wire.Presence From(Presence presence)
    {
        var frame = new Wire.Presence
        {
            Room = presence.Room,
            Sequence = presence.Sequence,
            Arrived = { presence.Arrived },
            Departed = { presence.Departed.Select(static departure => departure.Name) },
            Away = { presence.Away },
            Back = { presence.Back },
        };
        if (presence.Departed.Any(static departure => Why(departure).Length > 0))
        {
            frame.Reasons.AddRange(presence.Departed.Select(Why));
        }

        return frame;
    }

    private static string Why(Departure departure) => departure.KickedBy is null ? departure.Reason ?? ""
        : string.IsNullOrEmpty(departure.Reason) ? $"kicked by {departure.KickedBy}" : $"kicked by {departure.KickedBy}: {departure.Reason}";

    private static Wire.Joined From(Joined joined) => new()
    {
        Room = joined.Room,
        Sequence = joined.Sequence,
        Members = { joined.Members },
        Away = { joined.Away },
        Topic = joined.Topic is null ? null : From(joined.Topic),
        Replay = { joined.Replay.Select(From) },
        Gap = joined.Gap is null ? null : new() { First = joined.Gap.First, Last = joined.Gap.Last },
    };

    private static Wire.Topic From(Topic topic)
        => new() { Text = topic.Text, By = topic.By, TimeUnixMilliseconds = topic.Time.ToUnixTimeMilliseconds() };

    private static Wire.Person From(PersonDetails person) => new()
    {
        Name = person.Name,
        SinceUnixMilliseconds = person.Since.ToUnixTimeMilliseconds(),
        Away = person.Away ?? "",
        IsOperator = person.IsOperator,
        Registered = person.IsRegistered,
        Door = person.Door,
        Address = person.Address,
    };

    private static Wire.Limits From(ChatOptions options) => new()
    {
        MaxNameLength = (uint)options.MaxNameLength,
        MaxRoomNameLength = (uint)options.MaxRoomNameLength,
        MaxTextBytes = (uint)options.MaxTextBytes,
        MaxRoomsPerSession = (uint)options.MaxRoomsPerSession,
        MaxFrameBytes = Wire.ChatProtocol.MaxClientFrameBytes,
        FloodBurst = (uint)options.FloodBurst,
        FloodRate = options.FloodRate,
        MaxTopicBytes = (uint)options.MaxTopicBytes,
        MaxReplay = (uint)options.ReplayMessages,
    };

    private static Wire.MessageKind From(MessageKind kind) => kind switch
    {
        MessageKind.Text => Wire.MessageKind.Text,
        MessageKind.Action => Wire.MessageKind.Action,
        MessageKind.Notice => Wire.MessageKind.Notice,
        _ => throw new UnreachableException($"The kind of message {kind} has no number."),
    };

    private static Wire.ErrorCode Code(RefusalReason reason) => reason switch
    {
        RefusalReason.NameFirst => Wire.ErrorCode.HelloFirst,
        RefusalReason.AlreadyNamed => Wire.ErrorCode.AlreadyWelcomed,
        RefusalReason.InvalidName => Wire.ErrorCode.InvalidName,
        RefusalReason.NameTaken => Wire.ErrorCode.NameTaken,
        RefusalReason.InvalidRoom => Wire.ErrorCode.InvalidRoom,
        RefusalReason.InvalidText => Wire.ErrorCode.InvalidText,
        RefusalReason.NotInRoom => Wire.ErrorCode.NotInRoom,
        RefusalReason.AlreadyInRoom => Wire.ErrorCode.AlreadyInRoom,
        RefusalReason.NoSuchPerson => Wire.ErrorCode.NoSuchPerson,
        RefusalReason.NoSuchRoom => Wire.ErrorCode.NoSuchRoom,
        RefusalReason.TooManyRooms => Wire.ErrorCode.TooManyRooms,
        RefusalReason.Full => Wire.ErrorCode.Full,
        RefusalReason.TooFast => Wire.ErrorCode.TooFast,
        RefusalReason.Banned => Wire.ErrorCode.Banned,
        RefusalReason.Muted => Wire.ErrorCode.Muted,
        RefusalReason.OperatorsOnly => Wire.ErrorCode.OperatorsOnly,
        RefusalReason.PasswordRequired => Wire.ErrorCode.PasswordRequired,
        RefusalReason.WrongPassword => Wire.ErrorCode.WrongPassword,
        RefusalReason.InvalidPassword => Wire.ErrorCode.InvalidPassword,
        RefusalReason.AlreadyRegistered => Wire.ErrorCode.AlreadyRegistered,
        RefusalReason.MessageIdTaken => Wire.ErrorCode.MessageIdTaken,
        RefusalReason.InvalidMessageId => Wire.ErrorCode.InvalidMessageId,
        RefusalReason.Unavailable => Wire.ErrorCode.Unavailable,
        RefusalReason.Busy => Wire.ErrorCode.Busy,
        _ => throw new UnreachableException($"The reason {reason} has no code."),
    };
}
