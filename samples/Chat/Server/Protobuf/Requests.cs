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

        Refused? refused;
        switch (frame.BodyCase)
        {
            case Wire.ClientFrame.BodyOneofCase.Hello when frame.Hello.ProtocolVersion != Wire.ChatProtocol.Version:
                return Frames.Error(
                    id,
                    Wire.ErrorCode.UnsupportedVersion,
                    $"protocol version {frame.Hello.ProtocolVersion} is not spoken here; expected {Wire.ChatProtocol.Version}");
            case Wire.ClientFrame.BodyOneofCase.Hello:
                refused = session.Claim(id, frame.Hello.Name);
                break;
            case Wire.ClientFrame.BodyOneofCase.Join:
                refused = session.Join(id, frame.Join.Room);
                break;
            case Wire.ClientFrame.BodyOneofCase.Leave:
                refused = session.Leave(id, frame.Leave.Room);
                break;
            case Wire.ClientFrame.BodyOneofCase.Say:
                refused = session.Say(id, frame.Say.Room, frame.Say.Text);
                break;
            case Wire.ClientFrame.BodyOneofCase.SendPrivate:
                refused = session.SendPrivate(id, frame.SendPrivate.To, frame.SendPrivate.Text);
                break;
            case Wire.ClientFrame.BodyOneofCase.Who:
                refused = session.Who(id, frame.Who.Room);
                break;
            case Wire.ClientFrame.BodyOneofCase.ListRooms:
                refused = session.ListRooms(id);
                break;
            case Wire.ClientFrame.BodyOneofCase.Ping:
                return new Wire.ServerFrame { ReplyTo = id, Pong = new Wire.Pong { Token = frame.Ping.Token } };
            case Wire.ClientFrame.BodyOneofCase.Quit:
                session.End();
                return new Wire.ServerFrame { ReplyTo = id, Goodbye = new Wire.Goodbye { Reason = "you quit" } };
            default:
                return Frames.Error(id, Wire.ErrorCode.MalformedRequest, "the request has no body that is known here");
        }

        return refused is null ? null : Frames.From(refused);
    }
}
