using Proto;

namespace Chat.Domain;

/// <summary>A room: who is in it, what is said there and in which order.</summary>
/// <remarks>
/// <para>
/// A message is stored before anybody hears of it: the room hands it to the history, which gives it its number, and publishes it when the
/// answer comes. Messages may be on their way to the store together; any other request waits for those before it, so that all of the
/// room's events are told in the order of the requests.
/// </para>
/// <para>
/// The state that the members see changes only here, and every change is told before the next request is taken, so all members see one
/// order. The room reports its size to <see cref="RoomsActor"/>, which decides when it goes.
/// </para>
/// </remarks>
internal sealed class RoomActor : IActor, IDisposable
{
    private readonly string _room;
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly IHistory _history;
    private readonly RoomCrowd _crowd;
    private readonly RoomLog _log;
    private readonly HashSet<string> _banned = [];
    private readonly HashSet<string> _muted = [];

    // With the history, oldest first; the answers come in this order.
    private readonly Queue<Say> _storing = new();

    // What must see the messages above stored, and all that came behind it.
    private readonly Queue<RoomRequest> _waiting = new();
    private Topic? _topic;
    private bool _isLoaded;

    // Why the history cannot be read: then this room lets nobody in until it goes.
    private string? _loadError;
    private bool _isTimerSet;
    private long _requestsTaken;

    // What was reported last; nobody knows of the room before the first.
    private (int Members, string? Topic) _reported = (-1, null);

    public RoomActor(
        string room, ChatOptions options, TimeProvider time, IReadOnlyDictionary<string, IDoor> doors, IHistory history)
    {
        _room = room;
        _options = options;
        _time = time;
        _history = history;
        _crowd = new RoomCrowd(room, options, doors);
        _log = new RoomLog(options, time);
    }

    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Started:
                _history.Tell(new LoadRoom(context.Self, _room, _options.ReplayMessages));
                return Task.CompletedTask;
            case RoomLoaded loaded:
                Load(context, loaded);
                break;
            case Appended appended:
                Finish(context, appended);
                break;
            case RoomRequest request:
                Receive(context, request);
                break;
            case Terminated terminated:
                // As with those whose end was told: all of their rooms tell it together.
                if (_crowd.Find(terminated.Who) is { } lost)
                {
                    context.Send(context.Parent!, new SessionLost(lost, _room));
                }

                return Task.CompletedTask;
            case TellPresence:
                _isTimerSet = false;
                _crowd.TellChanges(_log.Sequence);
                break;
            case Stopping:
                _crowd.Close(new RoomClosed(_room, _log.Sequence, $"room '{_room}' is closed"));
                return Task.CompletedTask;
            default:
                return Task.CompletedTask;
        }

        Report(context);
        foreach ((Round round, IReadOnlySet<PID> to) in _crowd.TakeTold())
        {
            context.Send(context.Parent!, new ChangeTold(context.Self, round.Session, to));
        }

        if (_crowd.HasChanges && !_isTimerSet)
        {
            _isTimerSet = true;
            TellPresenceLater(context);
        }

        return Task.CompletedTask;
    }

    public void Dispose() => _crowd.Dispose();

    // The system's clock even in tests: what is collected is told in the end, whatever time the messages have.
    private void TellPresenceLater(IContext context) => context.ReenterAfter(
        Task.Delay(_options.PresenceInterval, context.CancellationToken), () => context.Send(context.Self, TellPresence.Instance));

    private void Load(IContext context, RoomLoaded loaded)
    {
        _isLoaded = true;
        if (loaded.Room is { } stored)
        {
            _log.Load(stored);
            _topic = stored.Topic;
            _banned.UnionWith(stored.Banned);
            _muted.UnionWith(stored.Muted);
            TakeWaiting(context);
            return;
        }

        // Nobody gets in, so the room goes again, and whoever comes next makes another attempt. The first may come after this.
        _loadError = loaded.Error;
        while (_waiting.TryDequeue(out RoomRequest? request))
        {
            RefuseUnloaded(context, request);
        }
    }

    private void RefuseUnloaded(IContext context, RoomRequest request)
    {
        _requestsTaken++;
        Refuse(context, request, RefusalReason.Unavailable, $"the history of room '{_room}' cannot be read: {_loadError}");
    }

    private void Receive(IContext context, RoomRequest message)
    {
        if (_loadError is not null)
        {
            RefuseUnloaded(context, message);
        }
        else if (message is Say say && _storing.Count + _waiting.Count >= _options.MaxWaitingPerRoom)
        {
            _requestsTaken++;
            string text = $"room '{_room}' is busy: {_options.MaxWaitingPerRoom} requests wait for the disk, which is the limit; try again";
            Refuse(context, say, RefusalReason.Busy, text);
        }
        else if (!_isLoaded || _waiting.Count > 0 || (_storing.Count > 0 && message is not Say))
        {
            _waiting.Enqueue(message);
        }
        else
        {
            Take(context, message);
        }
    }

    private void TakeWaiting(IContext context)
    {
        while (_waiting.TryPeek(out RoomRequest? next) && (_storing.Count == 0 || next is Say))
        {
            Take(context, _waiting.Dequeue());
        }
    }

    private void Take(IContext context, RoomRequest request)
    {
        if (request is Say say)
        {
            // Counted when it is stored.
            Store(context, say);
        }
        else
        {
            _requestsTaken++;
            Answer(context, request);
        }
    }

    private void Answer(IContext context, RoomRequest request)
    {
        bool isMember = _crowd.Contains(request.Person.Session);
        switch (request)
        {
            case Join join:
                Enter(context, join, isMember);
                break;
            case Leave leave when isMember:
                var left = new Left(_room, _log.Sequence, leave.RequestId) { Reason = leave.Reason };
                Remove(context, leave.Person.Session, left, leave.Reason);
                break;
            case MakeChange { Change: var change }:
                if (isMember && change is Rename)
                {
                    _crowd.Rename(change.Person, _log.Sequence);
                }
                else if (isMember)
                {
                    TakeOut(context, change.Person.Session, farewell: null);
                }

                context.Send(context.Parent!, new ChangeMade(context.Self, change.Person.Session, isMember));
                break;
            case TellChange { Change: Quit quit, Round: var round }:
                var exit = new ChatExit(quit.IsOwnWish, round);
                _crowd.Depart(new Departure(quit.Person.Name, quit.Reason) { Exit = exit }, _log.Sequence);
                break;
            case TellChange { Change: Rename rename, Round: var round }:
                _crowd.TellName(rename.Person, rename.OldName, round, _log.Sequence);
                break;
            case ChangeAway change:
                if (isMember)
                {
                    _crowd.ChangeAway(change.Person.Session, change.IsAway, _log.Sequence);
                }

                break;
            case Promote promote:
                if (isMember)
                {
                    _crowd.Promote(promote.Person.Session);
                }

                break;
            case Who:
                var members = new RoomMembers(_room, _log.Sequence, request.RequestId, _crowd.Names)
                {
                    Away = _crowd.Away,
                    Operators = _crowd.Operators,
                    Topic = _topic,
                };
                Answer(context, request.Person, members);
                break;
            case SetTopic set when isMember || set.Person.IsOperator:
                ChangeTopic(context, set);
                break;
            case Invite invite when isMember:
                if (_crowd.Find(ChatRules.NameKey(invite.To)) is { } there)
                {
                    Refuse(context, invite, RefusalReason.AlreadyInRoom, $"{there.Name} is in room '{_room}' already");
                }
                else
                {
                    context.Send(invite.Person.Session, new MayInvite(invite));
                }

                break;
            case ReadHistory read when isMember:
                int limit = Math.Clamp(read.Limit, 1, _options.ReplayMessages);
                _history.Tell(new ReadMessages(read.Person.Session, read.RequestId, _room, read.After, limit));
                break;
            case Moderate moderate:
                Moderate(context, moderate);
                break;
            case ListRestrictions:
                context.Send(request.Person.Session, new RoomRestrictions(request.RequestId, _room, [.. _banned.Order()], [.. _muted.Order()]));
                break;
            default:
                RefuseStranger(context, request);
                break;
        }
    }

    private void Enter(IContext context, Join join, bool isMember)
    {
        Person person = join.Person;
        if (isMember)
        {
            Refuse(context, join, RefusalReason.AlreadyInRoom, $"you are in room '{_room}' already");
        }
        else if (!person.IsOperator && IsListed(_banned, person))
        {
            Refuse(context, join, RefusalReason.Banned, $"you are banned from room '{_room}'");
        }
        else if (_crowd.Count >= _options.MaxMembersPerRoom)
        {
            Refuse(context, join, RefusalReason.Full, $"room '{_room}' is full; the limit is {_options.MaxMembersPerRoom} people");
        }
        else
        {
            // The safety net for a session that ends without a word: it would stay in everybody's list of members for ever.
            context.Watch(person.Session);
            context.Send(context.Parent!, new MemberMoved(_room, context.Self, person.Session, IsIn: true));
            _crowd.Enter(person, join.IsAway);
            (IReadOnlyList<RoomMessage> messages, Gap? gap) = _log.Take(join.Replay);
            var welcome = new Joined(_room, _log.Sequence, join.RequestId, _crowd.Names)
            {
                Away = _crowd.Away,
                Topic = _topic,
                Replay = messages,
                Gap = gap,
            };
            _crowd.Add(person, welcome, _log.Sequence);
        }
    }

    private void Remove(IContext context, PID session, RoomEvent farewell, string? reason, string? kickedBy = null)
    {
        string name = TakeOut(context, session, farewell);
        _crowd.Depart(new Departure(name, reason, kickedBy), _log.Sequence);
    }

    private string TakeOut(IContext context, PID session, RoomEvent? farewell)
    {
        context.Unwatch(session);
        context.Send(context.Parent!, new MemberMoved(_room, context.Self, session, IsIn: false));
        return _crowd.TakeOut(session, farewell, _log.Sequence);
    }

    private void Store(IContext context, Say say)
    {
        if (!_crowd.Contains(say.Person.Session))
        {
            _requestsTaken++;
            RefuseStranger(context, say);
        }
        else if (!say.Person.IsOperator && IsListed(_muted, say.Person))
        {
            _requestsTaken++;
            Refuse(context, say, RefusalReason.Muted, $"you are muted in room '{_room}'");
        }
        else
        {
            _storing.Enqueue(say);
            var message = new NewMessage(_room, say.Person.Name, say.MessageId, say.Kind, say.Text, _time.GetUtcNow());
            _history.Tell(new AppendMessage(context.Self, message));
        }
    }

    private void Finish(IContext context, Appended appended)
    {
        Say say = _storing.Dequeue();
        _requestsTaken++;
        StoreResult result = appended.Result;
        if (appended.Error is { } error)
        {
            Refuse(context, say, RefusalReason.Unavailable, $"the message cannot be stored: {error}");
        }
        else if (result.Outcome == StoreOutcome.IdTaken)
        {
            string text = $"the message id '{ChatRules.Quote(say.MessageId)}' is that of your message {result.Sequence}, which has another text";
            Refuse(context, say, RefusalReason.MessageIdTaken, text);
        }
        else
        {
            RoomMessage message = appended.Message.Numbered(result.Sequence, result.Time);
            bool isRepetition = result.Outcome == StoreOutcome.Repetition;
            if (!isRepetition)
            {
                _log.Add(message);
                _crowd.Publish(message, about: message.From, except: say.Person);
            }

            Answer(context, say.Person, new Said(message, say.RequestId, isRepetition));
        }

        TakeWaiting(context);
    }

    private void ChangeTopic(IContext context, SetTopic set)
    {
        _topic = set.Text.Length == 0 ? null : new Topic(set.Text, set.Person.Name, _time.GetUtcNow());
        Topic told = _topic ?? new Topic("", set.Person.Name, _time.GetUtcNow());
        _history.Tell(new SaveTopic(context.Self, _room, told));
        _crowd.Publish(new TopicChanged(_room, _log.Sequence, told), about: set.Person.Name, except: set.Person);
        Answer(context, set.Person, new TopicChanged(_room, _log.Sequence, told, set.RequestId));
    }

    private void Moderate(IContext context, Moderate request)
    {
        string key = ChatRules.NameKey(request.Target);
        switch (request.Action)
        {
            case ModerationAction.Kick when !PutOut(context, key, request):
                string text = $"nobody in room '{_room}' has the name '{ChatRules.Quote(request.Target)}'";
                Refuse(context, request, RefusalReason.NoSuchPerson, text);
                return;
            case ModerationAction.Ban:
                Restrict(context, request, RestrictionKind.Ban, key, holds: true);
                PutOut(context, key, request);
                break;
            case ModerationAction.Unban:
                Restrict(context, request, RestrictionKind.Ban, key, holds: false);
                break;
            case ModerationAction.Mute:
                Restrict(context, request, RestrictionKind.Mute, key, holds: true);
                break;
            case ModerationAction.Unmute:
                Restrict(context, request, RestrictionKind.Mute, key, holds: false);
                break;
        }

        context.Send(request.Person.Session, new Done(request.RequestId));
    }

    private bool PutOut(IContext context, string key, Moderate request)
    {
        if (_crowd.Find(key) is not { } target)
        {
            return false;
        }

        string by = request.Person.Name;
        Remove(context, target.Session, new Kicked(_room, _log.Sequence, by, request.Reason), request.Reason, by);
        return true;
    }

    private void Restrict(IContext context, Moderate request, RestrictionKind kind, string target, bool holds)
    {
        HashSet<string> targets = kind == RestrictionKind.Ban ? _banned : _muted;
        if (holds ? targets.Add(target) : targets.Remove(target))
        {
            _history.Tell(new SaveRestriction(context.Self, _room, kind, target, holds));
            var changed = new RestrictionChanged(_room, _log.Sequence, request.Person.Name, request.Action, target);
            _crowd.Publish(changed, about: request.Person.Name, except: request.Person);
        }
    }

    private static bool IsListed(HashSet<string> targets, Person person)
        => targets.Count > 0 && (targets.Contains(ChatRules.NameKey(person.Name)) || targets.Contains(ChatRules.NameKey(person.Address)));

    private void Report(IContext context)
    {
        // An empty room reports after every request: only a report that knows of the last request lets it go.
        if (_reported != (_crowd.Count, _topic?.Text) || _crowd.Count == 0)
        {
            _reported = (_crowd.Count, _topic?.Text);
            context.Send(context.Parent!, new RoomReport(_room, context.Self, _crowd.Count, _requestsTaken, _topic?.Text ?? ""));
        }
    }

    /// <summary>To a member by the audience, in order with what else the room tells them; to others directly.</summary>
    private void Answer(IContext context, Person person, RoomEvent answer)
    {
        if (_crowd.Contains(person.Session))
        {
            _crowd.SendTo(person.Session, answer);
        }
        else
        {
            context.Send(person.Session, answer);
        }
    }

    private void RefuseStranger(IContext context, RoomRequest request)
        => Refuse(context, request, RefusalReason.NotInRoom, $"you are not in room '{_room}'");

    // A refusal changes nothing that others see, so its order with the room's events does not matter.
    private void Refuse(IContext context, RoomRequest request, RefusalReason reason, string text)
        => context.Send(request.Person.Session, new Refused(request.RequestId, reason, text, _room));

    private sealed class TellPresence
    {
        public static readonly TellPresence Instance = new();
    }
}
