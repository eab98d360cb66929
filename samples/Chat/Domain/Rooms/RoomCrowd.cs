using Proto;

namespace Chat.Domain;

/// <summary>Who is in a room, by whatever door, and what the others are told of it. The room's turns only.</summary>
/// <remarks>
/// In a small room a change is told at once. In a big one changes are collected, and the room tells them together a moment later:
/// 2,000 who come cost a few notices each, and not 2,000 each.
/// </remarks>
internal sealed class RoomCrowd : IDisposable
{
    private readonly string _room;
    private readonly ChatOptions _options;
    private readonly RoomAudiences _audiences;

    // By session, not by name: a name may have passed to another session before its last one is out of here.
    private readonly Dictionary<PID, Member> _members = [];

    // Always in order, since everybody who comes is told all of them.
    private readonly List<string> _names = [];
    private readonly PresenceBatch _batch = new();

    public RoomCrowd(string room, ChatOptions options, IReadOnlyDictionary<string, IDoor> doors)
    {
        _room = room;
        _options = options;
        _audiences = new RoomAudiences(room, doors);
    }

    public int Count => _members.Count;

    /// <summary>Something is to be told by <see cref="TellChanges"/>, in a moment.</summary>
    public bool HasChanges => !_batch.IsEmpty;

    public IReadOnlyList<string> Names => [.. _names];

    public IReadOnlyList<string> Away => [.. _members.Values.Where(static member => member.IsAway).Select(static member => member.Person.Name)];

    public bool Contains(PID session) => _members.ContainsKey(session);

    public Person? Find(PID session) => _members.TryGetValue(session, out Member? member) ? member.Person : null;

    public Person? Find(string nameKey)
        => _members.Values.FirstOrDefault(member => ChatRules.NameKey(member.Person.Name) == nameKey)?.Person;

    public void Add(Person person, Joined welcome, long sequence)
    {
        Settle(person.Name, sequence);
        _audiences.Join(person, welcome);
        bool isAway = _members[person.Session].IsAway;
        if (IsBig)
        {
            _batch.Arrive(person.Name, isAway);
        }
        else
        {
            IReadOnlyList<string> names = [person.Name];
            _audiences.Publish(new Presence(_room, sequence, names, []) { Away = isAway ? names : [] }, except: person);
        }
    }

    /// <summary>Counts somebody in: from now on they are in <see cref="Names"/>. <see cref="Add"/> then tells everybody.</summary>
    public void Enter(Person person, bool isAway)
    {
        _members.Add(person.Session, new Member(person) { IsAway = isAway });
        Insert(person.Name);
    }

    /// <summary>Takes somebody out.</summary>
    /// <param name="session">Who.</param>
    /// <param name="farewell">What they are told, if anything.</param>
    /// <param name="reason">What the others are told.</param>
    /// <param name="kickedBy">Who put them out, if somebody did.</param>
    /// <param name="sequence">The number of the last message.</param>
    public void Remove(PID session, RoomEvent? farewell, string? reason, string? kickedBy, long sequence)
    {
        _members.Remove(session, out Member? member);
        Person person = member!.Person;
        _names.RemoveAt(_names.BinarySearch(person.Name, StringComparer.Ordinal));
        Settle(person.Name, sequence);
        _audiences.Leave(person, farewell);
        var departure = new Departure(person.Name, reason, kickedBy);
        if (IsBig)
        {
            _batch.Depart(departure);
        }
        else
        {
            _audiences.Publish(new Presence(_room, sequence, [], [departure]), except: null);
        }
    }

    public void Rename(Person person, long sequence)
    {
        Member member = _members[person.Session];
        string old = member.Person.Name;
        Settle(old, sequence);
        Settle(person.Name, sequence);
        member.Person = person;
        _names.RemoveAt(_names.BinarySearch(old, StringComparer.Ordinal));
        Insert(person.Name);
        _audiences.Publish(new Renamed(_room, sequence, old, person.Name), except: person);
    }

    public void ChangeAway(PID session, bool isAway, long sequence)
    {
        Member member = _members[session];
        if (member.IsAway == isAway)
        {
            return;
        }

        member.IsAway = isAway;
        Person person = member.Person;
        Settle(person.Name, sequence);
        if (IsBig)
        {
            _batch.ChangeAway(person.Name, isAway);
        }
        else
        {
            IReadOnlyList<string> names = [person.Name];
            _audiences.Publish(
                new Presence(_room, sequence, [], []) { Away = isAway ? names : [], Back = isAway ? [] : names }, except: person);
        }
    }

    public void Publish(RoomEvent roomEvent, string about, Person? except)
    {
        Settle(about, roomEvent.Sequence);
        _audiences.Publish(roomEvent, except);
    }

    public void SendTo(PID session, RoomEvent roomEvent) => _audiences.SendTo(_members[session].Person, roomEvent);

    /// <summary>Tells what was collected. In a room that is not big any more as well.</summary>
    public void TellChanges(long sequence)
    {
        if (!_batch.IsEmpty)
        {
            _audiences.Publish(_batch.Take(_room, sequence), except: null);
        }
    }

    /// <summary>Puts everybody out.</summary>
    public void Close(RoomClosed closed)
    {
        foreach (Member member in _members.Values)
        {
            _audiences.Leave(member.Person, closed);
        }
    }

    public void Dispose() => _audiences.Dispose();

    private bool IsBig => _members.Count > _options.PresenceBatchFrom;

    /// <summary>Nothing may be told of somebody before what is still to be told of them.</summary>
    private void Settle(string name, long sequence)
    {
        if (_batch.Names(name) || (!_batch.IsEmpty && !IsBig))
        {
            TellChanges(sequence);
        }
    }

    private void Insert(string name)
    {
        int index = _names.BinarySearch(name, StringComparer.Ordinal);
        _names.Insert(index < 0 ? ~index : index, name);
    }

    private sealed class Member
    {
        public Member(Person person) => Person = person;

        public Person Person { get; set; }

        public bool IsAway { get; set; }
    }
}
