using System.Net.Sockets;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>The connection to the server: requests and their answers, and everything that arrives, in order.</summary>
/// <remarks>
/// A failed write is not reported by itself: what the server said before it went (a refusal, a farewell) is still to be read, and
/// the reading ends with the better reason.
/// </remarks>
internal sealed class ServerConnection : IDisposable
{
    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private readonly string _server;
    private readonly SemaphoreSlim _writing = new(1);
    private readonly CancellationTokenSource _closed = new();

    // Guards the three below.
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, Pending> _pending = [];
    private ulong _lastId;
    private ConnectionLostException? _lost;

    private ServerConnection(Socket socket, string server)
    {
        _socket = socket;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _server = server;
    }

    /// <summary>Cancelled when nothing more will arrive.</summary>
    public CancellationToken Closed => _closed.Token;

    /// <summary>Why nothing more will arrive, once <see cref="Closed"/> is cancelled.</summary>
    public ConnectionLostException Reason
    {
        get
        {
            lock (_lock)
            {
                return _lost ?? throw new InvalidOperationException("The connection is not closed.");
            }
        }
    }

    /// <summary>Requests that have no answer yet.</summary>
    public int Unanswered
    {
        get
        {
            lock (_lock)
            {
                return _pending.Count;
            }
        }
    }

    /// <summary>Connects, and begins to read.</summary>
    /// <param name="options">Where to, and how long it may take.</param>
    /// <param name="onFrame">
    /// Gets every frame in the order of arrival, and the request if it is an answer, before the request's task completes.
    /// </param>
    /// <exception cref="ConnectionLostException">The server cannot be reached.</exception>
    public static async Task<ServerConnection> ConnectAsync(ClientOptions options, Action<ServerFrame, ClientFrame?> onFrame)
    {
        string server = $"{options.Host}:{options.Port}";
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var limit = new CancellationTokenSource(options.Timeout);
        try
        {
            await socket.ConnectAsync(options.Host, options.Port, limit.Token);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw new ConnectionLostException($"cannot connect to {server}: {exception.Message}", exception, mayReturn: true);
        }
        catch (OperationCanceledException)
        {
            socket.Dispose();
            throw new ConnectionLostException(
                $"cannot connect to {server}: no answer within {options.Timeout.TotalSeconds} s", mayReturn: true);
        }

        var connection = new ServerConnection(socket, server);
        _ = connection.ReadAsync(onFrame);
        return connection;
    }

    /// <summary>Sends a request, with an id of its own; completes with the answer.</summary>
    /// <exception cref="ConnectionLostException">The connection ended before the answer came.</exception>
    public async Task<ServerFrame> RequestAsync(ClientFrame request)
    {
        var pending = new Pending(request);
        lock (_lock)
        {
            if (_lost is not null)
            {
                throw _lost;
            }

            request.Id = ++_lastId;
            _pending.Add(request.Id, pending);
        }

        await SendAsync(request);
        return await pending.Answer.Task;
    }

    public void Dispose()
    {
        _stream.Dispose();
        _socket.Dispose();
    }

    private async Task SendAsync(ClientFrame frame)
    {
        await _writing.WaitAsync();
        try
        {
            await _stream.WriteAsync(frame.ToFrame());
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // See the remarks: the reader tells.
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReadAsync(Action<ServerFrame, ClientFrame?> onFrame)
    {
        ConnectionLostException lost;
        try
        {
            lost = await ReadToEndAsync(onFrame);
        }
        catch (InvalidDataException exception)
        {
            lost = new ConnectionLostException($"{_server} does not speak the chat protocol: {exception.Message}", exception);
        }
        catch (ObjectDisposedException exception)
        {
            lost = new ConnectionLostException("the connection was closed", exception);
        }
        catch (IOException exception)
        {
            string why = (exception.InnerException as SocketException)?.Message ?? exception.Message;
            lost = new ConnectionLostException($"the connection to {_server} was lost: {why}", exception, mayReturn: true);
        }

        Pending[] unanswered;
        lock (_lock)
        {
            _lost = lost;
            unanswered = [.. _pending.Values];
            _pending.Clear();
        }

        foreach (Pending pending in unanswered)
        {
            pending.Answer.SetException(lost);
        }

        await _closed.CancelAsync();
    }

    private async Task<ConnectionLostException> ReadToEndAsync(Action<ServerFrame, ClientFrame?> onFrame)
    {
        var reader = new FrameReader<ServerFrame>(_stream, ServerFrame.Parser, ChatProtocol.MaxServerFrameBytes);
        Goodbye? goodbye = null;
        while (await reader.ReadAsync(CancellationToken.None) is { } frame)
        {
            if (frame.BodyCase == ServerFrame.BodyOneofCase.Ping)
            {
                await SendAsync(new ClientFrame { Pong = new Pong { Token = frame.Ping.Token } });
                continue;
            }

            goodbye = frame.Goodbye ?? goodbye;
            Pending? answered = Take(frame.ReplyTo);
            try
            {
                onFrame(frame, answered?.Request);
            }
            catch (IOException exception)
            {
                var lost = new ConnectionLostException($"the output cannot be written: {exception.Message}", exception);
                answered?.Answer.SetException(lost);
                return lost;
            }

            answered?.Answer.SetResult(frame);
        }

        return goodbye is null
            ? new ConnectionLostException($"{_server} closed the connection", mayReturn: true)
            : new ConnectionLostException(
                $"{_server} ended the conversation: {PlainFormat.OneLine(goodbye.Reason)}", mayReturn: goodbye.MayReturn);
    }

    private Pending? Take(ulong id)
    {
        lock (_lock)
        {
            return _pending.Remove(id, out Pending? pending) ? pending : null;
        }
    }

    private sealed class Pending
    {
        public Pending(ClientFrame request) => Request = request;

        public ClientFrame Request { get; }

        // Continuations must not run in the reader's loop: they may wait for a frame that it has yet to read.
        public TaskCompletionSource<ServerFrame> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
