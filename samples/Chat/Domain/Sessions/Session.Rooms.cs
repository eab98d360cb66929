namespace Chat.Domain;

/// <summary>What is asked of rooms.</summary>
public sealed partial class Session
{
    /// <summary>Enters a room. Answer: <see cref="Joined"/>.</summary>
    public Refused? Join(ulong requestId, string room, Replay replay = default)
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
        _chat.Rooms.Tell(new Join(Person!, requestId, name, replay, _isAway));
        return null;
    }

    /// <summary>Leaves a room. Answer: <see cref="Left"/>.</summary>
    public Refused? Leave(ulong requestId, string room, string? reason = null)
    {
        // Counted, and to come is not: whoever comes back must get into all of their rooms at once, but nobody may come and go for ever.
        if ((Check(requestId, room, out string name) ?? Spend(requestId, name)) is { } refused)
        {
            return refused;
        }

        _rooms.Remove(name);
        _chat.Rooms.Tell(new Leave(Person!, requestId, name, Reason(reason)));
        return null;
    }

    /// <summary>Says something in a room. Answer: <see cref="Said"/>.</summary>
    /// <param name="requestId">Comes back in the answer.</param>
    /// <param name="room">Where.</param>
    /// <param name="text">What.</param>
    /// <param name="kind">How it is meant.</param>
    /// <param name="messageId">The sender's own id for it, which makes it safe to say it again; empty for none.</param>
    public Refused? Say(ulong requestId, string room, string text, MessageKind kind = MessageKind.Text, string messageId = "")
    {
        if (Check(requestId, room, out string name) is { } refused)
        {
            return refused;
        }

        if (!_chat.Rules.IsText(text, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidText, error, name);
        }

        if (!_chat.Rules.IsMessageId(messageId, out error))
        {
            return new Refused(requestId, RefusalReason.InvalidMessageId, error, name);
        }

        if (Spend(requestId, name) is { } tooFast)
        {
            return tooFast;
        }

        _chat.Rooms.Tell(new Say(Person!, requestId, name, text, kind, messageId));
        _chat.People.Tell(new Spoke(_self));
        return null;
    }

    /// <summary>Changes a room's topic; an empty one takes it away. Answer: <see cref="TopicChanged"/>.</summary>
    public Refused? SetTopic(ulong requestId, string room, string topic)
    {
        if (Check(requestId, room, out string name) is { } refused)
        {
            return refused;
        }

        if (!_chat.Rules.IsTopic(topic, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidText, error, name);
        }

        if (Spend(requestId, name) is { } tooFast)
        {
            return tooFast;
        }

        _chat.Rooms.Tell(new SetTopic(Person!, requestId, name, topic));
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

    /// <summary>Asks for what was said in a room after a message. Answer: <see cref="HistoryPage"/>.</summary>
    public Refused? ReadHistory(ulong requestId, string room, long after, int limit)
    {
        if (Check(requestId, room, out string name) is { } refused)
        {
            return refused;
        }

        _chat.Rooms.Tell(new ReadHistory(Person!, requestId, name, Math.Max(0, after), limit));
        return null;
    }

    /// <summary>Asks which rooms there are. Answer: <see cref="RoomList"/>.</summary>
    /// <param name="requestId">Comes back in the answer.</param>
    /// <param name="named">Those that are asked about, found however many are fuller; null for all.</param>
    public Refused? ListRooms(ulong requestId, IEnumerable<string>? named = null)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        // No room has a name that breaks the rules.
        string[]? rooms = named is null ? null
            : [.. named.Select(room => _chat.Rules.TryGetRoom(room, out string? canonical, out _) ? canonical : null).OfType<string>()];
        _chat.Rooms.Tell(new ListRooms(Person, requestId, rooms));
        return null;
    }
}
