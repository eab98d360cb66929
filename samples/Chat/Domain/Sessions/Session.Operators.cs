namespace Chat.Domain;

/// <summary>What only operators may ask.</summary>
public sealed partial class Session
{
    /// <summary>Asks to be an operator. Answer: <see cref="OperatorGranted"/>.</summary>
    public Refused? BecomeOperator(ulong requestId, string name, string password)
    {
        if ((Spend(requestId) ?? TooManyWrong(requestId)) is { } refused)
        {
            return refused;
        }

        _chat.People.Tell(new BecomeOperator(Person!, requestId, name, password));
        return null;
    }

    /// <summary>Kicks, bans or mutes, or lifts it. Operators. Answer: <see cref="Done"/>.</summary>
    public Refused? Moderate(ulong requestId, string room, ModerationAction action, string target, string reason)
    {
        if ((Check(requestId, room, out string name) ?? OperatorsOnly(requestId)) is { } refused)
        {
            return refused;
        }

        // What nobody can be called or come from would keep nobody out, and nobody would notice.
        if (action is ModerationAction.Ban or ModerationAction.Mute
            && !_chat.Rules.IsName(target, out string? error) && Uri.CheckHostName(target) is not (UriHostNameType.IPv4 or UriHostNameType.IPv6))
        {
            return new Refused(requestId, RefusalReason.InvalidName, error, name);
        }

        _chat.Rooms.Tell(new Moderate(Person!, requestId, name, action, target, Reason(reason) ?? ""));
        return null;
    }

    /// <summary>Asks whom a room bans and mutes. Operators. Answer: <see cref="RoomRestrictions"/>.</summary>
    public Refused? ListRestrictions(ulong requestId, string room)
    {
        if ((Check(requestId, room, out string name) ?? OperatorsOnly(requestId)) is { } refused)
        {
            return refused;
        }

        _chat.Rooms.Tell(new ListRestrictions(Person!, requestId, name));
        return null;
    }

    /// <summary>Ends somebody's connection. Operators. Answer: <see cref="Done"/>.</summary>
    public Refused? Kill(ulong requestId, string name, string reason)
    {
        if (OperatorsOnly(requestId) is { } refused)
        {
            return refused;
        }

        _chat.People.Tell(new Kill(Person!, requestId, name, Reason(reason) ?? ""));
        return null;
    }

    /// <summary>Asks for everybody. Operators. Answer: <see cref="PeopleListed"/>.</summary>
    public Refused? ListPeople(ulong requestId)
    {
        if (OperatorsOnly(requestId) is { } refused)
        {
            return refused;
        }

        _chat.People.Tell(new ListPeople(Person!, requestId));
        return null;
    }

    /// <summary>Lets the server stop in order. Operators. Answer: none but the goodbye, which everybody gets.</summary>
    public Refused? Drain(ulong requestId)
    {
        if (OperatorsOnly(requestId) is { } refused)
        {
            return refused;
        }

        _chat.RequestDrain(Person!.Name);
        return null;
    }

    private Refused? OperatorsOnly(ulong requestId) => Person switch
    {
        null => NameFirst(requestId),
        { IsOperator: false } => new Refused(requestId, RefusalReason.OperatorsOnly, "only operators may do that"),
        _ => null,
    };
}
