using Chat.Domain;
using Wire = Chat.Protocol;

namespace Chat.Server.Protobuf;

/// <summary>From the wire to the domain: what a client's frame asks of its session.</summary>
internal static class Requests
{
    /// <summary>Hands a frame's request to the session. Its connection's turns only.</summary>
    /// <returns>
    /// What to answer at once: a refusal, a Pong, or a Goodbye, after which the connection is to be closed; null when the answer
    /// comes later or there is none.
    /// </returns>
    public static Wire.ServerFrame? Take(Session session, Wire.ClientFrame frame)
    {
        ulong id = frame.Id;
        if (frame.BodyCase == Wire.ClientFrame.BodyOneofCase.Pong)
        {
            return null;
        }

        if (id == 0)
        {
            return Frames.Error(0, Wire.ErrorCode.MalformedRequest, $"a request ({frame.BodyCase}) has the id 0; expected another");
        }

        switch (frame.BodyCase)
        {
            case Wire.ClientFrame.BodyOneofCase.None:
                return Frames.Error(id, Wire.ErrorCode.MalformedRequest, "the request has no body that is known here");
            case Wire.ClientFrame.BodyOneofCase.Hello when frame.Hello.ProtocolVersion != Wire.ChatProtocol.Version:
                return Frames.Error(
                    id,
                    Wire.ErrorCode.UnsupportedVersion,
                    $"protocol version {frame.Hello.ProtocolVersion} is not spoken here; expected {Wire.ChatProtocol.Version}");
            case Wire.ClientFrame.BodyOneofCase.Ping:
                return new Wire.ServerFrame { ReplyTo = id, Pong = new Wire.Pong { Token = frame.Ping.Token } };
            case Wire.ClientFrame.BodyOneofCase.Quit:
                session.Quit(frame.Quit.Reason);
                return new Wire.ServerFrame { ReplyTo = id, Goodbye = new Wire.Goodbye { Reason = "you quit" } };
            case Wire.ClientFrame.BodyOneofCase.Say when !IsKnown(frame.Say.Kind):
                return UnknownKind(id, frame.Say.Kind);
            case Wire.ClientFrame.BodyOneofCase.SendPrivate when !IsKnown(frame.SendPrivate.Kind):
                return UnknownKind(id, frame.SendPrivate.Kind);
            case Wire.ClientFrame.BodyOneofCase.Moderate when Action(frame.Moderate.Action) is null:
                return Frames.Error(
                    id, Wire.ErrorCode.MalformedRequest, $"the action {(int)frame.Moderate.Action} is not known here; expected 1 to 5");
        }

        if (Ask(session, id, frame) is { } refused)
        {
            return Frames.From(refused);
        }

        return frame.BodyCase == Wire.ClientFrame.BodyOneofCase.Drain ? new Wire.ServerFrame { ReplyTo = id, Done = new() } : null;
    }

    private static Refused? Ask(Session session, ulong id, Wire.ClientFrame frame) => frame.BodyCase switch
    {
        Wire.ClientFrame.BodyOneofCase.Hello => session.Claim(id, frame.Hello.Name, frame.Hello.Password),
        Wire.ClientFrame.BodyOneofCase.Join => session.Join(id, frame.Join.Room, Replay(frame.Join)),
        Wire.ClientFrame.BodyOneofCase.Leave => session.Leave(id, frame.Leave.Room, frame.Leave.Reason),
        Wire.ClientFrame.BodyOneofCase.Say =>
            session.Say(id, frame.Say.Room, frame.Say.Text, (MessageKind)frame.Say.Kind, frame.Say.MessageId),
        Wire.ClientFrame.BodyOneofCase.SendPrivate =>
            session.SendPrivate(id, frame.SendPrivate.To, frame.SendPrivate.Text, (MessageKind)frame.SendPrivate.Kind),
        Wire.ClientFrame.BodyOneofCase.Who => session.Who(id, frame.Who.Room),
        Wire.ClientFrame.BodyOneofCase.ListRooms => session.ListRooms(id),
        Wire.ClientFrame.BodyOneofCase.SetTopic => session.SetTopic(id, frame.SetTopic.Room, frame.SetTopic.Topic),
        Wire.ClientFrame.BodyOneofCase.ChangeName => session.ChangeName(id, frame.ChangeName.Name, frame.ChangeName.Password),
        Wire.ClientFrame.BodyOneofCase.SetAway => session.SetAway(id, frame.SetAway.Text.Length == 0 ? null : frame.SetAway.Text),
        Wire.ClientFrame.BodyOneofCase.WhoIs => session.WhoIs(id, frame.WhoIs.Name),
        Wire.ClientFrame.BodyOneofCase.Invite => session.Invite(id, frame.Invite.Room, frame.Invite.Name),
        Wire.ClientFrame.BodyOneofCase.Register => session.Register(id, frame.Register.Password),
        Wire.ClientFrame.BodyOneofCase.BecomeOperator =>
            session.BecomeOperator(id, frame.BecomeOperator.Name, frame.BecomeOperator.Password),
        Wire.ClientFrame.BodyOneofCase.Moderate => session.Moderate(
            id, frame.Moderate.Room, Action(frame.Moderate.Action)!.Value, frame.Moderate.Target, frame.Moderate.Reason),
        Wire.ClientFrame.BodyOneofCase.Kill => session.Kill(id, frame.Kill.Name, frame.Kill.Reason),
        Wire.ClientFrame.BodyOneofCase.ListPeople => session.ListPeople(id),
        Wire.ClientFrame.BodyOneofCase.Drain => session.Drain(id),
        Wire.ClientFrame.BodyOneofCase.ReadHistory => session.ReadHistory(
            id, frame.ReadHistory.Room, frame.ReadHistory.After, (int)Math.Min(frame.ReadHistory.Limit, int.MaxValue)),
        Wire.ClientFrame.BodyOneofCase.ListRestrictions => session.ListRestrictions(id, frame.ListRestrictions.Room),
        _ => throw new System.Diagnostics.UnreachableException($"The body {frame.BodyCase} is known, and nothing is done with it."),
    };

    private static Replay Replay(Wire.Join join)
        => new((int)Math.Min(join.Last, int.MaxValue), join.HasSince ? Math.Max(0, join.Since) : null);

    private static bool IsKnown(Wire.MessageKind kind) => kind is >= Wire.MessageKind.Text and <= Wire.MessageKind.Notice;

    private static Wire.ServerFrame UnknownKind(ulong id, Wire.MessageKind kind)
        => Frames.Error(id, Wire.ErrorCode.MalformedRequest, $"the kind of message {(int)kind} is not known here; expected 0 to 2");

    private static ModerationAction? Action(Wire.ModerationAction action) => action switch
    {
        Wire.ModerationAction.Kick => ModerationAction.Kick,
        Wire.ModerationAction.Ban => ModerationAction.Ban,
        Wire.ModerationAction.Unban => ModerationAction.Unban,
        Wire.ModerationAction.Mute => ModerationAction.Mute,
        Wire.ModerationAction.Unmute => ModerationAction.Unmute,
        _ => null,
    };
}
