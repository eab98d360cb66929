using System.Collections.Concurrent;
using Chat.Domain;
using Proto;

namespace Chat.Tests.Support;

/// <summary>A door without connections: what a session would get by an audience goes into its log.</summary>
internal sealed class RecordingDoor : IDoor
{
    private readonly ConcurrentDictionary<PID, TestLog> _logs = new();
    private int _audiences;
    private int _publishes;

    public RecordingDoor(string name) => Name = name;

    public string Name { get; }

    /// <summary>Audiences that were made and not yet disposed.</summary>
    public int OpenAudiences => Volatile.Read(ref _audiences);

    /// <summary>Calls of <see cref="IRoomAudience.Publish"/>.</summary>
    public int Publishes => Volatile.Read(ref _publishes);

    /// <summary>Makes the next publish of a message with this text throw.</summary>
    public string? Poison { get; set; }

    public void Register(PID session, TestLog log) => _logs[session] = log;

    public IRoomAudience CreateAudience(string room)
    {
        Interlocked.Increment(ref _audiences);
        return new Audience(this);
    }

    private sealed class Audience : IRoomAudience
    {
        private readonly RecordingDoor _door;
        private readonly HashSet<PID> _sessions = [];

        public Audience(RecordingDoor door) => _door = door;

        public void Join(Person person, Joined welcome)
        {
            Assert.True(_sessions.Add(person.Session), $"{person} joined an audience twice");
            Tell(person.Session, welcome);
        }

        public void Leave(Person person, RoomEvent? farewell)
        {
            Assert.True(_sessions.Remove(person.Session), $"{person} left an audience that they were not in");
            if (farewell is not null)
            {
                Tell(person.Session, farewell);
            }
        }

        public void Publish(RoomEvent roomEvent, Person? except)
        {
            Interlocked.Increment(ref _door._publishes);
            if (roomEvent is RoomMessage message && message.Text == _door.Poison)
            {
                throw new InvalidOperationException("a door that fails, as the test asked");
            }

            foreach (PID session in _sessions)
            {
                if (!session.Equals(except?.Session))
                {
                    Tell(session, roomEvent);
                }
            }
        }

        public void SendTo(Person person, RoomEvent roomEvent)
        {
            Assert.Contains(person.Session, _sessions);
            Tell(person.Session, roomEvent);
        }

        public void Dispose() => Interlocked.Decrement(ref _door._audiences);

        private void Tell(PID session, RoomEvent roomEvent) => _door._logs[session].Add(roomEvent);
    }
}
