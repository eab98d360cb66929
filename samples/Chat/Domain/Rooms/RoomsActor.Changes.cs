using Proto;

namespace Chat.Domain;

/// <summary>Where people are, and how they leave all of it, or get another name in all of it.</summary>
/// <remarks>
/// <para>First every room makes the change, and says nothing; then one after the other tells it. So when the first one tells it none has
/// anything else to say that belongs before it, and each can be told who has heard it: whoever is with them in several rooms need not hear it
/// twice.</para>
/// <para>Somebody who quits is out of the rooms while they tell it, but somebody with a new name is still there. What could make a room tell
/// something else about them before that is held up meanwhile: what they ask, and what operators do to them.</para>
/// </remarks>
internal sealed partial class RoomsActor
{
    // What is under way, by whose it is.
    private readonly Dictionary<PID, Progress> _changes = [];
    private readonly Dictionary<PID, SortedSet<string>> _whereabouts = [];

    private void Note(MemberMoved moved)
    {
        if (!_rooms.TryGetValue(moved.Room, out Entry? entry) || !entry.Room.Equals(moved.Sender))
        {
            return;
        }

        if (moved.IsIn)
        {
            entry.Sessions.Add(moved.Session);
            if (!_whereabouts.TryGetValue(moved.Session, out SortedSet<string>? rooms))
            {
                _whereabouts.Add(moved.Session, rooms = new SortedSet<string>(StringComparer.Ordinal));
            }

            rooms.Add(moved.Room);
        }
        else if (entry.Sessions.Remove(moved.Session))
        {
            Forget(moved.Session, moved.Room);
        }
    }

    private IReadOnlyList<string> WhereIs(PID session) => _whereabouts.TryGetValue(session, out SortedSet<string>? rooms) ? [.. rooms] : [];

    private void Forget(PID session, string room)
    {
        SortedSet<string> rooms = _whereabouts[session];
        rooms.Remove(room);
        if (rooms.Count == 0)
        {
            _whereabouts.Remove(session);
        }
    }

    /// <summary>Keeps a message for later that must not overtake a new name.</summary>
    private bool HoldsUp(object? message)
    {
        Progress? renaming = message switch
        {
            Moderate moderate => Renaming(moderate.Person.Session) ?? Renaming(moderate.Target),
            RoomRequest request => Renaming(request.Person.Session),
            PersonChange change => Renaming(change.Person.Session),
            ListRooms list => Renaming(list.Person.Session),
            SessionLost lost => Renaming(lost.Person.Session),
            AwaitQuit wait => Renaming(wait.Person.Session),
            _ => null,
        };

        // A room may have lost them when it knew the old name only.
        renaming?.HeldUp.Enqueue(message is SessionLost early ? early with { Person = renaming.Change.Person } : message!);
        return renaming is not null;
    }

    private Progress? Renaming(PID session) => _changes.TryGetValue(session, out Progress? progress) && progress.Change is Rename ? progress : null;

    private Progress? Renaming(string name)
    {
        string key = ChatRules.NameKey(name);
        return _changes.Values.FirstOrDefault(progress => progress.Change is Rename rename
            && (ChatRules.NameKey(rename.Person.Name) == key || ChatRules.NameKey(rename.OldName) == key));
    }

    private void Begin(IContext context, PersonChange change)
    {
        var progress = new Progress(change);
        if (!_changes.TryAdd(change.Person.Session, progress))
        {
            return;
        }

        foreach (string room in change.Rooms)
        {
            Ask(context, progress, room);
        }

        GoOn(context, progress);
    }

    private void Ask(IContext context, Progress progress, string room)
    {
        if (_rooms.TryGetValue(room, out Entry? entry))
        {
            progress.Asked.Add(entry.Room);
            Route(context, new MakeChange(progress.Change, room));
        }
    }

    private void Note(IContext context, SessionLost lost)
    {
        PID session = lost.Person.Session;
        if (!_changes.TryGetValue(session, out Progress? progress))
        {
            Begin(context, new Quit(lost.Person, WhereIs(session), "the connection failed", IsOwnWish: false));
        }
        else if (!progress.Change.Rooms.Contains(lost.Room))
        {
            // It let them in when the others were on it already.
            Ask(context, progress, lost.Room);
        }
    }

    private void Note(IContext context, ChangeMade made)
    {
        if (_changes.TryGetValue(made.Session, out Progress? progress) && progress.Asked.Remove(made.Sender))
        {
            if (made.WasMember)
            {
                progress.Tellers.Enqueue(made.Sender);
            }

            GoOn(context, progress);
        }
    }

    private void Note(IContext context, ChangeTold told)
    {
        if (_changes.TryGetValue(told.Session, out Progress? progress) && told.Sender.Equals(progress.Telling))
        {
            progress.Told.Add(told.To);
            progress.Telling = null;
            GoOn(context, progress);
        }
    }

    private void Await(IContext context, AwaitQuit wait)
    {
        Person person = wait.Person;
        if (WhereIs(person.Session) is { Count: > 0 } rooms)
        {
            // The register may hear of an end without a word before the rooms do. Does nothing when they are on it already.
            Begin(context, new Quit(person, rooms, "the connection failed", IsOwnWish: false));
        }

        if (_changes.TryGetValue(person.Session, out Progress? progress))
        {
            progress.Asker = wait.Asker;
        }
        else
        {
            context.Send(wait.Asker, new HasQuit(person.Session));
        }
    }

    /// <summary>A room is gone, so nobody is there to be told, and it answers no more.</summary>
    private void GoOnWithout(IContext context, string room, Entry gone)
    {
        foreach (PID session in gone.Sessions)
        {
            Forget(session, room);
        }

        foreach (Progress progress in _changes.Values.ToArray())
        {
            bool wasAsked = progress.Asked.Remove(gone.Room);
            bool wasTelling = gone.Room.Equals(progress.Telling);
            progress.Telling = wasTelling ? null : progress.Telling;
            if (wasAsked || wasTelling)
            {
                GoOn(context, progress);
            }
        }
    }

    private void GoOn(IContext context, Progress progress)
    {
        if (progress.Asked.Count > 0 || progress.Telling is not null)
        {
            return;
        }

        PersonChange change = progress.Change;
        PID session = change.Person.Session;
        while (progress.Tellers.TryDequeue(out PID? teller))
        {
            // Who was its last member leaves nobody to be told.
            if (_names.TryGetValue(teller, out string? room) && _rooms.TryGetValue(room, out Entry? entry) && entry.Room.Equals(teller))
            {
                progress.Telling = teller;
                Route(context, new TellChange(change, room, new Round(session, IsLast: progress.Tellers.Count == 0, [.. progress.Told])));
                return;
            }
        }

        _changes.Remove(session);
        if (change is Rename)
        {
            context.Send(session, new HasRenamed());
        }

        if (progress.Asker is { } asker)
        {
            context.Send(asker, new HasQuit(session));
        }

        while (progress.HeldUp.TryDequeue(out object? message))
        {
            if (!HoldsUp(message))
            {
                Take(context, message);
            }
        }
    }

    /// <summary>How far a change has come.</summary>
    private sealed class Progress
    {
        public Progress(PersonChange change) => Change = change;

        public PersonChange Change { get; }

        /// <summary>The rooms that have yet to make it.</summary>
        public HashSet<PID> Asked { get; } = [];

        /// <summary>Those that have yet to tell it.</summary>
        public Queue<PID> Tellers { get; } = new();

        /// <summary>The one that is about to tell it.</summary>
        public PID? Telling { get; set; }

        public List<IReadOnlySet<PID>> Told { get; } = [];

        /// <summary>Who waits for the end of it; null if nobody.</summary>
        public PID? Asker { get; set; }

        /// <summary>What is done when it has been told.</summary>
        public Queue<object> HeldUp { get; } = new();
    }
}
