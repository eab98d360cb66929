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
        RoomMessage message => new()
        {
            Message = new()
            {
                Room = message.Room,
                Sequence = message.Sequence,
                From = message.From,
                Text = message.Text,
                TimeUnixMilliseconds = message.Time.ToUnixTimeMilliseconds(),
            },
        },
        Said said => new()
        {
            ReplyTo = said.RequestId,
            Said = new() { Room = said.Room, Sequence = said.Sequence, TimeUnixMilliseconds = said.Time.ToUnixTimeMilliseconds() },
        },
        Presence presence => new()
        {
            Presence = new()
            {
                Room = presence.Room,
                Sequence = presence.Sequence,
                Arrived = { presence.Arrived },
                Departed = { presence.Departed },
            },
        },
        Joined joined => new()
        {
            ReplyTo = joined.RequestId,
            Joined = new() { Room = joined.Room, Sequence = joined.Sequence, Members = { joined.Members } },
        },
        Left left => new()
        {
            ReplyTo = left.RequestId,
            Left = new() { Room = left.Room, Sequence = left.Sequence },
        },
        RoomMembers members => new()
        {
            ReplyTo = members.RequestId,
            Members = new() { Room = members.Room, Sequence = members.Sequence, Members_ = { members.Members } },
        },
        RoomClosed closed => new()
        {
            RoomClosed = new() { Room = closed.Room, Sequence = closed.Sequence, Reason = closed.Reason },
        },
        _ => throw new UnreachableException($"A room told {roomEvent}, for which the protocol has no frame."),
    };

    /// <summary>What came to a session's mailbox; null if the message is none of the domain's.</summary>
    public static Wire.ServerFrame? FromMessage(object message, ChatOptions options) => message switch
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
                Limits = new()
                {
                    MaxNameLength = (uint)options.MaxNameLength,
                    MaxRoomNameLength = (uint)options.MaxRoomNameLength,
                    MaxTextBytes = (uint)options.MaxTextBytes,
                    MaxRoomsPerSession = (uint)options.MaxRoomsPerSession,
                    MaxFrameBytes = Wire.ChatProtocol.MaxClientFrameBytes,
                },
            },
        },
        PrivateMessage privateMessage => new()
        {
            PrivateMessage = new()
            {
                From = privateMessage.From,
                Text = privateMessage.Text,
                TimeUnixMilliseconds = privateMessage.Time.ToUnixTimeMilliseconds(),
            },
        },
        PrivateSent sent => new()
        {
            ReplyTo = sent.RequestId,
            PrivateSent = new() { To = sent.To, TimeUnixMilliseconds = sent.Time.ToUnixTimeMilliseconds() },
        },
        RoomList list => new()
        {
            ReplyTo = list.RequestId,
            RoomList = new()
            {
                Total = (uint)list.Total,
                Rooms = { list.Rooms.Select(static room => new Wire.RoomSummary { Room = room.Room, Members = (uint)room.Members }) },
            },
        },
        _ => null,
    };

    /// <summary>A refusal.</summary>
    public static Wire.ServerFrame From(Refused refused) => Error(refused.RequestId, Code(refused.Reason), refused.Text);

    /// <summary>A refusal that the door itself made.</summary>
    public static Wire.ServerFrame Error(ulong replyTo, Wire.ErrorCode code, string text)
        => new() { ReplyTo = replyTo, Error = new() { Code = code, Text = text } };

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
        _ => throw new UnreachableException($"The reason {reason} has no code."),
    };
}
