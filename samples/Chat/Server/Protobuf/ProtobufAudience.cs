using Chat.Domain;
using NetPoll.Actors;
using Proto;

namespace Chat.Server.Protobuf;

/// <summary>Those who came to a room by this door: a group on the pollers. An event is encoded once, and sent once per poller.</summary>
/// <remarks>
/// Everything goes by the group, so a member gets it in the order of the calls. Sessions that have ended are no members any more, and
/// what is sent to them goes nowhere.
/// </remarks>
internal sealed class ProtobufAudience : IRoomAudience
{
    private readonly ConnectionGroup _group;

    public ProtobufAudience(ActorSystem system, string room) => _group = new ConnectionGroup(system, room);

    public void Join(Person person, Joined welcome)
    {
        using SharedPayload payload = Encode(welcome);
        _group.Join(person.Session, payload);
    }

    public void Leave(Person person, RoomEvent? farewell)
    {
        using SharedPayload? payload = farewell is null ? null : Encode(farewell);
        _group.Leave(person.Session, payload);
    }

    public void Publish(RoomEvent roomEvent, Person? except)
    {
        // The protocol tells whom a room keeps out to operators who ask, and else whom it concerns, when it does.
        if (roomEvent is RestrictionChanged)
        {
            return;
        }

        using SharedPayload payload = Encode(roomEvent);
        _group.Publish(payload, except?.Session);
    }

    public void SendTo(Person person, RoomEvent roomEvent)
    {
        using SharedPayload payload = Encode(roomEvent);
        _group.SendTo(person.Session, payload);
    }

    /// <summary>A group holds nothing: its members leave it by the room, or with their connections.</summary>
    public void Dispose()
    {
    }

    private static SharedPayload Encode(RoomEvent roomEvent) => SharedPayload.Delimited(Frames.From(roomEvent));
}
