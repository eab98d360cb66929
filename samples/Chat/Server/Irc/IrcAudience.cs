using System.Runtime.CompilerServices;
using Chat.Domain;
using NetPoll.Actors;
using Proto;

namespace Chat.Server.Irc;

/// <summary>Those of one IRC door who are in one room.</summary>
/// <remarks>
/// A client must not hear that it came itself: it would take that for a second coming. But the notice of those who came to a big room
/// is one for all of them. So they are in a group of their own until then, and are told one by one what they do not know yet.
/// </remarks>
internal sealed class IrcAudience : IRoomAudience
{
    private readonly ConnectionGroup _settled;
    private readonly ConnectionGroup _new;
    private readonly IrcRoomEvents _events;
    private readonly List<Person> _newcomers = [];

    public IrcAudience(ActorSystem system, string room, IrcRoomEvents events)
    {
        _settled = new ConnectionGroup(system, room);
        _new = new ConnectionGroup(system, $"{room}, new");
        _events = events;
    }

    public void Join(Person person, Joined welcome)
    {
        using SharedPayload payload = SharedPayload.Copy(_events.For(person.Name, welcome).Bytes);
        _new.Join(person.Session, payload);
        _newcomers.Add(person);
    }

    public void Leave(Person person, RoomEvent? farewell)
    {
        using SharedPayload? payload = farewell is null ? null : SharedPayload.Copy(_events.For(person.Name, farewell).Bytes);

        // One who is new when the room closes has not been moved.
        bool isNew = _newcomers.RemoveAll(newcomer => newcomer.Session.Equals(person.Session)) > 0;
        (isNew ? _new : _settled).Leave(person.Session, payload);
    }

    public void Publish(RoomEvent roomEvent, Person? except)
    {
        if (roomEvent is Presence presence)
        {
            Publish(presence, except);
            return;
        }

        IrcLines lines = _events.ForAll(roomEvent);
        if (!lines.IsEmpty)
        {
            using SharedPayload payload = SharedPayload.Copy(lines.Bytes);
            Tell(_settled, payload);
            if (_newcomers.Count > 0)
            {
                Tell(_new, payload);
            }
        }

        void Tell(ConnectionGroup group, SharedPayload payload)
        {
            // Whoever has several channels in common with somebody hears of their new name in the first that tells it.
            if (roomEvent is Renamed { Round.Told: { Count: > 0 } told })
            {
                group.Publish(payload, [.. told.SelectMany(static sessions => sessions)]);
            }
            else
            {
                group.Publish(payload, except?.Session);
            }
        }
    }

    public void SendTo(Person person, RoomEvent roomEvent)
    {
        IrcLines lines = _events.For(person.Name, roomEvent);
        if (!lines.IsEmpty)
        {
            using SharedPayload payload = SharedPayload.Copy(lines.Bytes);
            _settled.SendTo(person.Session, payload);
        }
    }

    /// <summary>Groups hold nothing: their members leave them by the room, or with their connections.</summary>
    public void Dispose()
    {
    }

    /// <summary>Tells the settled ones, who need not hear again that somebody quit when another room has told them; then the new ones are settled.</summary>
    private void Publish(Presence presence, Person? except)
    {
        IrcLines lines = _events.ForAll(presence with { Departed = [.. presence.Departed.Where(static departure => !HasBeenTold(departure))] });
        if (!lines.IsEmpty)
        {
            using SharedPayload payload = SharedPayload.Copy(lines.Bytes);
            _settled.Publish(payload, except?.Session);
        }

        // Many who leave together were in the same rooms, and are told of in one piece.
        foreach (IGrouping<IReadOnlyList<IReadOnlySet<PID>>, Departure> quits in presence.Departed.Where(HasBeenTold)
            .GroupBy(static departure => departure.Exit!.Round.Told, SameSets.Instance))
        {
            var rest = new Presence(presence.Room, presence.Sequence, [], [.. quits]);
            using SharedPayload payload = SharedPayload.Copy(_events.ForAll(rest).Bytes);
            _settled.Publish(payload, [.. quits.Key.SelectMany(static sessions => sessions)]);
        }

        Settle(presence, except);
    }

    private static bool HasBeenTold(Departure departure) => departure.Exit is { Round.Told.Count: > 0 };

    private void Settle(Presence presence, Person? except)
    {
        // Both are in the order of arrival: what is behind a name came later, and who came before was in its owner's list of members.
        int next = 0;
        foreach (Person newcomer in _newcomers)
        {
            while (next < presence.Arrived.Count && presence.Arrived[next++] != newcomer.Name)
            {
            }

            Presence unknown = presence with
            {
                Arrived = [.. presence.Arrived.Skip(next)],
                Departed = [.. presence.Departed.Where(departure => departure.Exit?.Round.IsKnownTo(newcomer.Session) != true)],
            };
            IrcLines lines = _events.ForAll(unknown);
            using SharedPayload? payload = lines.IsEmpty || newcomer.Session.Equals(except?.Session) ? null : SharedPayload.Copy(lines.Bytes);
            _new.Leave(newcomer.Session, payload);
            _settled.Join(newcomer.Session);
        }

        _newcomers.Clear();
    }

    /// <summary>The very same sets: to look into them would cost as much as to tell.</summary>
    private sealed class SameSets : IEqualityComparer<IReadOnlyList<IReadOnlySet<PID>>>
    {
        public static readonly SameSets Instance = new();

        public bool Equals(IReadOnlyList<IReadOnlySet<PID>>? x, IReadOnlyList<IReadOnlySet<PID>>? y)
            => ReferenceEquals(x, y) || (x is not null && y is not null && x.SequenceEqual(y, ReferenceEqualityComparer.Instance));

        public int GetHashCode(IReadOnlyList<IReadOnlySet<PID>> obj)
            => obj.Aggregate(0, static (hash, sessions) => HashCode.Combine(hash, RuntimeHelpers.GetHashCode(sessions)));
    }
}
