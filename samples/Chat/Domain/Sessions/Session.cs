using Proto;

namespace Chat.Domain;

/// <summary>One connection's side of the conversation: who it is, which rooms it asked for, and what it may ask.</summary>
/// <remarks>
/// <para>It lives inside the door's connection actor and is used in that actor's turns only.</para>
/// <para>Each request either returns why it is refused, or null: then it is on its way, and exactly one answer with its id comes,
/// to the actor's mailbox or by a room's audience. The door gives every domain message from its mailbox to <see cref="Observe"/>
/// before it translates it.</para>
/// <para>Answers by an audience do not pass here, so the rooms are those that were asked for: a superset of those it is in. It
/// serves to leave them all at the end, and asking a room to forget somebody who is not there is harmless.</para>
/// </remarks>
public sealed class Session
{
    private readonly ChatDomain _chat;
    private readonly PID _self;
    private readonly string _door;

    // The rooms that were asked for, each with the id of the request that asked last.
    private readonly Dictionary<string, ulong> _rooms = [];
    private Person? _claimed;
    private bool _ended;

    /// <param name="chat">The chat.</param>
    /// <param name="self">The actor that this lives in: answers and private messages are sent to it.</param>
    /// <param name="door">The name of the door that it came by.</param>
    /// <exception cref="ArgumentException">The chat was started without that door.</exception>
    public Session(ChatDomain chat, PID self, string door)
    {
        if (!chat.Doors.ContainsKey(door))
        {
            throw new ArgumentException($"The chat has no door '{door}'; it has {string.Join(", ", chat.Doors.Keys)}.", nameof(door));
        }

        _chat = chat;
        _self = self;
        _door = door;
    }

    /// <summary>Who this is; null until the name has been given.</summary>
    public Person? Person { get; private set; }

    /// <summary>Asks for a name. Answer: <see cref="NameClaimed"/>.</summary>
    public Refused? Claim(ulong requestId, string name)
    {
        if (_claimed is { } claimed)
        {
            string text = Person is null ? $"you have asked for the name '{claimed.Name}'; wait for the answer"
                : $"you have the name '{claimed.Name}' already";
            return new Refused(requestId, RefusalReason.AlreadyNamed, text);
        }

        if (!_chat.Rules.IsName(name, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidName, error);
        }

        _claimed = new Person(name, _self, _door);
        _chat.People.Tell(new ClaimName(_claimed, requestId));
        return null;
    }

    /// <summary>Enters a room. Answer: <see cref="Joined"/>.</summary>
    public Refused? Join(ulong requestId, string room)
    {
        if (Check(requestId, room, out string name) is { } refused)
        {
            return refused;
        }

        if (_rooms.Count >= _chat.Options.MaxRoomsPerSession && !_rooms.ContainsKey(name))
        {
            string text = $"room '{name}' cannot be joined: you are in {_rooms.Count} rooms, which is the limit";
            return new Refused(requestId, RefusalReason.TooManyRooms, text, name);
        }

        _rooms[name] = requestId;
        _chat.Rooms.Tell(new Join(Person!, requestId, name));
        return null;
    }

    /// <summary>Leaves a room. Answer: <see cref="Left"/>.</summary>
    public Refused? Leave(ulong requestId, string room)
    {
        if (Check(requestId, room, out string name) is { } refused)
        {
            return refused;
        }

        _rooms.Remove(name);
        _chat.Rooms.Tell(new Leave(Person!, requestId, name));
        return null;
    }

    /// <summary>Says something in a room. Answer: <see cref="Said"/>.</summary>
    public Refused? Say(ulong requestId, string room, string text)
    {
        if (Check(requestId, room, out string name) is { } refused)
        {
            return refused;
        }

        if (!_chat.Rules.IsText(text, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidText, error, name);
        }

        _chat.Rooms.Tell(new Say(Person!, requestId, name, text));
        return null;
    }

    /// <summary>Says something to one person. Answer: <see cref="PrivateSent"/>.</summary>
    public Refused? SendPrivate(ulong requestId, string to, string text)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        if (!_chat.Rules.IsText(text, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidText, error);
        }

        _chat.People.Tell(new SendPrivate(Person, requestId, to, text));
        return null;
    }

    /// <summary>Asks who is in a room. Answer: <see cref="RoomMembers"/>.</summary>
    public Refused? Who(ulong requestId, string room)
    {
        if (Check(requestId, room, out string name) is { } refused)
        {
            return refused;
        }

        _chat.Rooms.Tell(new Who(Person!, requestId, name));
        return null;
    }

    /// <summary>Asks which rooms there are. Answer: <see cref="RoomList"/>.</summary>
    public Refused? ListRooms(ulong requestId)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        _chat.Rooms.List(new ListRooms(Person, requestId));
        return null;
    }

    /// <summary>Takes note of a message from the domain; messages that are not for it are ignored.</summary>
    public void Observe(object message)
    {
        switch (message)
        {
            case NameClaimed claimed when !_ended:
                Person = claimed.Person;
                break;
            case Refused { Reason: RefusalReason.NameTaken }:
                _claimed = null;
                break;
            case Refused { Reason: RefusalReason.Full, Room: { } room } refused
                when _rooms.TryGetValue(room, out ulong requestId) && requestId == refused.RequestId:
                _rooms.Remove(room);
                break;
        }
    }

    /// <summary>The connection is over: leaves all rooms and frees the name. Later calls do nothing.</summary>
    public void End()
    {
        if (_ended)
        {
            return;
        }

        _ended = true;
        foreach (string room in _rooms.Keys)
        {
            _chat.Rooms.Tell(new Vanish(Person!, room));
        }

        // The rooms first: whoever gets the name next finds them without it. An unanswered claim is freed as well, since the
        // register takes the two in order.
        if (_claimed is not null)
        {
            _chat.People.Tell(new FreeName(_self));
        }

        _rooms.Clear();
        Person = null;
    }

    private Refused? Check(ulong requestId, string room, out string name)
    {
        name = "";
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        if (!_chat.Rules.TryGetRoom(room, out string? canonical, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidRoom, error);
        }

        name = canonical;
        return null;
    }

    private static Refused NameFirst(ulong requestId)
        => new(requestId, RefusalReason.NameFirst, "you have no name yet; ask for one first and wait for the answer");
}
