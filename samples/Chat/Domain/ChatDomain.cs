using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Proto;

namespace Chat.Domain;

/// <summary>
/// The chat itself: people, rooms and history, whatever doors lead to it. It knows no wire format and no socket; a door makes a
/// <see cref="Session"/> for each of its connections and implements <see cref="IDoor"/> and <see cref="IRoomAudience"/>.
/// </summary>
/// <remarks>
/// The way of a message: door, <see cref="Session"/> (may they?), <see cref="IRooms"/>, <see cref="RoomsActor"/>,
/// <see cref="RoomActor"/> (may they here?), <see cref="HistoryActor"/> (it is kept, and has its number), the room again,
/// <see cref="IRoomAudience"/> of each door, connections.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "StopAsync disposes the thread and the store, when the actors have stopped.")]
public sealed class ChatDomain
{
    private readonly RootContext _sender;
    private readonly StoreThread _storeThread = new();
    private readonly IChatStore _store;
    private readonly TaskCompletionSource<string> _drain = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly PID _peopleActor;
    private readonly PID _roomsActor;
    private readonly PID _historyActor;
    private Task? _stopped;

    private ChatDomain(
        ActorSystem system,
        ChatOptions options,
        IReadOnlyDictionary<string, IDoor> doors,
        IChatStore store,
        TimeProvider time,
        ILoggerFactory loggers)
    {
        Options = options;
        Doors = doors;
        Rules = new ChatRules(options);
        Time = time;
        _store = store;

        // A context of our own: the system's Root wraps each message it sends.
        _sender = new RootContext(system);
        ILogger logger = loggers.CreateLogger("Chat.Domain");
        _historyActor = _sender.SpawnNamed(
            Actor(() => new HistoryActor(store, options, time, Figures, logger)).WithDispatcher(_storeThread), "chat/history");
        History = new LocalHistory(_sender, _historyActor);
        _roomsActor = _sender.SpawnNamed(
            Actor(() => new RoomsActor(options, time, doors, History, Figures))
                .WithChildSupervisorStrategy(RoomsActor.Supervision(logger)),
            "chat/rooms");
        Rooms = new LocalRooms(_sender, _roomsActor);
        _peopleActor = _sender.SpawnNamed(Actor(() => new PeopleActor(options, time, History, Rooms, Figures)), "chat/people");
        People = new LocalPeople(_sender, _peopleActor);
    }

    /// <summary>The limits.</summary>
    public ChatOptions Options { get; }

    /// <summary>The rules for names and texts, under these limits.</summary>
    public ChatRules Rules { get; }

    /// <summary>The way to people.</summary>
    public IPeople People { get; }

    /// <summary>The way to rooms.</summary>
    public IRooms Rooms { get; }

    /// <summary>What is counted.</summary>
    public ChatFigures Figures { get; } = new();

    /// <summary>Completes when an operator asks for the server to stop, with who that was.</summary>
    public Task<string> DrainRequested => _drain.Task;

    /// <summary>The doors by their names.</summary>
    internal IReadOnlyDictionary<string, IDoor> Doors { get; }

    /// <summary>The way to what is kept.</summary>
    internal IHistory History { get; }

    /// <summary>The clock.</summary>
    internal TimeProvider Time { get; }

    /// <summary>
    /// Starts the chat's actors: <c>chat/history</c>, <c>chat/people</c>, <c>chat/rooms</c> and, below that, the rooms as they are joined.
    /// </summary>
    /// <param name="system">Where they live.</param>
    /// <param name="options">The limits.</param>
    /// <param name="doors">All doors that sessions will come by.</param>
    /// <param name="store">What must survive is kept here; in memory by default. Disposed by <see cref="StopAsync"/>.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <param name="loggers">Where failures are told; nowhere by default.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or two doors have one name.</exception>
    public static ChatDomain Start(
        ActorSystem system,
        ChatOptions options,
        IEnumerable<IDoor> doors,
        IChatStore? store = null,
        TimeProvider? time = null,
        ILoggerFactory? loggers = null)
    {
        options.Validate();
        Dictionary<string, IDoor> byName = doors.ToDictionary(static door => door.Name);
        return new ChatDomain(
            system, options, byName, store ?? new MemoryStore(), time ?? TimeProvider.System, loggers ?? NullLoggerFactory.Instance);
    }

    /// <summary>
    /// Closes the rooms, which tell their members so, then the register, and then the store, when all that it was given is kept. What was
    /// asked before is answered first. Harmless when it has been called; one caller at a time.
    /// </summary>
    public Task StopAsync() => _stopped ??= StopOnceAsync();

    /// <summary>An actor of the chat: Proto.Actor would warn of one that begins slowly, as any may on a busy machine.</summary>
    internal static Props Actor(Producer producer) => Props.FromProducer(producer).WithStartDeadline(TimeSpan.Zero);

    internal void RequestDrain(string name) => _drain.TrySetResult(name);

    private async Task StopOnceAsync()
    {
        await _sender.PoisonAsync(_roomsActor);
        await _sender.PoisonAsync(_peopleActor);
        await _sender.PoisonAsync(_historyActor);

        // Not in the thread's own turn, which the history's last one still is.
        await Task.Run(_storeThread.Dispose);
        _store.Dispose();
    }
}
