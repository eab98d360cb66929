using System.Globalization;
using Proto;

namespace Chat.Domain;

/// <summary>One connection's side of the conversation: who it is, which rooms it asked for, and what it may ask.</summary>
/// <remarks>
/// <para>It lives inside the door's connection actor and is used in that actor's turns only.</para>
/// <para>Each request either returns why it is refused, or null: then it is on its way, and exactly one answer with its id comes,
/// to the actor's mailbox or by a room's audience. The door gives every domain message from its mailbox to <see cref="Observe(object)"/>
/// before it translates it.</para>
/// <para>Answers by an audience do not pass here, so the rooms are those that were asked for: a superset of those it is in. It
/// serves to leave them all at the end, and asking a room to forget somebody who is not there is harmless.</para>
/// </remarks>
public sealed partial class Session
{
    private readonly ChatDomain _chat;
    private readonly PID _self;
    private readonly string _door;
    private readonly string _address;
    private readonly FloodGate _gate;

    // The rooms that were asked for, each with the id of the request that asked last.
    private readonly Dictionary<string, ulong> _rooms = [];
    private Person? _claimed;

    // What asked for a name, or for another one, and is not answered yet.
    private ulong? _naming;

    // The rooms have yet to tell of the new name.
    private bool _isRenaming;
    private int _wrongPasswords;
    private bool _isAway;
    private bool _ended;

    /// <param name="chat">The chat.</param>
    /// <param name="self">The actor that this lives in: answers and private messages are sent to it.</param>
    /// <param name="door">The name of the door that it came by.</param>
    /// <param name="address">Where it came from, without the port; empty if that is not known.</param>
    /// <exception cref="ArgumentException">The chat was started without that door.</exception>
    public Session(ChatDomain chat, PID self, string door, string address = "")
    {
        if (!chat.Doors.ContainsKey(door))
        {
            throw new ArgumentException($"The chat has no door '{door}'; it has {string.Join(", ", chat.Doors.Keys)}.", nameof(door));
        }

        _chat = chat;
        _self = self;
        _door = door;
        _address = address;
        _gate = new FloodGate(chat.Options, chat.Time);
    }

    /// <summary>Who this is; null until the name has been given.</summary>
    public Person? Person { get; private set; }

    /// <summary>The rooms that were asked for and not left: those that it is in, or will be unless they refuse.</summary>
    public IReadOnlyCollection<string> Rooms => _rooms.Keys;

    /// <summary>Asks for a name. Answer: <see cref="NameClaimed"/>.</summary>
    /// <param name="requestId">Comes back in the answer.</param>
    /// <param name="name">The name.</param>
    /// <param name="password">The name's, if it is registered.</param>
    public Refused? Claim(ulong requestId, string name, string password = "")
    {
        if (_claimed is { } claimed)
        {
            string text = Person is null ? $"you have asked for the name '{claimed.Name}'; wait for the answer"
                : $"you have the name '{Person.Name}' already";
            return new Refused(requestId, RefusalReason.AlreadyNamed, text);
        }

        if (!_chat.Rules.IsName(name, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidName, error);
        }

        if (TooManyWrong(requestId) is { } refused)
        {
            return refused;
        }

        _claimed = new Person(name, _self, _door, _address);
        _naming = requestId;
        _chat.People.Tell(new ClaimName(_claimed, requestId, password));
        return null;
    }

    /// <summary>Asks for another name. Answer: <see cref="NameChanged"/>.</summary>
    public Refused? ChangeName(ulong requestId, string name, string password = "")
    {
        if (Spend(requestId) is { } refused)
        {
            return refused;
        }

        if (_naming is not null || _isRenaming)
        {
            return new Refused(requestId, RefusalReason.Busy, "you have asked for another name already; wait for the answer");
        }

        if (!_chat.Rules.IsName(name, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidName, error);
        }

        if (TooManyWrong(requestId) is { } tooMany)
        {
            return tooMany;
        }

        _naming = requestId;
        _chat.People.Tell(new ChangeName(Person!, requestId, name, password));
        return null;
    }

    /// <summary>Keeps the name for those who know the password. Answer: <see cref="Done"/>.</summary>
    public Refused? Register(ulong requestId, string password)
    {
        if (Spend(requestId) is { } refused)
        {
            return refused;
        }

        if (!ChatRules.IsPassword(password, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidPassword, error);
        }

        _chat.People.Tell(new Register(Person!, requestId, password));
        return null;
    }

    /// <summary>Says something to one person. Answer: <see cref="PrivateSent"/>.</summary>
    public Refused? SendPrivate(ulong requestId, string to, string text, MessageKind kind = MessageKind.Text)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        if (!_chat.Rules.IsText(text, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidText, error);
        }

        if (Spend(requestId) is { } tooFast)
        {
            return tooFast;
        }

        _chat.People.Tell(new SendPrivate(Person, requestId, to, text, kind));
        return null;
    }

    /// <summary>Says that the person is away, and why; or back, with null. Answer: <see cref="Done"/>.</summary>
    public Refused? SetAway(ulong requestId, string? text)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        if (text is not null && !_chat.Rules.IsText(text, out string? error))
        {
            return new Refused(requestId, RefusalReason.InvalidText, error);
        }

        if (Spend(requestId) is { } tooFast)
        {
            return tooFast;
        }

        _isAway = text is not null;
        _chat.People.Tell(new SetAway(Person, requestId, text));
        foreach (string room in _rooms.Keys)
        {
            _chat.Rooms.Tell(new ChangeAway(Person, room, text is not null));
        }

        return null;
    }

    /// <summary>Asks somebody into a room that the person is in. Answer: <see cref="Done"/>.</summary>
    public Refused? Invite(ulong requestId, string room, string to)
    {
        if ((Check(requestId, room, out string name) ?? Spend(requestId, name)) is { } refused)
        {
            return refused;
        }

        _chat.Rooms.Tell(new Invite(Person!, requestId, name, to));
        return null;
    }

    /// <summary>Asks about somebody. Answer: <see cref="PersonFound"/>.</summary>
    public Refused? WhoIs(ulong requestId, string name)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        _chat.People.Tell(new WhoIs(Person, requestId, name));
        return null;
    }

    /// <summary>Asks which of some names somebody has. Answer: <see cref="NamesFound"/>.</summary>
    public Refused? FindNames(ulong requestId, IReadOnlyList<string> names)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        _chat.People.Tell(new FindNames(Person, requestId, names));
        return null;
    }

    /// <summary>Takes note of a message from the domain; messages that are not for it are ignored.</summary>
    public void Observe(object message)
    {
        switch (message)
        {
            case NameClaimed claimed when !_ended:
                Person = claimed.Person;
                _naming = null;
                break;
            case NameChanged changed when !_ended:
                Person = changed.Person;
                _naming = null;
                _isRenaming = true;
                _chat.Rooms.Tell(new Rename(Person, [.. _rooms.Keys], changed.OldName));
                break;
            case MayInvite may when !_ended:
                _chat.People.Tell(new CarryInvitation(may.Invitation));
                break;
            case HasRenamed when !_ended:
                _isRenaming = false;
                _chat.People.Tell(new ReleaseName(_self));
                break;
            case OperatorGranted granted when !_ended:
                Person = granted.Person;
                foreach (string room in _rooms.Keys)
                {
                    _chat.Rooms.Tell(new Promote(Person, room));
                }

                break;
            case Refused refused:
                Observe(refused);
                break;
        }
    }

    /// <summary>The person leaves the chat: all rooms, and the name is free. Later calls do nothing.</summary>
    /// <param name="reason">What they tell the others; null for nothing.</param>
    public void Quit(string? reason) => End(reason, isOwnWish: true);

    /// <summary>The connection is over: leaves all rooms, and the name is free. Later calls do nothing.</summary>
    /// <param name="reason">What the others are told; null for nothing.</param>
    public void End(string? reason = null) => End(reason, isOwnWish: false);

    private void End(string? reason, bool isOwnWish)
    {
        if (_ended)
        {
            return;
        }

        _ended = true;
        if (_rooms.Count > 0)
        {
            _chat.Rooms.Tell(new Quit(Person!, [.. _rooms.Keys], Reason(reason), isOwnWish));
        }

        // The rooms first: the register asks them whether they are through before it gives the name away. An unanswered claim is freed as
        // well, since the register takes the two in order.
        if (_claimed is not null)
        {
            _chat.People.Tell(new FreeName(_self));
        }

        _rooms.Clear();
        Person = null;
    }

    private void Observe(Refused refused)
    {
        if (refused.Reason == RefusalReason.WrongPassword)
        {
            _wrongPasswords++;
        }

        if (refused.RequestId == _naming)
        {
            _naming = null;
            if (Person is null)
            {
                _claimed = null;
            }
        }

        if (refused.Reason is RefusalReason.Full or RefusalReason.Banned or RefusalReason.Unavailable && refused.Room is { } room
            && _rooms.TryGetValue(room, out ulong requestId) && requestId == refused.RequestId)
        {
            _rooms.Remove(room);
        }
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

    /// <summary>Counts a request that others are troubled with.</summary>
    private Refused? Spend(ulong requestId, string? room = null)
    {
        if (Person is null)
        {
            return NameFirst(requestId);
        }

        if (Person.IsOperator || _gate.TryPass(out TimeSpan wait))
        {
            return null;
        }

        _chat.Figures.FloodRefused();
        ChatOptions options = _chat.Options;
        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"you say too much; the limit is {options.FloodBurst} at once and {options.FloodRate} a second; wait {wait.TotalSeconds:0.#} s");
        return new Refused(requestId, RefusalReason.TooFast, text, room, wait);
    }

    private Refused? TooManyWrong(ulong requestId) => _wrongPasswords < _chat.Options.MaxWrongPasswords ? null
        : new Refused(
            requestId, RefusalReason.WrongPassword, $"{_wrongPasswords} passwords were wrong, which is the limit for a connection; connect again");

    /// <summary>A reason is told to others, so it must be a text; one that is none is left out.</summary>
    private string? Reason(string? reason) => reason is not null && _chat.Rules.IsText(reason, out _) ? reason : null;

    private static Refused NameFirst(ulong requestId)
        => new(requestId, RefusalReason.NameFirst, "you have no name yet; ask for one first and wait for the answer");
}
