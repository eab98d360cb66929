using Proto;

namespace Chat.Domain;

/// <summary>A room: who is in it, and the numbers of what is said there.</summary>
/// <remarks>
/// The state that the members see changes only here, and every change is published before the next request is taken, so all
/// members see one order. The room reports its size to <see cref="RoomsActor"/>, which decides when it goes.
/// </remarks>
internal sealed class RoomActor : IActor, IDisposable
{
    private readonly string _room;
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly RoomAudiences _audiences;

    // By session, not by name: a name may have passed to another session before its last one is out of here.
    private readonly Dictionary<PID, Person> _members = [];
    private long _sequence;
    private long _requestsTaken;

    public RoomActor(string room, ChatOptions options, TimeProvider time, IReadOnlyDictionary<string, IDoor> doors)
    {
        _room = room;
        _options = options;
        _time = time;
        _audiences = new RoomAudiences(room, doors);
    }

    public Task ReceiveAsync(IContext context)
    {
        int before = _members.Count;
        switch (context.Message)
        {
            case RoomRequest request:
                _requestsTaken++;
                Take(context, request);
                break;
            case Terminated terminated when _members.TryGetValue(terminated.Who, out Person? gone):
                Remove(gone, farewell: null);
                break;
            case Stopping:
                Close();
                return Task.CompletedTask;
            default:
                return Task.CompletedTask;
        }

        // An empty room reports after every request: only a report that knows of the last request lets it go.
        if (_members.Count != before || _members.Count == 0)
        {
            context.Send(context.Parent!, new RoomReport(_room, context.Self, _members.Count, _requestsTaken));
        }

        return Task.CompletedTask;
    }

    public void Dispose() => _audiences.Dispose();

    private void Take(IContext context, RoomRequest request)
    {
        bool member = _members.ContainsKey(request.Person.Session);
        switch (request)
        {
            case Join when member:
                Refuse(context, request, RefusalReason.AlreadyInRoom, $"you are in room '{_room}' already");
                break;
            case Join when _members.Count >= _options.MaxMembersPerRoom:
                Refuse(context, request, RefusalReason.Full, $"room '{_room}' is full; the limit is {_options.MaxMembersPerRoom} people");
                break;
            case Join:
                Add(context, request);
                break;
            case Leave when member:
                context.Unwatch(request.Person.Session);
                Remove(request.Person, new Left(_room, _sequence, request.RequestId));
                break;
            case Vanish:
                if (member)
                {
                    context.Unwatch(request.Person.Session);
                    Remove(request.Person, farewell: null);
                }

                break;
            case Say say when member:
                Publish(say);
                break;
            case Who:
                Answer(context, member, request.Person, new RoomMembers(_room, _sequence, request.RequestId, Names()));
                break;
            default:
                Refuse(context, request, RefusalReason.NotInRoom, $"you are not in room '{_room}'");
                break;
        }
    }

    private void Add(IContext context, RoomRequest request)
    {
        Person person = request.Person;
        _members.Add(person.Session, person);

        // The safety net for a session that ends without a word: it would stay in everybody's list of members for ever.
        context.Watch(person.Session);
        _audiences.Join(person, new Joined(_room, _sequence, request.RequestId, Names()));
        _audiences.Publish(new Presence(_room, _sequence, [person.Name], []), except: person);
    }

    private void Remove(Person person, Left? farewell)
    {
        _members.Remove(person.Session);
        _audiences.Leave(person, farewell);
        _audiences.Publish(new Presence(_room, _sequence, [], [person.Name]), except: null);
    }

    private void Publish(Say say)
    {
        DateTimeOffset now = _time.GetUtcNow();
        _sequence++;
        _audiences.Publish(new RoomMessage(_room, _sequence, say.Person.Name, say.Text, now), except: say.Person);
        _audiences.SendTo(say.Person, new Said(_room, _sequence, say.RequestId, now));
    }

    private void Close()
    {
        if (_members.Count > 0)
        {
            _audiences.Publish(new RoomClosed(_room, _sequence, $"room '{_room}' is closed"), except: null);
            foreach (Person person in _members.Values)
            {
                _audiences.Leave(person, farewell: null);
            }
        }
    }

    private string[] Names() => [.. _members.Values.Select(static person => person.Name).Order(StringComparer.Ordinal)];

    /// <summary>To a member by the audience, in order with what else the room tells them; to others directly.</summary>
    private void Answer(IContext context, bool member, Person person, RoomEvent answer)
    {
        if (member)
        {
            _audiences.SendTo(person, answer);
        }
        else
        {
            context.Send(person.Session, answer);
        }
    }

    // A refusal changes nothing that others see, so its order with the room's events does not matter.
    private void Refuse(IContext context, RoomRequest request, RefusalReason reason, string text)
        => context.Send(request.Person.Session, new Refused(request.RequestId, reason, text, _room));
}
