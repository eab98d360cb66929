using System.Diagnostics;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>A connection that is made again when it is lost, and then asks again what had no answer.</summary>
/// <remarks>
/// Requests are sent in the order of the calls, the first time and again. One that must not be done twice is not repeated: it is answered
/// by an error of the client's own, which says that it may have been done.
/// </remarks>
internal sealed class ReturningConnection : IDisposable
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(10);

    private readonly ClientOptions _options;
    private readonly TimeSpan _patience;
    private readonly IView _view;
    private readonly Action<ServerFrame, ClientFrame?> _onFrame;
    private readonly Func<ServerConnection, bool, Task> _enter;
    private readonly CancellationToken _leave;
    private readonly CancellationTokenSource _closed = new();

    // Guards the four below.
    private readonly Lock _lock = new();
    private readonly List<Pending> _unanswered = [];
    private ServerConnection? _current;
    private Exception? _lost;
    private bool _isLeaving;

    private ReturningConnection(
        ClientOptions options,
        IView view,
        Action<ServerFrame, ClientFrame?> onFrame,
        Func<ServerConnection, bool, Task> enter,
        CancellationToken leave)
    {
        _options = options;
        _patience = options.Reconnect ?? TimeSpan.Zero;
        _view = view;
        _onFrame = onFrame;
        _enter = enter;
        _leave = leave;
    }

    /// <summary>Cancelled when it is lost for good.</summary>
    public CancellationToken Closed => _closed.Token;

    /// <summary>Why it is lost, once <see cref="Closed"/> is cancelled.</summary>
    public Exception Reason
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
                return _unanswered.Count;
            }
        }
    }

    /// <summary>Connects for the first time.</summary>
    /// <param name="options">Where to, and for how long it is tried again later.</param>
    /// <param name="view">Is told of losses and returns.</param>
    /// <param name="onFrame">Gets every frame in the order of arrival, and the request if it is an answer.</param>
    /// <param name="enter">
    /// Says hello on a new connection and goes into the rooms; the second argument tells whether it is a return. Its own requests are not
    /// repeated.
    /// </param>
    /// <param name="leave">Whoever leaves does not wait for a return.</param>
    /// <exception cref="ConnectionLostException">The server cannot be reached.</exception>
    /// <exception cref="NameRefusedException">It does not give the name.</exception>
    public static async Task<ReturningConnection> ConnectAsync(
        ClientOptions options,
        IView view,
        Action<ServerFrame, ClientFrame?> onFrame,
        Func<ServerConnection, bool, Task> enter,
        CancellationToken leave)
    {
        var returning = new ReturningConnection(options, view, onFrame, enter, leave);
        ServerConnection first = await ServerConnection.ConnectAsync(options, returning.OnFrame);
        try
        {
            await enter(first, false);
        }
        catch
        {
            first.Dispose();
            throw;
        }

        returning._current = first;
        _ = returning.WatchAsync(first);
        return returning;
    }

    /// <summary>Sends a request, now or after a return; completes with the answer.</summary>
    /// <exception cref="ConnectionLostException">The connection is lost for good.</exception>
    public Task<ServerFrame> RequestAsync(ClientFrame request)
    {
        var pending = new Pending(request);
        lock (_lock)
        {
            if (_lost is not null)
            {
                return Task.FromException<ServerFrame>(_lost);
            }

            _unanswered.Add(pending);
            if (_current is not null)
            {
                _ = SendAsync(_current, pending);
            }
            else if (_isLeaving)
            {
                return Task.FromException<ServerFrame>(new ConnectionLostException("the connection is lost"));
            }
        }

        return pending.Answer.Task;
    }

    /// <summary>From now on an end of the connection is its end.</summary>
    public void Leave()
    {
        lock (_lock)
        {
            _isLeaving = true;
        }
    }

    public void Dispose()
    {
        Leave();
        lock (_lock)
        {
            _current?.Dispose();
        }
    }

    private static async Task SendAsync(ServerConnection connection, Pending pending)
    {
        try
        {
            pending.Answer.TrySetResult(await connection.RequestAsync(pending.Request));
        }
        catch (ConnectionLostException)
        {
            // It is among the unanswered, and whoever watches the connection takes care of it.
        }
    }

    private void OnFrame(ServerFrame frame, ClientFrame? request)
    {
        if (request is not null)
        {
            lock (_lock)
            {
                _unanswered.RemoveAll(pending => ReferenceEquals(pending.Request, request));
            }
        }

        _onFrame(frame, request);
    }

    private async Task WatchAsync(ServerConnection connection)
    {
        ServerConnection? current = connection;
        while (current is not null)
        {
            await Task.Delay(Timeout.Infinite, current.Closed).ContinueWith(static _ => { }, TaskScheduler.Default);
            ConnectionLostException lost = current.Reason;
            bool isEnd;
            lock (_lock)
            {
                _current = null;
                isEnd = _isLeaving || !lost.MayReturn || _patience == TimeSpan.Zero;
            }

            current.Dispose();
            current = isEnd ? null : await ReturnAsync(lost);
            if (current is null)
            {
                await EndAsync(lost);
            }
        }
    }

    private async Task<ServerConnection?> ReturnAsync(ConnectionLostException lost)
    {
        _view.ShowConnection(isOnline: false, lost.Message);
        long start = Stopwatch.GetTimestamp();
        for (TimeSpan delay = FirstDelay; Stopwatch.GetElapsedTime(start) < _patience; delay = Longer(delay))
        {
            try
            {
                await Task.Delay(delay, _leave);
            }
            catch (OperationCanceledException)
            {
                return null;
            }

            ServerConnection? next = null;
            try
            {
                next = await ServerConnection.ConnectAsync(_options, OnFrame);
                await _enter(next, true);
                _view.ShowConnection(isOnline: true, "");
                Resume(next);
                return next;
            }
            catch (Exception exception) when (exception is ConnectionLostException { MayReturn: true } or NameRefusedException { MayPass: true })
            {
                next?.Dispose();
            }
            catch (Exception exception) when (exception is ConnectionLostException or NameRefusedException)
            {
                next?.Dispose();
                _view.ShowError(exception.Message);
                return null;
            }
        }

        return null;
    }

    // Many clients lose a server at the same moment, and must not come back at the same moment.
    private static TimeSpan Longer(TimeSpan delay)
        => TimeSpan.FromTicks((long)Math.Min(delay.Ticks * (1.5 + Random.Shared.NextDouble()), LongestDelay.Ticks));

    private void Resume(ServerConnection next)
    {
        List<Pending> unsure = [];
        lock (_lock)
        {
            foreach (Pending pending in _unanswered.ToArray())
            {
                if (MayBeRepeated(pending.Request))
                {
                    _ = SendAsync(next, pending);
                }
                else
                {
                    _unanswered.Remove(pending);
                    unsure.Add(pending);
                }
            }

            _current = next;
        }

        foreach (Pending pending in unsure)
        {
            string text = $"the connection was lost before '{pending.Request.BodyCase}' was answered: it may have been done, or not";
            var answer = new ServerFrame { Error = new Error { Text = text } };
            _onFrame(answer, pending.Request);
            pending.Answer.TrySetResult(answer);
        }
    }

    private static bool MayBeRepeated(ClientFrame request) => request.BodyCase switch
    {
        ClientFrame.BodyOneofCase.Say => request.Say.MessageId.Length > 0,
        ClientFrame.BodyOneofCase.Leave or ClientFrame.BodyOneofCase.Who or ClientFrame.BodyOneofCase.ListRooms
            or ClientFrame.BodyOneofCase.Join or ClientFrame.BodyOneofCase.WhoIs or ClientFrame.BodyOneofCase.ReadHistory
            or ClientFrame.BodyOneofCase.SetTopic or ClientFrame.BodyOneofCase.SetAway or ClientFrame.BodyOneofCase.ListPeople
            or ClientFrame.BodyOneofCase.ListRestrictions => true,
        _ => false,
    };

    private async Task EndAsync(ConnectionLostException lost)
    {
        Pending[] unanswered;
        lock (_lock)
        {
            _lost = lost;
            unanswered = [.. _unanswered];
            _unanswered.Clear();
        }

        foreach (Pending pending in unanswered)
        {
            pending.Answer.TrySetException(lost);
        }

        await _closed.CancelAsync();
    }

    private sealed class Pending
    {
        public Pending(ClientFrame request) => Request = request;

        public ClientFrame Request { get; }

        public TaskCompletionSource<ServerFrame> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
