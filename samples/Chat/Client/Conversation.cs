using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>One visit to the chat: says hello, joins, does what the lines say, and leaves when they end.</summary>
/// <remarks>
/// It leaves only when everything that it sent has been answered. Lines are not answered one by one: up to
/// <see cref="MaxUnanswered"/> requests are under way, but a change of rooms is waited for, because the next line depends on it.
/// </remarks>
[SuppressMessage(
    "Design", "CA1001", Justification = "The semaphores have no handle unless they are asked for one, and late answers may still release them.")]
internal sealed class Conversation
{
    private const int MaxUnanswered = 128;

    /// <summary>The bytes of a request's id, which it gets when it is sent: a tag and a varint of up to ten bytes.</summary>
    private const int FrameIdBytes = 11;

    /// <summary>How long the server may take to say goodbye: by then everything has been answered.</summary>
    private static readonly TimeSpan GoodbyeLimit = TimeSpan.FromSeconds(5);

    private readonly ClientOptions _options;
    private readonly IView _view;
    private readonly ChannelReader<string> _lines;
    private readonly SemaphoreSlim _window = new(MaxUnanswered);

    // Guards the two below: the reader of the connection changes them, the reader of lines looks.
    private readonly Lock _lock = new();
    private readonly List<string> _rooms = [];
    private string? _currentRoom;

    // The number of the last message that was seen, by room: a return asks for what came after. The connection's reader only.
    private readonly Dictionary<string, long> _seen = [];
    private readonly Pacer _pacer = new();
    private string _name;

    private int _refused;
    private ConnectionLostException? _failure;
    private Limits _limits = new() { MaxFrameBytes = ChatProtocol.MaxClientFrameBytes };

    public Conversation(ClientOptions options, IView view, ChannelReader<string> lines)
    {
        _options = options;
        _view = view;
        _lines = lines;
        _name = options.Name;
    }

    /// <summary>The room that texts go to.</summary>
    public string? CurrentRoom
    {
        get
        {
            lock (_lock)
            {
                return _currentRoom;
            }
        }
    }

    /// <summary>How many lines were refused, by the server or by the client itself.</summary>
    public int Refused => Volatile.Read(ref _refused);

    /// <summary>The whole visit.</summary>
    /// <param name="leave">Leave now, as at the end of the lines.</param>
    /// <exception cref="ConnectionLostException">The server cannot be reached or is gone.</exception>
    /// <exception cref="NameRefusedException">The server did not give the name.</exception>
    public async Task RunAsync(CancellationToken leave)
    {
        using ReturningConnection connection = await ReturningConnection.ConnectAsync(_options, _view, OnFrame, EnterAsync, leave);
        var failed = new CancellationTokenSource();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(leave, connection.Closed, failed.Token);
        try
        {
            await foreach (string line in _lines.ReadAllAsync(ended.Token))
            {
                if (Command.Parse(line, CurrentRoom) is not { } command)
                {
                    continue;
                }

                if (command is Command.Quit)
                {
                    break;
                }

                await DoAsync(connection, command, failed, ended.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // Asked to leave, or there is nobody to talk to any more: the next steps find out.
        }

        await AllAnsweredAsync(connection);
        await LeaveAsync(connection);
    }

    /// <summary>Says hello on a new connection, and goes where the client was, or where it wants to be at first.</summary>
    private async Task EnterAsync(ServerConnection connection, bool isReturn)
    {
        var hello = new Hello
        {
            ProtocolVersion = ChatProtocol.Version,
            Name = _name,
            Client = "netpoll-chat-client",
            Password = _options.Password,
        };
        ServerFrame answer = await InTime(connection.RequestAsync(new ClientFrame { Hello = hello }), connection.Unanswered);
        switch (answer.BodyCase)
        {
            case ServerFrame.BodyOneofCase.Welcome:
                _limits = answer.Welcome.Limits ?? _limits;
                _pacer.Use(_limits);
                break;
            case ServerFrame.BodyOneofCase.Error:
                throw new NameRefusedException(
                    $"the server refused the name '{PlainFormat.OneLine(_name)}': {PlainFormat.OneLine(answer.Error.Text)}",
                    mayPass: answer.Error.Code == ErrorCode.NameTaken);
            default:
                throw new ConnectionLostException($"the server answered the greeting with {answer.BodyCase}");
        }

        foreach (ClientFrame join in isReturn ? Rejoin() : [Join(_options.Room)])
        {
            answer = await InTime(connection.RequestAsync(join), connection.Unanswered);
            if (isReturn && answer.BodyCase == ServerFrame.BodyOneofCase.Error)
            {
                lock (_lock)
                {
                    Forget(join.Join.Room);
                }
            }
        }
    }

    private ClientFrame[] Rejoin()
    {
        lock (_lock)
        {
            // The current one last: it is then the current one again.
            return
            [
                .. _rooms.OrderBy(room => room == _currentRoom)
                    .Select(room => new ClientFrame { Join = new Join { Room = room, Since = _seen.GetValueOrDefault(room) } }),
            ];
        }
    }

    private ClientFrame Join(string room) => new() { Join = new Join { Room = room, Last = (uint)(_options.History ?? 0) } };

    private async Task DoAsync(ReturningConnection connection, Command command, CancellationTokenSource failed, CancellationToken ended)
    {
        switch (command)
        {
            case Command.Request { Frame.BodyCase: ClientFrame.BodyOneofCase.Leave } request:
                await _pacer.WaitAsync(request.Frame, ended);
                await AnswerAsync(connection, request.Frame);
                _pacer.Answered(request.Frame);
                break;
            case Command.Request request:
                await _pacer.WaitAsync(request.Frame, ended);
                await _window.WaitAsync(ended);
                _ = ReleaseAfterAsync(request.Frame, AnswerAsync(connection, request.Frame), failed);
                break;
            case Command.Join join when Find(join.Room) is { } room:
                Enter(room);
                break;
            case Command.Join join:
                await AnswerAsync(connection, Join(join.Room));
                break;
            case Command.ChangeRoom change when Find(change.Room) is { } room:
                Enter(room);
                break;
            case Command.ChangeRoom change:
                Refuse($"you are not in room '{change.Room}'");
                break;
            case Command.ShowHelp:
                _view.ShowHelp();
                break;
            case Command.Wrong wrong:
                Refuse(wrong.Error);
                break;
        }
    }

    /// <summary>Sends a request and waits for the answer, but not for ever. What cannot be sent is refused here.</summary>
    private async Task<ServerFrame> AnswerAsync(ReturningConnection connection, ClientFrame request)
    {
        int size = request.CalculateSize() + FrameIdBytes;
        if (size > _limits.MaxFrameBytes)
        {
            // The server would end the conversation over it.
            string text = $"a request of {size} bytes exceeds the limit of {_limits.MaxFrameBytes}";
            Refuse(text);
            return new ServerFrame { Error = new Error { Code = ErrorCode.FrameTooLarge, Text = text } };
        }

        return await InTime(connection.RequestAsync(request), connection.Unanswered);
    }

    private async Task<ServerFrame> InTime(Task<ServerFrame> answer, int unanswered)
    {
        try
        {
            return await answer.WaitAsync(_options.Timeout + _options.Reconnect!.Value);
        }
        catch (TimeoutException)
        {
            throw NoAnswer(unanswered);
        }
    }

    private async Task ReleaseAfterAsync(ClientFrame request, Task<ServerFrame> answer, CancellationTokenSource failed)
    {
        try
        {
            await answer;
        }
        catch (ConnectionLostException exception)
        {
            Interlocked.CompareExchange(ref _failure, exception, null);
            await failed.CancelAsync();
        }
        finally
        {
            _pacer.Answered(request);
            _window.Release();
        }
    }

    private async Task AllAnsweredAsync(ReturningConnection connection)
    {
        for (int answered = 0; answered < MaxUnanswered; answered++)
        {
            if (!await _window.WaitAsync(_options.Timeout + _options.Reconnect!.Value))
            {
                throw NoAnswer(connection.Unanswered);
            }
        }

        if (_failure is not null)
        {
            throw _failure;
        }

        if (connection.Closed.IsCancellationRequested)
        {
            ExceptionDispatchInfo.Throw(connection.Reason);
        }
    }

    private static async Task LeaveAsync(ReturningConnection connection)
    {
        connection.Leave();
        try
        {
            await connection.RequestAsync(new ClientFrame { Quit = new Quit() }).WaitAsync(GoodbyeLimit);
        }
        catch (Exception exception) when (exception is TimeoutException or ConnectionLostException)
        {
            // Everything was answered, so a server that goes without a goodbye takes nothing along.
        }
    }

    private ConnectionLostException NoAnswer(int unanswered) => new(
        $"the server did not answer within {_options.Timeout.TotalSeconds} s; unanswered requests: {Math.Max(unanswered, 1)}");

    /// <summary>In the connection's reader: the state first, so that whoever waits for the answer finds it changed.</summary>
    private void OnFrame(ServerFrame frame, ClientFrame? request)
    {
        lock (_lock)
        {
            switch (frame.BodyCase)
            {
                case ServerFrame.BodyOneofCase.Welcome:
                    _name = frame.Welcome.Name;
                    break;
                case ServerFrame.BodyOneofCase.NameChanged:
                    _name = frame.NameChanged.Name;
                    break;
                case ServerFrame.BodyOneofCase.Message:
                    _seen[frame.Message.Room] = frame.Message.Sequence;
                    break;
                case ServerFrame.BodyOneofCase.Said when !frame.Said.Repetition:
                    _seen[frame.Said.Room] = frame.Said.Sequence;
                    break;
                case ServerFrame.BodyOneofCase.Joined:
                    _seen[frame.Joined.Room] = frame.Joined.Sequence;
                    if (!_rooms.Contains(frame.Joined.Room))
                    {
                        _rooms.Add(frame.Joined.Room);
                    }

                    _currentRoom = frame.Joined.Room;
                    break;
                case ServerFrame.BodyOneofCase.Kicked:
                    Forget(frame.Kicked.Room);
                    break;
                case ServerFrame.BodyOneofCase.Left:
                    Forget(frame.Left.Room);
                    break;
                case ServerFrame.BodyOneofCase.RoomClosed:
                    Forget(frame.RoomClosed.Room);
                    break;
                case ServerFrame.BodyOneofCase.Error when request is not null:
                    Interlocked.Increment(ref _refused);
                    break;
            }
        }

        // The goodbye that was asked for is no news, and a refused name is told as the reason why the program ends.
        bool told = request?.BodyCase == ClientFrame.BodyOneofCase.Quit
            || (request?.BodyCase == ClientFrame.BodyOneofCase.Hello && frame.BodyCase == ServerFrame.BodyOneofCase.Error);
        if (!told)
        {
            _view.Show(frame, request);
        }
    }

    private void Forget(string room)
    {
        _rooms.Remove(room);
        if (_currentRoom == room)
        {
            _currentRoom = _rooms.LastOrDefault();
        }
    }

    private string? Find(string room)
    {
        lock (_lock)
        {
            return _rooms.Find(joined => string.Equals(joined, room, StringComparison.OrdinalIgnoreCase));
        }
    }

    private void Enter(string room)
    {
        lock (_lock)
        {
            _currentRoom = room;
        }

        _view.ShowCurrentRoom(room);
    }

    private void Refuse(string text)
    {
        Interlocked.Increment(ref _refused);
        _view.ShowError(text);
    }
}
