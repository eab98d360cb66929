using NetPoll.Actors.Connections;
using NetPoll.Actors.Diagnostics;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;
using NetPoll.Core.Sockets;

namespace NetPoll.Actors.Listening;

/// <summary>A listener's socket on one poller: accepts in batches, and the connections are born on the thread on which they live.</summary>
/// <remarks>The poller's thread only, but for <see cref="StartAsync"/> and <see cref="StopAsync"/>.</remarks>
internal sealed class Acceptor : DeadlineNode, IPollWaiter, IPollerWork
{
    // Then the open connections have their turn.
    private const int AcceptsPerTurn = 64;

    private readonly ActorPoller _home;
    private readonly ListenerActor _listener;
    private readonly PollableSocket _socket;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private PollDescriptor? _descriptor;
    private AcceptBackoff _backoff;
    private bool _isQueued;
    private bool _isClosed;

    internal Acceptor(ActorPoller home, ListenerActor listener, PollableSocket socket)
    {
        _home = home;
        _listener = listener;
        _socket = socket;
    }

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <summary>Whether its socket takes connections. Any thread.</summary>
    internal bool IsAccepting => Volatile.Read(ref _descriptor) is not null && !Volatile.Read(ref _isClosed);

    /// <summary>Begins to accept. Any thread.</summary>
    /// <exception cref="IOException">The poller could not take the socket.</exception>
    internal Task StartAsync()
    {
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _home.Poller.Post(
            _ =>
            {
                IoResult opened = _home.Poller.Open(_socket, out _descriptor);
                if (opened.IsSuccess)
                {
                    Accept();
                    started.SetResult();
                }
                else
                {
                    CloseSocket();
                    started.SetException(opened.ToException($"Listening on {_listener.EndPoint}"));
                }
            },
            null);
        return started.Task;
    }

    /// <summary>Takes what waits in the queue, so that a connection whose client thinks it is open is not reset, and closes. Any thread.</summary>
    internal Task StopAsync()
    {
        _home.Poller.Post(
            _ =>
            {
                if (!_isClosed)
                {
                    while (AcceptBatch(AcceptsPerTurn) == BatchEnd.Budget)
                    {
                    }

                    CloseSocket();
                }
            },
            null);
        return _stopped.Task;
    }

    /// <inheritdoc/>
    void IPollWaiter.Resume(PollSignals signals) => Accept();

    /// <inheritdoc/>
    void IPollWaiter.Schedule(PollSignals signals) => Queue();

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        _isQueued = false;
        Accept();
    }

    /// <summary>The time after a resource error has passed.</summary>
    internal override void OnDue(long now, ReadyList ready) => ready.Add(this, PollSignals.Readable);

    private void Queue()
    {
        if (!_isQueued)
        {
            _isQueued = true;
            _home.Poller.Post(this);
        }
    }

    private void Accept()
    {
        if (_isClosed)
        {
            return;
        }

        if (_descriptor!.CheckError(PollMode.Read) == PollResult.Closing)
        {
            // The poller stops.
            CloseSocket();
            return;
        }

        _descriptor.ForgetReadiness(PollMode.Read);
        switch (AcceptBatch(AcceptsPerTurn))
        {
            case BatchEnd.Empty:
                _backoff.Reset();
                if (_descriptor.Arm(PollMode.Read, this) != PollSignals.None)
                {
                    Queue();
                }

                break;
            case BatchEnd.Budget:
                _backoff.Reset();
                Queue();
                break;
            default:
                // No edge will come for the connections that wait already: only a timer brings us back.
                _home.Poller.Wheel.Arm(this, _home.Poller.Clock.Nanoseconds + (_backoff.Delay.Ticks * 100));
                _backoff.Lengthen();
                break;
        }
    }

    private BatchEnd AcceptBatch(int limit)
    {
        for (int accepted = 0; accepted < limit; accepted++)
        {
            IoResult result = _socket.Accept(out PollableSocket? socket);
            if (result.IsSuccess)
            {
                result = Adopt(socket!);
            }

            switch (result.IsSuccess ? PollErrorClass.None : PollErrors.ClassifyAccept(result.NativeError))
            {
                case PollErrorClass.None or PollErrorClass.Transient:
                    break;
                case PollErrorClass.WouldBlock:
                    return BatchEnd.Empty;
                default:
                    Log.AcceptFailed(_home.Logger, _listener.EndPoint, result.Error, result.NativeError, _backoff.Delay);
                    return BatchEnd.Failed;
            }
        }

        return BatchEnd.Budget;
    }

    private IoResult Adopt(PollableSocket socket)
    {
        _ = socket.SetOption(SocketSetting.NoDelay, 1);
        TimeSpan writeTimeout = _listener.ConnectionOptions.WriteTimeout;
        if (writeTimeout != Timeout.InfiniteTimeSpan)
        {
            // The system gives up on a vanished peer when the connection would.
            _ = socket.SetOption(SocketSetting.UserTimeoutMilliseconds, (int)Math.Min(writeTimeout.TotalMilliseconds, int.MaxValue));
        }

        string name = _listener.NextConnectionId();
        try
        {
            IoResult spawned = Connection.Spawn(_home, socket, _listener, name);
            if (!spawned.IsSuccess)
            {
                _listener.ConnectionClosed();
            }

            return spawned;
        }
#pragma warning disable CA1031 // The user's factory threw: its connection is closed, and accepting goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.SpawnFailed(_home.Logger, exception, _listener.Id, socket.RemoteEndPoint);
            return IoResult.Success;
        }
    }

    private void CloseSocket()
    {
        Volatile.Write(ref _isClosed, true);
        _home.Poller.Wheel.Cancel(this);
        if (_descriptor is { } descriptor)
        {
            _ = descriptor.TryWithdraw(PollMode.Read, this);
            _home.Poller.Evict(descriptor);
            _home.Poller.Release(descriptor);
        }

        _ = _socket.Close();
        _stopped.TrySetResult();
    }

    private enum BatchEnd
    {
        Empty,
        Budget,
        Failed,
    }
}
