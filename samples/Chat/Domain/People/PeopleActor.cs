using Proto;

namespace Chat.Domain;

/// <summary>The register of names: who has which, until their session ends.</summary>
/// <remarks>
/// <para>A door says <see cref="FreeName"/> when its connection closes. The session is watched as well: a name that nobody frees would
/// be lost until the server restarts, and a session that failed may not have come to say it.</para>
/// <para>The name stays theirs until all of their rooms have told that they went. Whoever asks for it in the meantime waits: it is a moment,
/// and somebody whose connection was lost comes back at once.</para>
/// </remarks>
internal sealed class PeopleActor : IActor, IDisposable
{
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly IHistory _history;
    private readonly IRooms _rooms;
    private readonly ChatFigures _figures;
    private readonly PasswordWork _passwords = new();
    private readonly Dictionary<string, Entry> _byName = [];
    private readonly Dictionary<PID, Entry> _bySession = [];

    // Those who are gone, or are told to go, and still have their names.
    private readonly Dictionary<PID, Entry> _leaving = [];

    // Null until they are loaded, and until then nobody gets a name.
    private Dictionary<string, Account>? _accounts;
    private readonly Queue<PeopleRequest> _early = new();
    private readonly Dictionary<string, (Person Person, ulong RequestId)> _registering = [];

    public PeopleActor(ChatOptions options, TimeProvider time, IHistory history, IRooms rooms, ChatFigures figures)
    {
        _options = options;
        _time = time;
        _history = history;
        _rooms = rooms;
        _figures = figures;
    }

    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Started:
                _history.Tell(new LoadAccounts(context.Self));
                break;
            case AccountsLoaded loaded:
                Load(context, loaded);
                break;
            case AccountSaved saved:
                Registered(context, saved);
                break;
            case PeopleRequest request when _accounts is null:
                _early.Enqueue(request);
                break;
            case PeopleRequest request:
                Take(context, request);
                break;
            case Terminated terminated:
                Leave(context, terminated.Who);
                break;
            case HasQuit quit:
                Free(quit.Session);
                break;
        }

        return Task.CompletedTask;
    }

    public void Dispose() => _passwords.Dispose();

    private void Load(IContext context, AccountsLoaded loaded)
    {
        if (loaded.Error is { } error)
        {
            // To go on would give registered names to anybody.
            throw new IOException($"The accounts cannot be read: {error}");
        }

        _accounts = loaded.Accounts.ToDictionary(static account => ChatRules.NameKey(account.Name));
        while (_early.TryDequeue(out PeopleRequest? request))
        {
            Take(context, request);
        }
    }

    private void Take(IContext context, PeopleRequest request)
    {
        switch (request)
        {
            case ClaimName claim:
                Claim(context, claim);
                break;
            case ChangeName change:
                Change(context, change);
                break;
            case ReleaseName release:
                if (_bySession.TryGetValue(release.Session, out Entry? renamed))
                {
                    ReleaseOldName(renamed);
                }

                break;
            case FreeName free:
                if (Leave(context, free.Session))
                {
                    context.Unwatch(free.Session);
                }

                break;
            case SendPrivate message:
                Deliver(context, message);
                break;
            case CarryInvitation { Invitation: var invite }:
                if (Find(context, invite.Person, invite.RequestId, invite.To) is { } invited)
                {
                    context.Send(invited.Person.Session, new Invited(invite.Room, invite.Person.Name));
                    context.Send(invite.Person.Session, new Done(invite.RequestId));
                }

                break;
            case SetAway set:
                if (_bySession.TryGetValue(set.Person.Session, out Entry? entry))
                {
                    entry.Away = set.Text;
                }

                context.Send(set.Person.Session, new Done(set.RequestId));
                break;
            case Spoke spoke:
                NoteSpeech(spoke.Session);
                break;
            case WhoIs who:
                if (Find(context, who.Person, who.RequestId, who.Name) is { } found)
                {
                    bool mayKnow = who.Person.IsOperator || found.Person.Session.Equals(who.Person.Session);
                    var answer = new PersonFound(who.RequestId, found.Details(_time, mayKnow));
                    _rooms.Tell(new AddRooms(who.Person.Session, found.Person.Session, answer));
                }

                break;
            case FindNames find:
                string[] names = [.. find.Names.Select(Find).OfType<Entry>().Select(static entry => entry.Person.Name).Distinct()];
                context.Send(find.Person.Session, new NamesFound(find.RequestId, names));
                break;
            case Register register:
                Register(context, register);
                break;
            case BecomeOperator ask:
                Promote(context, ask);
                break;
            case Kill kill:
                if (Find(context, kill.Person, kill.RequestId, kill.Name) is { } killed)
                {
                    string why = kill.Reason.Length > 0 ? $": {kill.Reason}" : "";
                    context.Send(
                        killed.Person.Session,
                        new Disconnect($"{kill.Person.Name} ended your connection{why}", $"Killed by {kill.Person.Name}{why}"));
                    context.Send(kill.Person.Session, new Done(kill.RequestId));
                }

                break;
            case ListPeople list:
                PersonDetails[] people =
                [
                    .. _bySession.Values.Select(entry => entry.Details(_time, withAddress: true))
                        .OrderBy(static person => person.Name, StringComparer.Ordinal),
                ];
                context.Send(list.Person.Session, new PeopleListed(list.RequestId, people));
                break;
        }
    }

    private void Claim(IContext context, ClaimName claim)
    {
        Person person = claim.Person;
        if (_bySession.TryGetValue(person.Session, out Entry? already))
        {
            Refuse(context, person, claim.RequestId, RefusalReason.AlreadyNamed, $"you have the name '{already.Person.Name}' already");
            return;
        }

        Identify(context, person, claim.RequestId, person.Name, claim.Password, isOwner => Give(context, claim, isOwner));
    }

    private void Give(IContext context, ClaimName claim, bool isOwner)
    {
        Person person = claim.Person;
        string key = ChatRules.NameKey(person.Name);
        switch (Look(context, key, isOwner, self: null, () => Give(context, claim, isOwner)))
        {
            case Holder.SomebodyElse:
                RefuseTaken(context, person, claim.RequestId, person.Name);
                return;
            case Holder.Leaving:
                return;
        }

        var entry = new Entry(person, _time) { IsRegistered = isOwner };
        _byName.Add(key, entry);
        _bySession.Add(person.Session, entry);
        _figures.PersonCame();
        context.Watch(person.Session);
        context.Send(person.Session, new NameClaimed(claim.RequestId, person, isOwner));
    }

    private void Change(IContext context, ChangeName change)
        => Identify(
            context, change.Person, change.RequestId, change.NewName, change.Password, isOwner => Rename(context, change, isOwner));

    private void Rename(IContext context, ChangeName change, bool isOwner)
    {
        Person person = change.Person;
        if (!_bySession.TryGetValue(person.Session, out Entry? entry))
        {
            return;
        }

        string key = ChatRules.NameKey(change.NewName);
        string oldKey = ChatRules.NameKey(entry.Person.Name);
        switch (Look(context, key, isOwner, entry, () => Rename(context, change, isOwner)))
        {
            case Holder.SomebodyElse:
                RefuseTaken(context, person, change.RequestId, change.NewName);
                return;
            case Holder.Leaving:
                return;
        }

        _byName[key] = entry;
        string oldName = entry.Person.Name;
        entry.OldKey = key == oldKey ? null : oldKey;
        entry.IsRegistered = isOwner || (key == oldKey && entry.IsRegistered);
        entry.Person = entry.Person with { Name = change.NewName };
        context.Send(person.Session, new NameChanged(change.RequestId, entry.Person, oldName));
    }

    /// <summary>Goes on at once for a name that is nobody's; for a registered one, when the password is found to be right.</summary>
    private void Identify(IContext context, Person person, ulong requestId, string name, string password, Action<bool> then)
    {
        if (!_accounts!.TryGetValue(ChatRules.NameKey(name), out Account? account))
        {
            then(false);
        }
        else if (_bySession.TryGetValue(person.Session, out Entry? entry) && entry.IsRegistered
            && ChatRules.NameKey(entry.Person.Name) == ChatRules.NameKey(name))
        {
            then(true);
        }
        else if (password.Length == 0)
        {
            string text = $"the name '{account.Name}' is registered; give its password, or take another name";
            Refuse(context, person, requestId, RefusalReason.PasswordRequired, text);
        }
        else
        {
            Verify(context, person, requestId, name, password, account.PasswordHash, () => then(true));
        }
    }

    private void Verify(IContext context, Person person, ulong requestId, string name, string password, string hash, Action then)
    {
        if (_passwords.IsFull)
        {
            string text = $"{PasswordWork.MaxWaiting} passwords wait to be checked, which is the limit; try again";
            Refuse(context, person, requestId, RefusalReason.Busy, text);
            return;
        }

        context.ReenterAfter(_passwords.VerifyAsync(password, hash), verified =>
        {
            if (verified.IsCompletedSuccessfully && verified.Result)
            {
                then();
            }
            else
            {
                Refuse(context, person, requestId, RefusalReason.WrongPassword, $"that is not the password of '{ChatRules.Quote(name)}'");
            }
        });
    }

    /// <summary>Looks who has the name, and makes them leave whose it is not.</summary>
    /// <param name="context">The turn.</param>
    /// <param name="key">The name.</param>
    /// <param name="isOwner">The name is registered, and its owner asks: whoever has it, perhaps a connection of theirs that is dead, goes.</param>
    /// <param name="self">Who asks, if they have a name.</param>
    /// <param name="again">What to do once the name is free, where somebody leaves first.</param>
    private Holder Look(IContext context, string key, bool isOwner, Entry? self, Action again)
    {
        if (!_byName.TryGetValue(key, out Entry? other) || other == self)
        {
            return Holder.Nobody;
        }

        PID session = other.Person.Session;
        bool isLeaving = _leaving.ContainsKey(session);
        if (!isLeaving && !isOwner)
        {
            return Holder.SomebodyElse;
        }

        if (!isLeaving)
        {
            string why = $"the owner of the name '{other.Person.Name}' has come";
            StartLeaving(other);
            context.Send(session, new Disconnect(why, why));
        }

        other.Heirs.Enqueue(again);
        return Holder.Leaving;
    }

    private void Register(IContext context, Register register)
    {
        Person person = register.Person;
        string key = ChatRules.NameKey(person.Name);
        if (!_bySession.TryGetValue(person.Session, out Entry? entry) || ChatRules.NameKey(entry.Person.Name) != key)
        {
            Refuse(context, person, register.RequestId, RefusalReason.Busy, "your name has just changed; try again");
        }
        else if (_accounts!.ContainsKey(key) && !entry.IsRegistered)
        {
            Refuse(context, person, register.RequestId, RefusalReason.AlreadyRegistered, $"the name '{person.Name}' is registered already");
        }
        else if (_registering.ContainsKey(key) || _passwords.IsFull)
        {
            string text = $"{PasswordWork.MaxWaiting} passwords wait, or yours is being kept already; try again";
            Refuse(context, person, register.RequestId, RefusalReason.Busy, text);
        }
        else
        {
            _registering.Add(key, (person, register.RequestId));
            context.ReenterAfter(
                _passwords.CreateAsync(register.Password),
                hash => _history.Tell(new SaveAccount(context.Self, new Account(person.Name, hash.Result))));
        }
    }

    private void Registered(IContext context, AccountSaved saved)
    {
        string key = ChatRules.NameKey(saved.Account.Name);
        _registering.Remove(key, out (Person Person, ulong RequestId) asked);
        if (saved.Error is { } error)
        {
            Refuse(context, asked.Person, asked.RequestId, RefusalReason.Unavailable, $"the name cannot be registered: {error}");
            return;
        }

        _accounts![key] = saved.Account;
        if (_byName.TryGetValue(key, out Entry? entry) && entry.Person.Session.Equals(asked.Person.Session))
        {
            entry.IsRegistered = true;
        }

        context.Send(asked.Person.Session, new Done(asked.RequestId));
    }

    private void Promote(IContext context, BecomeOperator ask)
    {
        if (!_options.Operators.TryGetValue(ask.Name, out string? hash))
        {
            string text = $"'{ChatRules.Quote(ask.Name)}' is no operator of this server";
            Refuse(context, ask.Person, ask.RequestId, RefusalReason.WrongPassword, text);
            return;
        }

        Verify(context, ask.Person, ask.RequestId, ask.Name, ask.Password, hash, () =>
        {
            if (_bySession.TryGetValue(ask.Person.Session, out Entry? entry))
            {
                entry.Person = entry.Person with { IsOperator = true };
                context.Send(entry.Person.Session, new OperatorGranted(ask.RequestId, entry.Person));
            }
        });
    }

    private void NoteSpeech(PID session)
    {
        if (_bySession.TryGetValue(session, out Entry? entry))
        {
            entry.LastSpoke = _time.GetTimestamp();
        }
    }

    private void Deliver(IContext context, SendPrivate message)
    {
        NoteSpeech(message.From.Session);
        if (Find(context, message.From, message.RequestId, message.To) is { } to)
        {
            DateTimeOffset now = _time.GetUtcNow();
            string id = Guid.CreateVersion7(now).ToString("N");
            context.Send(to.Person.Session, new PrivateMessage(message.From.Name, message.Text, now, message.Kind, id));
            context.Send(message.From.Session, new PrivateSent(message.RequestId, to.Person.Name, now, to.Away, id));
        }
    }

    private Entry? Find(IContext context, Person asker, ulong requestId, string name)
    {
        if (Find(name) is { } entry)
        {
            return entry;
        }

        Refuse(context, asker, requestId, RefusalReason.NoSuchPerson, $"nobody here has the name '{ChatRules.Quote(name)}'");
        return null;
    }

    private Entry? Find(string name)
        => _byName.TryGetValue(ChatRules.NameKey(name), out Entry? entry) && !_leaving.ContainsKey(entry.Person.Session) ? entry : null;

    /// <summary>A session has ended. Whether it had a name.</summary>
    private bool Leave(IContext context, PID session)
    {
        if (_bySession.TryGetValue(session, out Entry? entry))
        {
            StartLeaving(entry);
        }
        else if (!_leaving.TryGetValue(session, out entry))
        {
            return false;
        }

        _rooms.Tell(new AwaitQuit(entry.Person, context.Self));
        return true;
    }

    private void StartLeaving(Entry entry)
    {
        _bySession.Remove(entry.Person.Session);
        _leaving.Add(entry.Person.Session, entry);
        _figures.PersonWent();
    }

    private void Free(PID session)
    {
        if (!_leaving.Remove(session, out Entry? entry))
        {
            return;
        }

        ReleaseOldName(entry);
        _byName.Remove(ChatRules.NameKey(entry.Person.Name));
        while (entry.Heirs.TryDequeue(out Action? heir))
        {
            heir();
        }
    }

    private void ReleaseOldName(Entry entry)
    {
        if (entry.OldKey is { } key)
        {
            _byName.Remove(key);
            entry.OldKey = null;
        }
    }

    private static void RefuseTaken(IContext context, Person person, ulong requestId, string name)
        => Refuse(context, person, requestId, RefusalReason.NameTaken, $"the name '{name}' is taken");

    private static void Refuse(IContext context, Person person, ulong requestId, RefusalReason reason, string text)
        => context.Send(person.Session, new Refused(requestId, reason, text));

    // Whom somebody who asks for a name finds there.
    private enum Holder
    {
        Nobody,
        SomebodyElse,

        // It is free once they are gone.
        Leaving,
    }

    private sealed class Entry
    {
        private readonly DateTimeOffset _since;

        public Entry(Person person, TimeProvider time)
        {
            Person = person;
            _since = time.GetUtcNow();
            LastSpoke = time.GetTimestamp();
        }

        public Person Person { get; set; }

        /// <summary>The name before, which nobody else can have yet.</summary>
        public string? OldKey { get; set; }

        /// <summary>Those who wait for the name, in order.</summary>
        public Queue<Action> Heirs { get; } = new();

        public string? Away { get; set; }

        public bool IsRegistered { get; set; }

        /// <summary>A timestamp: nobody's silence is shorter because the clock is set.</summary>
        public long LastSpoke { get; set; }

        public PersonDetails Details(TimeProvider time, bool withAddress) => new(
            Person.Name, _since, Away, Person.IsOperator, IsRegistered, Person.Door, withAddress ? Person.Address : "")
        {
            Idle = time.GetElapsedTime(LastSpoke),
        };
    }
}
