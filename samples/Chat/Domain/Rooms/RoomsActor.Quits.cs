using Proto;

namespace Chat.Domain;

/// <summary>Where people are, and how they leave all of it.</summary>
/// <remarks>
/// First every room takes the person out, and says nothing; then one after the other tells it. So when the first one tells it none has
/// anything else to say about them, and each can be told who has heard it: whoever was with them in several rooms need not hear it twice.
/// </remarks>
internal sealed partial class RoomsActor
{
    private readonly Dictionary<PID, Leaver> _leavers = [];
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

    private void Begin(IContext context, Quit quit)
    {
        var leaver = new Leaver(quit);
        if (!_leavers.TryAdd(quit.Person.Session, leaver))
        {
            return;
        }

        foreach (string room in quit.Rooms)
        {
            Ask(context, leaver, room);
        }

        GoOn(context, leaver);
    }

    private void Ask(IContext context, Leaver leaver, string room)
    {
        if (_rooms.TryGetValue(room, out Entry? entry))
        {
            leaver.Asked.Add(entry.Room);
            Route(context, new TakeOut(leaver.Quit.Person, room));
        }
    }

    private void Note(IContext context, SessionLost lost)
    {
        PID session = lost.Person.Session;
        if (!_leavers.TryGetValue(session, out Leaver? leaver))
        {
            Begin(context, new Quit(lost.Person, WhereIs(session), "the connection failed", IsOwnWish: false));
        }
        else if (!leaver.Quit.Rooms.Contains(lost.Room))
        {
            // It let them in when the others were on it already.
            Ask(context, leaver, lost.Room);
        }
    }

    private void Note(IContext context, TakenOut taken)
    {
        if (_leavers.TryGetValue(taken.Session, out Leaver? leaver) && leaver.Asked.Remove(taken.Sender))
        {
            if (taken.WasMember)
            {
                leaver.Tellers.Enqueue(taken.Sender);
            }

            GoOn(context, leaver);
        }
    }

    private void Note(IContext context, ExitTold told)
    {
        if (_leavers.TryGetValue(told.Session, out Leaver? leaver) && told.Sender.Equals(leaver.Telling))
        {
            leaver.Told.Add(told.To);
            leaver.Telling = null;
            GoOn(context, leaver);
        }
    }

    private void Await(IContext context, AwaitQuit wait)
    {
        if (_leavers.TryGetValue(wait.Session, out Leaver? leaver))
        {
            leaver.Asker = wait.Asker;
        }
        else
        {
            context.Send(wait.Asker, new HasQuit(wait.Session));
        }
    }

    /// <summary>A room is gone, so nobody is there to be told, and it answers no more.</summary>
    private void GoOnWithout(IContext context, string room, Entry gone)
    {
        foreach (PID session in gone.Sessions)
        {
            Forget(session, room);
        }

        foreach (Leaver leaver in _leavers.Values.ToArray())
        {
            bool wasAsked = leaver.Asked.Remove(gone.Room);
            bool wasTelling = gone.Room.Equals(leaver.Telling);
            leaver.Telling = wasTelling ? null : leaver.Telling;
            if (wasAsked || wasTelling)
            {
                GoOn(context, leaver);
            }
        }
    }

    private void GoOn(IContext context, Leaver leaver)
    {
        if (leaver.Asked.Count > 0 || leaver.Telling is not null)
        {
            return;
        }

        Quit quit = leaver.Quit;
        while (leaver.Tellers.TryDequeue(out PID? teller))
        {
            // Who was its last member leaves nobody to be told.
            if (_names.TryGetValue(teller, out string? room) && _rooms.TryGetValue(room, out Entry? entry) && entry.Room.Equals(teller))
            {
                leaver.Telling = teller;
                var exit = new ChatExit(quit.Person.Session, quit.IsOwnWish, IsLast: leaver.Tellers.Count == 0, [.. leaver.Told]);
                Route(context, new TellExit(quit.Person, room, quit.Reason, exit));
                return;
            }
        }

        _leavers.Remove(quit.Person.Session);
        if (leaver.Asker is { } asker)
        {
            context.Send(asker, new HasQuit(quit.Person.Session));
        }
    }

    /// <summary>Somebody on their way out.</summary>
    private sealed class Leaver
    {
        public Leaver(Quit quit) => Quit = quit;

        public Quit Quit { get; }

        /// <summary>The rooms that have yet to take them out.</summary>
        public HashSet<PID> Asked { get; } = [];

        /// <summary>Those that have yet to tell it.</summary>
        public Queue<PID> Tellers { get; } = new();

        /// <summary>The one that is about to tell it.</summary>
        public PID? Telling { get; set; }

        public List<IReadOnlySet<PID>> Told { get; } = [];

        /// <summary>Who waits for the end of it; null if nobody.</summary>
        public PID? Asker { get; set; }
    }
}
