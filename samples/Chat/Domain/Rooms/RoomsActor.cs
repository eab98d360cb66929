using Microsoft.Extensions.Logging;
using Proto;

namespace Chat.Domain;

/// <summary>The rooms of this machine: makes a room when it is first joined, hands requests on, and lets a room go when it is empty.</summary>
/// <remarks>
/// A room goes only if it is empty and has taken every request that was handed to it. Both are counted, and only this actor hands
/// requests on, so no request is ever sent to a room that has gone.
/// </remarks>
internal sealed partial class RoomsActor : IActor
{
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private readonly IReadOnlyDictionary<string, IDoor> _doors;
    private readonly IHistory _history;
    private readonly ChatFigures _figures;
    private readonly Dictionary<string, Entry> _rooms = [];
    private readonly Dictionary<PID, string> _names = [];
    private long _roomsMade;

    public RoomsActor(
        ChatOptions options, TimeProvider time, IReadOnlyDictionary<string, IDoor> doors, IHistory history, ChatFigures figures)
    {
        _options = options;
        _time = time;
        _doors = doors;
        _history = history;
        _figures = figures;
    }

    public Task ReceiveAsync(IContext context)
    {
        if (!HoldsUp(context.Message))
        {
            Take(context, context.Message);
        }

        return Task.CompletedTask;
    }

    private void Take(IContext context, object? message)
    {
        switch (message)
        {
            case RoomRequest request:
                Route(context, request);
                break;
            case RoomReport report:
                Note(context, report);
                break;
            case MemberMoved moved:
                Note(moved);
                break;
            case ListRooms request:
                context.Send(request.Person.Session, List(request));
                break;
            case AddRooms add:
                context.Send(add.Asker, add.Answer with { Details = add.Answer.Details with { Rooms = WhereIs(add.Session) } });
                break;
            case PersonChange change:
                Begin(context, change);
                break;
            case SessionLost lost:
                Note(context, lost);
                break;
            case ChangeMade made:
                Note(context, made);
                break;
            case ChangeTold told:
                Note(context, told);
                break;
            case AwaitQuit wait:
                Await(context, wait);
                break;
            case Terminated terminated:
                Forget(context, terminated.Who);
                break;
        }
    }

    /// <summary>A room that failed is closed and its members are told so: its state is in doubt, and a new one starts clean.</summary>
    internal static ISupervisorStrategy Supervision(ILogger logger) => new OneForOneStrategy(
        (pid, reason) =>
        {
            LogRoomFailed(logger, reason, pid.Id);
            return SupervisorDirective.Stop;
        },
        maxNrOfRetries: 0,
        withinTimeSpan: null);

    private void Route(IContext context, RoomRequest request)
    {
        if (!_rooms.TryGetValue(request.Room, out Entry? entry))
        {
            if (!Opens(request))
            {
                RefuseAbsent(context, request);
                return;
            }

            if (_rooms.Count >= _options.MaxRooms)
            {
                string text = $"room '{request.Room}' cannot be opened: there are {_rooms.Count} rooms, which is the limit";
                context.Send(request.Person.Session, new Refused(request.RequestId, RefusalReason.Full, text, request.Room));
                return;
            }

            entry = Open(context, request.Room);
        }

        entry.RequestsGiven++;
        context.Send(entry.Room, request);
    }

    private static void RefuseAbsent(IContext context, RoomRequest request)
    {
        Refused? refused = request switch
        {
            ChangeAway or Promote => null,

            // Whoever wants to speak or read on is told the same in every room that they are not in: that they must come first.
            Say or ReadHistory =>
                new Refused(request.RequestId, RefusalReason.NotInRoom, $"you are not in room '{request.Room}'", request.Room),
            _ => new Refused(request.RequestId, RefusalReason.NoSuchRoom, $"nobody is in a room '{request.Room}'", request.Room),
        };
        if (refused is not null)
        {
            context.Send(request.Person.Session, refused);
        }
    }

    // An operator keeps somebody out of a room, or looks who is kept out, whether anybody is there or not.
    private static bool Opens(RoomRequest request) => request is Join or ListRestrictions
        || (request is Moderate { Action: not ModerationAction.Kick });

    private Entry Open(IContext context, string room)
    {
        // The number keeps the name of a room's actor apart from that of its predecessor, which may still be stopping.
        Props props = ChatDomain.Actor(() => new RoomActor(room, _options, _time, _doors, _history));
        var entry = new Entry(context.SpawnNamed(props, $"{room}/{++_roomsMade}"));
        _rooms.Add(room, entry);
        _names.Add(entry.Room, room);
        _figures.RoomOpened();
        return entry;
    }

    private void Note(IContext context, RoomReport report)
    {
        if (!_rooms.TryGetValue(report.Room, out Entry? entry) || !entry.Room.Equals(report.Sender))
        {
            return;
        }

        entry.Members = report.Members;
        entry.Topic = report.Topic;
        if (report.Members == 0 && report.RequestsTaken == entry.RequestsGiven)
        {
            _rooms.Remove(report.Room);
            _figures.RoomClosed();
            context.Stop(entry.Room);
            GoOnWithout(context, report.Room, entry);
        }
    }

    private RoomList List(ListRooms request)
    {
        IEnumerable<KeyValuePair<string, Entry>> asked = request.Named is null ? _rooms
            : request.Named.Distinct().Where(_rooms.ContainsKey).Select(room => KeyValuePair.Create(room, _rooms[room]));
        RoomSummary[] rooms =
        [
            .. asked.Where(static room => room.Value.Members > 0)
                .Select(static room => new RoomSummary(room.Key, room.Value.Members, room.Value.Topic))
                .OrderByDescending(static room => room.Members)
                .ThenBy(static room => room.Room, StringComparer.Ordinal),
        ];
        return new RoomList(
            request.RequestId, rooms.Length > _options.MaxListedRooms ? rooms[.._options.MaxListedRooms] : rooms, rooms.Length);
    }

    /// <summary>A room has ended. One that failed is still listed, and the name is free again only now.</summary>
    private void Forget(IContext context, PID ended)
    {
        if (_names.Remove(ended, out string? room) && _rooms.TryGetValue(room, out Entry? entry) && entry.Room.Equals(ended))
        {
            _rooms.Remove(room);
            _figures.RoomClosed();
            GoOnWithout(context, room, entry);
        }
    }

    [LoggerMessage(EventId = 1, Level = LogLevel.Error, Message = "Room actor {Room} failed and is closed")]
    private static partial void LogRoomFailed(ILogger logger, Exception reason, string room);

    private sealed class Entry
    {
        public Entry(PID room) => Room = room;

        public PID Room { get; }

        public long RequestsGiven { get; set; }

        public int Members { get; set; }

        /// <summary>Whose members those are, by what the room has told.</summary>
        public HashSet<PID> Sessions { get; } = [];

        public string Topic { get; set; } = "";
    }
}
