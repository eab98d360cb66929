using System.Collections.ObjectModel;
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
    private readonly List<(Round Round, IReadOnlySet<PID> To)> _told = [];

    // Who is here, for those who need to know it later; null when somebody has come or gone since.
    private HashSet<PID>? _sessions;

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

    public IReadOnlyList<string> Operators
        => [.. _members.Values.Where(static member => member.Person.IsOperator).Select(static member => member.Person.Name)];

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
        _sessions = null;
        Insert(person.Name);
    }

    /// <summary>Takes somebody out. The others are told by <see cref="Depart"/>.</summary>
    /// <param name="session">Who.</param>
    /// <param name="farewell">What they are told, if anything.</param>
    /// <param name="sequence">The number of the last message.</param>
    /// <returns>Their name.</returns>
    public string TakeOut(PID session, RoomEvent? farewell, long sequence)
    {
        _members.Remove(session, out Member? member);
        _sessions = null;
        Person person = member!.Person;
        _names.RemoveAt(_names.BinarySearch(person.Name, StringComparer.Ordinal));
        Settle(person.Name, sequence);
        _audiences.Leave(person, farewell);
        return person.Name;
    }

    /// <summary>Tells that somebody who has been taken out went.</summary>
    public void Depart(Departure departure, long sequence)
    {
        Settle(departure.Name, sequence);
        if (IsBig)
        {
            _batch.Depart(departure);
        }
        else
        {
            Tell(new Presence(_room, sequence, [], [departure]));
        }
    }

    /// <summary>What has been told since the last call of that which all rooms tell, and to whom.</summary>
    public IReadOnlyList<(Round Round, IReadOnlySet<PID> To)> TakeTold()
    {
        if (_told.Count == 0)
        {
            return [];
        }

        (Round, IReadOnlySet<PID>)[] told = [.. _told];
        _told.Clear();
        return told;
    }

    /// <summary>Knows somebody by another name from now on. The others are told by <see cref="TellName"/>.</summary>
    public void Rename(Person person, long sequence)
    {
        Member member = _members[person.Session];
        string old = member.Person.Name;
        Settle(old, sequence);
        Settle(person.Name, sequence);
        member.Person = person;
        _names.RemoveAt(_names.BinarySearch(old, StringComparer.Ordinal));
        Insert(person.Name);
    }

    public void TellName(Person person, string oldName, Round round, long sequence)
    {
        Publish(new Renamed(_room, sequence, oldName, person.Name, round), about: person.Name, except: person);
        NoteTold(round);
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

    public void Promote(PID session)
    {
        Member member = _members[session];
        member.Person = member.Person with { IsOperator = true };
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
            Tell(_batch.Take(_room, sequence));
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

    private void Tell(Presence presence)
    {
        _audiences.Publish(presence, except: null);
        foreach (ChatExit exit in presence.Departed.Select(static departure => departure.Exit).OfType<ChatExit>())
        {
            NoteTold(exit.Round);
        }
    }

    // In a big room it is work to list everybody, and most people are in one room.
    private void NoteTold(Round round) => _told.Add((round, round.IsLast ? ReadOnlySet<PID>.Empty : _sessions ??= [.. _members.Keys]));

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
