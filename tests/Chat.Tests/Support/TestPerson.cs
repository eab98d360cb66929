using Chat.Domain;
using Proto;

namespace Chat.Tests.Support;

/// <summary>A connection actor without a connection: runs a session and records all that it is told.</summary>
internal sealed class TestPerson
{
    private readonly ActorSystem _system;
    private ulong _fences = 1_000_000;

    public TestPerson(ActorSystem system, ChatDomain chat, RecordingDoor door, string address)
    {
        _system = system;
        Self = system.Root.Spawn(Props.FromProducer(() => new SessionActor(chat, door, address, Log)));
    }

    public PID Self { get; }

    public TestLog Log { get; } = new();

    /// <summary>Runs a request in the actor's turn; a refusal of the session itself goes into the log.</summary>
    public void Do(Func<Session, Refused?> request) => _system.Root.Send(Self, request);

    /// <summary>The connection closes in the orderly way.</summary>
    public void End() => Do(static session =>
    {
        session.End();
        return null;
    });

    /// <summary>The actor ends without a word to anybody.</summary>
    public Task Die() => _system.Root.StopAsync(Self);

    /// <summary>Returns when everything that this person asked a room before has been answered.</summary>
    public async Task Settled(string room)
    {
        ulong id = _fences++;
        Do(session => session.Who(id, room));
        await Log.Hears<object>(entry => entry is RoomMembers members && members.RequestId == id
            || entry is Refused refused && refused.RequestId == id);
    }

    private sealed class SessionActor : IActor
    {
        private readonly ChatDomain _chat;
        private readonly RecordingDoor _door;
        private readonly string _address;
        private readonly TestLog _log;
        private Session? _session;

        public SessionActor(ChatDomain chat, RecordingDoor door, string address, TestLog log)
        {
            _chat = chat;
            _door = door;
            _address = address;
            _log = log;
        }

        public Task ReceiveAsync(IContext context)
        {
            switch (context.Message)
            {
                case Started:
                    _door.Register(context.Self, _log);
                    _session = new Session(_chat, context.Self, _door.Name, _address);
                    break;
                case Func<Session, Refused?> request:
                    if (request(_session!) is { } refused)
                    {
                        _log.Add(refused);
                    }

                    break;
                case InfrastructureMessage:
                    break;
                case Disconnect disconnect:
                    _session!.End(disconnect.ForOthers);
                    _log.Add(disconnect);
                    break;
                case { } message:
                    _session!.Observe(message);
                    _log.Add(message);
                    break;
            }

            return Task.CompletedTask;
        }
    }
}
