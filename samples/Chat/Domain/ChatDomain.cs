using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Proto;

namespace Chat.Domain;

/// <summary>
/// The chat itself: people and rooms, whatever doors lead to it. It knows no wire format and no socket; a door makes a
/// <see cref="Session"/> for each of its connections and implements <see cref="IDoor"/> and <see cref="IRoomAudience"/>.
/// </summary>
/// <remarks>
/// The way of a message: door, <see cref="Session"/> (may they?), <see cref="IRooms"/>, <see cref="RoomsActor"/>,
/// <see cref="RoomActor"/> (its number), <see cref="IRoomAudience"/> of each door, connections.
/// </remarks>
public sealed class ChatDomain
{
    private readonly RootContext _sender;
    private readonly PID _peopleActor;
    private readonly PID _roomsActor;

    private ChatDomain(
        ActorSystem system, ChatOptions options, IReadOnlyDictionary<string, IDoor> doors, TimeProvider time, ILoggerFactory loggers)
    {
        Options = options;
        Doors = doors;
        Rules = new ChatRules(options);

        // A context of our own: the system's Root wraps each message it sends.
        _sender = new RootContext(system);
        ILogger logger = loggers.CreateLogger("Chat.Domain");
        _peopleActor = _sender.SpawnNamed(Props.FromProducer(() => new PeopleActor(time)), "chat/people");
        _roomsActor = _sender.SpawnNamed(
            Props.FromProducer(() => new RoomsActor(options, time, doors))
                .WithChildSupervisorStrategy(RoomsActor.Supervision(logger)),
            "chat/rooms");
        People = new LocalPeople(_sender, _peopleActor);
        Rooms = new LocalRooms(_sender, _roomsActor);
    }

    /// <summary>The limits.</summary>
    public ChatOptions Options { get; }

    /// <summary>The rules for names and texts, under these limits.</summary>
    public ChatRules Rules { get; }

    /// <summary>The way to people.</summary>
    public IPeople People { get; }

    /// <summary>The way to rooms.</summary>
    public IRooms Rooms { get; }

    /// <summary>The doors by their names.</summary>
    internal IReadOnlyDictionary<string, IDoor> Doors { get; }

    /// <summary>Starts the chat's actors: <c>chat/people</c>, <c>chat/rooms</c> and, below that, the rooms as they are joined.</summary>
    /// <param name="system">Where they live.</param>
    /// <param name="options">The limits.</param>
    /// <param name="doors">All doors that sessions will come by.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <param name="loggers">Where failures are told; nowhere by default.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or two doors have one name.</exception>
    public static ChatDomain Start(
        ActorSystem system, ChatOptions options, IEnumerable<IDoor> doors, TimeProvider? time = null, ILoggerFactory? loggers = null)
    {
        Dictionary<string, IDoor> byName = doors.ToDictionary(static door => door.Name);
        return new ChatDomain(system, options, byName, time ?? TimeProvider.System, loggers ?? NullLoggerFactory.Instance);
    }

    /// <summary>Closes the rooms, which tell their members so, and then the register. What was asked before is answered first.</summary>
    public async Task StopAsync()
    {
        await _sender.PoisonAsync(_roomsActor);
        await _sender.PoisonAsync(_peopleActor);
    }
}
