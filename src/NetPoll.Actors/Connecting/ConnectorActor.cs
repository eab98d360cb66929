using System.Net;
using Proto;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors.Connecting;

/// <summary>Keeps an outbound connection: PID <c>netpoll/connector-name</c>. The connection's PIDs are numbered below it.</summary>
/// <remarks>
/// An actor of the thread pool's: it does nothing but wait, for an attempt, an end, or a time. All of these reach it as messages or
/// continuations, so its state needs no lock.
/// </remarks>
internal sealed class ConnectorActor : IActor, IDisposable
{
    private readonly NetPollExtension _extension;
    private readonly EndPoint _endPoint;
    private readonly ConnectorOptions _options;
    private readonly Props _props;
    private readonly string _id;
    private readonly HashSet<PID> _observers = [];
    private readonly CancellationTokenSource _stopped = new();
    private Backoff _backoff;
    private ConnectorState _state = new(ConnectorPhase.Waiting, 0);
    private OutboundConnection? _current;
    private int _connections;
    private long _connectedAt;

    // The connection ended before its attempt was reported.
    private ConnectionLost? _early;

    internal ConnectorActor(NetPollExtension extension, string id, EndPoint endPoint, Producer factory, ConnectorOptions options)
    {
        _extension = extension;
        _id = id;
        _endPoint = endPoint;
        _options = options;
        _props = Props.FromProducer(factory).WithStartDeadline(TimeSpan.Zero);
        _backoff = new Backoff(options, Random.Shared.NextDouble);
    }

    /// <summary>See <see cref="Connections.IConnectionOwner.HandlerOf"/>.</summary>
    internal Func<PID, PID>? HandlerOf { get; init; }

    private TimeProvider Time => _extension.Options.Pollers.TimeProvider;

    /// <inheritdoc/>
    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Started:
                Connect(context);
                break;

            case ConnectionLost lost when ReferenceEquals(lost.Connection, _current):
                if (_state.Phase == ConnectorPhase.Connecting)
                {
                    _early = lost;
                }
                else
                {
                    Lose(context, lost.Closed);
                }

                break;

            case GetConnectorState:
                context.Respond(_state);
                break;

            case ObserveConnector(PID observer):
                if (_observers.Add(observer))
                {
                    context.Watch(observer);
                }

                context.Send(observer, _state);
                break;

            case Terminated terminated:
                _observers.Remove(terminated.Who);
                break;

            case Stopping:
                Stop(context);
                break;
        }

        return Task.CompletedTask;
    }

    /// <summary>The actor has stopped.</summary>
    public void Dispose() => _stopped.Dispose();

    private void Connect(IContext context)
    {
        PID self = context.Self;
        IRootContext root = context.System.Root;
        OutboundConnection? current = null;
        current = new OutboundConnection(
            _extension,
            _endPoint,
            _props,
            _options.Connect,
            $"{_id}/{++_connections}",
            closed => root.Send(self, new ConnectionLost(current!, closed)))
        {
            HandlerOf = HandlerOf,
        };
        _current = current;
        _early = null;
        Tell(context, new ConnectorState(ConnectorPhase.Connecting, _state.Attempt + 1));
        context.ReenterAfter(current.ConnectAsync(_stopped.Token), attempt => OnAttempted(context, attempt));
    }

    private void OnAttempted(IContext context, Task<PID> attempt)
    {
        if (!attempt.IsCompletedSuccessfully)
        {
            // Cancelled only by the stop, which ends these continuations.
            Exception failure = attempt.Exception?.InnerException ?? new OperationCanceledException();
            Log.AttemptFailed(_extension.Logger, failure, _id, _endPoint, _state.Attempt);
            Retry(context, failure, closed: null);
            return;
        }

        _connectedAt = Time.GetTimestamp();
        Log.Connected(_extension.Logger, _id, _endPoint, _state.Attempt);
        Tell(context, _state with { Phase = ConnectorPhase.Connected, Connection = attempt.Result });
        if (_early is { } early)
        {
            Lose(context, early.Closed);
        }
    }

    private void Lose(IContext context, ConnectionClosed closed)
    {
        _current = null;
        Log.ConnectionLost(_extension.Logger, _id, _endPoint, closed.Reason);
        if (Time.GetElapsedTime(_connectedAt) >= _options.StableAfter)
        {
            _backoff.Reset();
            _state = _state with { Attempt = 0 };
        }

        Retry(context, failure: null, closed);
    }

    private void Retry(IContext context, Exception? failure, ConnectionClosed? closed)
    {
        ConnectorState state = new(ConnectorPhase.Waiting, _state.Attempt) { Failure = failure, Closed = closed };
        if (_state.Attempt >= _options.MaxAttempts || _extension.IsStopping)
        {
            _state = state;
            context.Stop(context.Self);
            return;
        }

        TimeSpan delay = _backoff.Next();
        Tell(context, state with { RetryIn = delay });
        context.ReenterAfter(Task.Delay(delay, Time, _stopped.Token), () => Connect(context));
    }

    private void Stop(IContext context)
    {
        _stopped.Cancel();
        if (!_extension.IsStopping)
        {
            // Else the shutdown tells it, as all others.
            _current?.Stop();
        }

        Tell(context, _state with { Phase = ConnectorPhase.Stopped, Connection = null, RetryIn = null });
        _extension.Forget(context.Self);
    }

    private void Tell(IContext context, ConnectorState state)
    {
        _state = state;
        foreach (PID observer in _observers)
        {
            context.Send(observer, state);
        }
    }

    private sealed record ConnectionLost(OutboundConnection Connection, ConnectionClosed Closed);
}
