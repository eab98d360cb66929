namespace Chat.Domain;

/// <summary>All who are in one room, whatever door they came by: one audience per door that has members.</summary>
internal sealed class RoomAudiences : IDisposable
{
    private readonly string _room;
    private readonly IReadOnlyDictionary<string, IDoor> _doors;
    private readonly Dictionary<string, IRoomAudience> _audiences = [];

    public RoomAudiences(string room, IReadOnlyDictionary<string, IDoor> doors)
    {
        _room = room;
        _doors = doors;
    }

    public void Join(Person person, Joined welcome)
    {
        if (!_audiences.TryGetValue(person.Door, out IRoomAudience? audience))
        {
            audience = _doors[person.Door].CreateAudience(_room);
            _audiences.Add(person.Door, audience);
        }

        audience.Join(person, welcome);
    }

    public void Leave(Person person, RoomEvent? farewell) => _audiences[person.Door].Leave(person, farewell);

    public void Publish(RoomEvent roomEvent, Person? except)
    {
        foreach ((string door, IRoomAudience audience) in _audiences)
        {
            audience.Publish(roomEvent, door == except?.Door ? except : null);
        }
    }

    public void SendTo(Person person, RoomEvent roomEvent) => _audiences[person.Door].SendTo(person, roomEvent);

    public void Dispose()
    {
        foreach (IRoomAudience audience in _audiences.Values)
        {
            audience.Dispose();
        }

        _audiences.Clear();
    }
}
