using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Chat.Protocol;

namespace Chat.Load;

/// <summary>One connection that joins a room, speaks now and then, and checks what it hears.</summary>
internal sealed class LoadClient : IDisposable
{
    private readonly LoadOptions _options;
    private readonly Counters _counters;
    private readonly string _name;
    private readonly string _room;
    private readonly Random _random;
    private readonly TcpClient _socket = new() { NoDelay = true };
    private readonly SemaphoreSlim _writing = new(1);
    private readonly ConcurrentDictionary<ulong, long> _unanswered = new();
    private readonly CancellationTokenSource _closing = new();
    private FrameReader<ServerFrame>? _reader;
    private ulong _lastId;
    private Task _reading = Task.CompletedTask;

    public LoadClient(LoadOptions options, Counters counters, int index)
    {
        _options = options;
        _counters = counters;

        // Another run may still be on its way out.
        _name = string.Create(CultureInfo.InvariantCulture, $"load{Environment.ProcessId}-{index}");
        _room = string.Create(CultureInfo.InvariantCulture, $"load-{options.Seed}-{index % options.Rooms}");
        RoomIndex = index % options.Rooms;
        _random = new Random(HashCode.Combine(options.Seed, index));
    }

    /// <summary>Which of the rooms it is in.</summary>
    public int RoomIndex { get; }

    /// <summary>What it has seen of the room's numbers; once it is in. To be looked at when it is closed.</summary>
    public Arrivals Arrivals { get; private set; } = new(0);

    /// <summary>The highest number that one of its own messages was given.</summary>
    public long LastSaid { get; private set; }

    /// <summary>Messages that it said and that were acknowledged.</summary>
    public long AcknowledgedMessages { get; private set; }

    /// <summary>Messages that it said and that have no answer.</summary>
    public int Unanswered => _unanswered.Count;

    /// <summary>Whether anything may still come.</summary>
    public bool IsConnected => !_reading.IsCompleted;

    /// <summary>Connects, and goes into the room.</summary>
    /// <exception cref="LoadException">The server cannot be reached, or refuses.</exception>
    public async Task EnterAsync()
    {
        try
        {
            await _socket.ConnectAsync(_options.Host, _options.Port);
            _reader = new FrameReader<ServerFrame>(_socket.GetStream(), ServerFrame.Parser, ChatProtocol.MaxServerFrameBytes);
            await AskAsync(new ClientFrame
            {
                Hello = new Hello { ProtocolVersion = ChatProtocol.Version, Name = _name, Client = "netpoll-chat-load" },
            });
            ServerFrame joined = await AskAsync(new ClientFrame { Join = new Join { Room = _room } });
            Arrivals = new Arrivals(joined.Joined.Sequence);
            _reading = ReadAsync();
        }
        catch (Exception exception) when (exception is IOException or SocketException or InvalidDataException)
        {
            throw new LoadException($"{_name} cannot get in at {_options.Host}:{_options.Port}: {exception.Message}");
        }
    }

    /// <summary>Speaks at random moments until it is told to stop.</summary>
    public async Task SpeakAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await Task.Delay(TimeSpan.FromSeconds(-Math.Log(1 - _random.NextDouble()) / _options.Rate), stop);
                await SayAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // That was all.
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException)
        {
            // The reader counts it.
        }
    }

    public async Task CloseAsync()
    {
        await _closing.CancelAsync();
        await _reading;
        _socket.Dispose();
    }

    public void Dispose()
    {
        _socket.Dispose();
        _writing.Dispose();
        _closing.Dispose();
    }

    private async Task SayAsync()
    {
        ulong id = ++_lastId;
        long now = Stopwatch.GetTimestamp();
        _unanswered[id] = now;
        string text = now.ToString(CultureInfo.InvariantCulture).PadRight(_options.Bytes, '.');
        var say = new Say { Room = _room, Text = text, MessageId = string.Create(CultureInfo.InvariantCulture, $"{_name}-{id}") };
        await SendAsync(new ClientFrame { Id = id, Say = say });
        _counters.Sent();
    }

    private async Task<ServerFrame> AskAsync(ClientFrame frame)
    {
        frame.Id = ++_lastId;
        await SendAsync(frame);
        while (await _reader!.ReadAsync(CancellationToken.None) is { } answer)
        {
            if (answer.ReplyTo == frame.Id)
            {
                return answer.Error is null ? answer : throw new LoadException($"{_name}: {answer.Error.Text}");
            }

            if (answer.Error is not null)
            {
                throw new LoadException($"{_name}: {answer.Error.Text}");
            }
        }

        throw new LoadException($"{_name}: the server closed the connection");
    }

    private async Task SendAsync(ClientFrame frame)
    {
        await _writing.WaitAsync();
        try
        {
            await _socket.GetStream().WriteAsync(frame.ToFrame());
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await _reader!.ReadAsync(_closing.Token) is { } frame)
            {
                await TakeAsync(frame);
            }

            _counters.Disconnected("the server closed the connection");
        }
        catch (OperationCanceledException)
        {
            // All is seen.
        }
        catch (Exception exception) when (exception is IOException or SocketException or InvalidDataException)
        {
            _counters.Disconnected(exception.Message);
        }
    }

    private async ValueTask TakeAsync(ServerFrame frame)
    {
        switch (frame.BodyCase)
        {
            case ServerFrame.BodyOneofCase.Message:
                Arrivals.Note(frame.Message.Sequence);
                _counters.Delivered(StartOf(frame.Message.Text));
                break;
            case ServerFrame.BodyOneofCase.Said when _unanswered.TryRemove(frame.ReplyTo, out long start):
                Arrivals.Note(frame.Said.Sequence);
                LastSaid = frame.Said.Sequence;
                AcknowledgedMessages++;
                _counters.Acknowledged(start);
                break;
            case ServerFrame.BodyOneofCase.Said:
                _counters.Refused("an answer came twice");
                break;
            case ServerFrame.BodyOneofCase.Error:
                _unanswered.TryRemove(frame.ReplyTo, out _);
                _counters.Refused(frame.Error.Text);
                break;
            case ServerFrame.BodyOneofCase.Ping:
                await SendAsync(new ClientFrame { Pong = new Pong { Token = frame.Ping.Token } });
                break;
        }
    }

    /// <summary>The moment at which the message was sent, which is its text; 0 for a message of somebody else's.</summary>
    private static long StartOf(string text)
        => long.TryParse(text.AsSpan().TrimEnd('.'), NumberStyles.None, CultureInfo.InvariantCulture, out long start) ? start : 0;
}
