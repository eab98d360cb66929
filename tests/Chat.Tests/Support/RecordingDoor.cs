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

        public void Join(PID session, Joined welcome)
        {
            Assert.True(_sessions.Add(session), $"{session} joined an audience twice");
            Tell(session, welcome);
        }

        public void Leave(PID session, Left? farewell)
        {
            Assert.True(_sessions.Remove(session), $"{session} left an audience that it was not in");
            if (farewell is not null)
            {
                Tell(session, farewell);
            }
        }

        public void Publish(RoomEvent roomEvent, PID? except)
        {
            Interlocked.Increment(ref _door._publishes);
            if (roomEvent is RoomMessage message && message.Text == _door.Poison)
            {
                throw new InvalidOperationException("a door that fails, as the test asked");
            }

            foreach (PID session in _sessions)
            {
                if (!session.Equals(except))
                {
                    Tell(session, roomEvent);
                }
            }
        }

        public void SendTo(PID session, RoomEvent roomEvent)
        {
            Assert.Contains(session, _sessions);
            Tell(session, roomEvent);
        }

        public void Dispose() => Interlocked.Decrement(ref _door._audiences);

        private void Tell(PID session, RoomEvent roomEvent) => _door._logs[session].Add(roomEvent);
    }
}
