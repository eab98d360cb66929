using NetPoll.Actors.Diagnostics;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;

namespace NetPoll.Actors.Listening;

/// <summary>A listener's socket on one poller: accepts in batches, and the connections are born on the thread on which they live.</summary>
/// <remarks>
/// Where the listener has one socket for all pollers it hands each new connection to the next of them, and goes on when its own takes none any
/// more. The poller's thread only, but for the methods that return a task, which any thread may call.
/// </remarks>
internal sealed class Acceptor : WatchedSocket
{
    // Then the open connections have their turn.
    private const int AcceptsPerTurn = 64;

    private readonly ListenerActor _listener;
    private readonly Admission _admission;
    private readonly bool _isForAll;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private AcceptBackoff _backoff;
    private bool _isPaused;
    private bool _isStopping;
    private bool _isClosed;
    private int _leftToDrain;

    /// <param name="admission">Of the poller on which it accepts.</param>
    /// <param name="listener">Whose socket it is.</param>
    /// <param name="socket">Taken over.</param>
    /// <param name="isForAll">Whether it accepts for all pollers, and not only for its own.</param>
    internal Acceptor(Admission admission, ListenerActor listener, PollableSocket socket, bool isForAll)
        : base(admission.Home, socket)
    {
        _listener = listener;
        _admission = admission;
        _isForAll = isForAll;
    }

    /// <summary>Whether its socket takes connections, or will when accepting is resumed. Any thread.</summary>
    internal bool IsAccepting => IsWatched && !Volatile.Read(ref _isClosed);

    /// <summary>Whether its poller takes no connections any more, so that it is right when this one accepts none. Any thread.</summary>
    internal bool IsLeftOut => !_isForAll && (Home.IsDraining || (Home.Poller.IsEnding && !Home.Extension.IsClosedToNewcomers));

    /// <summary>Begins to accept.</summary>
    /// <exception cref="IOException">The poller could not take the socket.</exception>
    /// <exception cref="ObjectDisposedException">It was stopped before.</exception>
    internal Task StartAsync() => Home.RunAsync(() =>
    {
        ObjectDisposedException.ThrowIf(_isClosed, _listener);
        if (IsLeftOut)
        {
            // Told to drain, or failed, before the listener was there to be stopped: the other pollers' sockets serve.
            CloseSocket();
            return;
        }

        IoResult opened = Watch();
        if (!opened.IsSuccess)
        {
            CloseSocket();
            throw opened.ToException($"Listening on {_listener.EndPoint}");
        }

        Accept();
    });

    /// <summary>From the task's end on nothing is accepted; what comes waits in the system's queue.</summary>
    internal Task PauseAsync() => Home.RunAsync(() => _isPaused = true);

    /// <summary>Accepts again, first what has waited.</summary>
    internal Task ResumeAsync() => Home.RunAsync(() =>
    {
        if (_isPaused && !_isClosed)
        {
            _isPaused = false;
            Accept();
        }
    });

    /// <summary>
    /// Takes what waits in the queue, so that a connection whose client thinks it is open is not reset, and closes; also while paused.
    /// Harmless when it is closed.
    /// </summary>
    internal Task StopAsync()
    {
        _ = Home.RunAsync(() =>
        {
            if (_isStopping || _isClosed)
            {
                return;
            }

            // The queue is in order of arrival: what had come before the stop is among so many.
            _isStopping = true;
            _leftToDrain = _listener.Backlog + 1;
            Accept();
        });
        return _stopped.Task;
    }

    /// <summary>From the task's end on, what it has handed to other pollers before the call has reached them.</summary>
    internal Task HandedOverAsync() => Home.RunAsync(static () => { });

    /// <inheritdoc/>
    protected override void OnReadable() => Accept();

    /// <inheritdoc/>
    protected override void OnTimePassed() => Accept();

    /// <inheritdoc/>
    protected override void OnPollerStopped() => CloseSocket();

    private void Accept()
    {
        if (_isClosed || (_isPaused && !_isStopping))
        {
            return;
        }

        if (!IsWatched)
        {
            // Stopped before it began: nothing was ever taken.
            CloseSocket();
            return;
        }

        ForgetReadiness();
        BatchEnd end = AcceptBatch(out IoResult failure);
        if (_isStopping)
        {
            Drain(end, failure);
            return;
        }

        switch (end)
        {
            case BatchEnd.Empty:
                _backoff.Reset();
                WaitReadable();
                break;
            case BatchEnd.Budget:
                _backoff.Reset();
                ComeAgain();
                break;
            default:
                Log.AcceptFailed(Home.Logger, _listener.EndPoint, failure.Error, failure.NativeError, _backoff.Delay);
                _ = failure.IsOutOfDescriptors && _admission.TryShed(Socket);

                // No edge will come for the connections that wait already: only a timer brings us back.
                RemindAfter(_backoff.Delay);
                _backoff.Lengthen();
                break;
        }
    }

    // A turn of the last batches: goes on until the queue is empty or holds only what came after the stop.
    private void Drain(BatchEnd end, IoResult failure)
    {
        _leftToDrain -= AcceptsPerTurn;
        if (end == BatchEnd.Budget && _leftToDrain > 0)
        {
            ComeAgain();
            return;
        }

        if (end == BatchEnd.Empty && !Socket.FinishAccepting())
        {
            WaitReadable();
            return;
        }

        if (end == BatchEnd.Failed)
        {
            Log.AcceptFailedAtStop(Home.Logger, _listener.EndPoint, failure.Error, failure.NativeError);
            for (int left = _listener.Backlog; failure.IsOutOfDescriptors && left > 0 && _admission.TryShed(Socket); left--)
            {
                // Told one by one that they are not served, instead of reset all at once.
            }
        }

        CloseSocket();
    }

    private BatchEnd AcceptBatch(out IoResult failure)
    {
        for (int accepted = 0; accepted < AcceptsPerTurn; accepted++)
        {
            IoResult result = Socket.Accept(out PollableSocket? socket);
            if (result.IsSuccess)
            {
                result = Receive(socket!);
            }

            switch (result.IsSuccess ? PollErrorClass.None : PollErrors.ClassifyAccept(result.NativeError))
            {
                case PollErrorClass.None or PollErrorClass.Transient:
                    break;
                case PollErrorClass.WouldBlock:
                    failure = default;
                    return BatchEnd.Empty;
                default:
                    failure = result;
                    return BatchEnd.Failed;
            }
        }

        failure = default;
        return BatchEnd.Budget;
    }

    private IoResult Receive(PollableSocket socket)
    {
        Admission admission = _isForAll ? _listener.NextAdmission() : _admission;
        if (ReferenceEquals(admission, _admission))
        {
            return admission.Receive(socket);
        }

        admission.Home.Poller.Post(new Handover(admission, socket));
        return IoResult.Success;
    }

    private void CloseSocket()
    {
        if (!_isClosed)
        {
            Volatile.Write(ref _isClosed, true);
            Unwatch();
            _ = Socket.Close();
            _stopped.TrySetResult();
        }
    }

    private enum BatchEnd
    {
        Empty,
        Budget,
        Failed,
    }
}
