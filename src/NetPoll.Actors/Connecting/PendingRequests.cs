using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using Proto;

namespace NetPoll.Actors;

/// <summary>Requests that a connection has sent and whose replies have not come: matched by a key, each with a time, all failed by the end.</summary>
/// <typeparam name="TKey">What a reply says it is the reply to: mostly a number that the protocol carries.</typeparam>
/// <typeparam name="TReply">What a reply is.</typeparam>
/// <remarks>
/// <para>
/// A part of one <see cref="ConnectionActor"/>, made in its constructor and used in its callbacks: <see cref="Add(TKey, TimeSpan, PID)"/> when a
/// request is sent, <see cref="TryComplete"/> when a reply has come. Whoever asked gets exactly one outcome: the reply, a
/// <see cref="DeadlineExceededException"/>, or an <see cref="IOException"/> that tells how the connection ended. The time runs on the
/// poller's wheel and costs nothing while nothing happens.
/// </para>
/// <para>
/// Never await a reply in a handler of the same connection: while a handler awaits, its connection is given nothing, the reply included.
/// Other actors and other code may await it.
/// </para>
/// </remarks>
public sealed class PendingRequests<TKey, TReply>
    where TKey : notnull
{
    private readonly ConnectionActor _connection;
    private readonly Dictionary<TKey, Request> _requests;
    private ConnectionClosed? _closed;

    /// <summary>None yet.</summary>
    /// <param name="connection">Whose requests they are.</param>
    /// <param name="comparer">What makes two keys the same; null for their own equality.</param>
    public PendingRequests(ConnectionActor connection, IEqualityComparer<TKey>? comparer = null)
    {
        ArgumentNullException.ThrowIfNull(connection);
        _connection = connection;
        _requests = new Dictionary<TKey, Request>(comparer);
        connection.AtEnd(FailAll);
    }

    /// <summary>Requests without an outcome. In the connection's callbacks.</summary>
    public int Count => _connection.Do(_requests, static (_, requests) => requests.Count);

    /// <summary>A request is on its way; its outcome completes the task.</summary>
    /// <param name="key">What its reply will carry.</param>
    /// <param name="timeout">How long the reply may take: above 0, or <see cref="Timeout.InfiniteTimeSpan"/>.</param>
    /// <returns>Not to be awaited by a handler of this connection.</returns>
    /// <exception cref="InvalidOperationException">A request with that key has no outcome yet, or the caller is not on the connection's poller.</exception>
    public Task<TReply> Add(TKey key, TimeSpan timeout)
    {
        TaskCompletionSource<TReply> source = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Add(new Request(this, key, timeout) { Source = source });
        return source.Task;
    }

    /// <summary>A request is on its way; its outcome is sent to an actor: the reply itself, or <see cref="RequestFailed"/>.</summary>
    /// <param name="key">What its reply will carry.</param>
    /// <param name="timeout">How long the reply may take: above 0, or <see cref="Timeout.InfiniteTimeSpan"/>.</param>
    /// <param name="replyTo">Mostly the sender of the message that asked for it.</param>
    /// <exception cref="InvalidOperationException">A request with that key has no outcome yet, or the caller is not on the connection's poller.</exception>
    public void Add(TKey key, TimeSpan timeout, PID replyTo)
    {
        ArgumentNullException.ThrowIfNull(replyTo);
        Add(new Request(this, key, timeout) { ReplyTo = replyTo });
    }

    /// <summary>The reply has come. In the connection's callbacks.</summary>
    /// <returns>False when nobody waits for it: it came too late, or was never asked for.</returns>
    public bool TryComplete(TKey key, TReply reply) => _connection.Do((Requests: _requests, key, reply), static (_, state) =>
    {
        if (!state.Requests.Remove(state.key, out Request? request))
        {
            return false;
        }

        request.Complete(state.reply);
        return true;
    });

    /// <summary>The request has failed, as when the peer answers it with an error. In the connection's callbacks.</summary>
    /// <returns>False when nobody waits for it.</returns>
    public bool TryFail(TKey key, Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return _connection.Do((Requests: _requests, key, exception), static (_, state) =>
        {
            if (!state.Requests.Remove(state.key, out Request? request))
            {
                return false;
            }

            request.Fail(state.exception);
            return true;
        });
    }

    private void Add(Request request) => _connection.Do((Requests: this, request), static (connection, state) => state.Requests.Add(connection, state.request));

    private void Add(Connection connection, Request request)
    {
        ActorPoller home = connection.Home;
        if (!home.Poller.IsCurrent)
        {
            throw new InvalidOperationException($"A connection's requests can be used on its poller's thread ({home.Poller}) only: from its own callbacks.");
        }

        if (_closed is not null)
        {
            request.Fail(Closed(request.Key));
            return;
        }

        if (!_requests.TryAdd(request.Key, request))
        {
            throw new InvalidOperationException($"A request with the key {request.Key} to {connection.RemoteEndPoint} has no outcome yet.");
        }

        request.Start(home);
    }

    private void FailAll(ConnectionClosed closed) => _connection.Do((Requests: this, closed), static (_, state) => state.Requests.FailAllHere(state.closed));

    private void FailAllHere(ConnectionClosed closed)
    {
        _closed = closed;
        Request[] left = [.. _requests.Values];
        _requests.Clear();
        foreach (Request request in left)
        {
            request.Fail(Closed(request.Key));
        }
    }

    private IOException Closed(TKey key) => new(
        $"The connection to {_connection.Connection.RemoteEndPoint} ended ({_closed!.Reason}) before request {key} was answered.", _closed.Exception);

    private void Expire(Request request)
    {
        // A reply of the same batch of events was faster.
        if (_requests.Remove(request.Key))
        {
            request.Fail(new DeadlineExceededException(
                $"Request {request.Key} to {_connection.Connection.RemoteEndPoint} was not answered within {request.Timeout}."));
        }
    }

    /// <summary>One request, which is its own node in the wheel. The poller's thread.</summary>
    private sealed class Request : DeadlineNode, IPollWaiter
    {
        private readonly PendingRequests<TKey, TReply> _owner;
        private ActorPoller? _home;
        private bool _hasOutcome;

        internal Request(PendingRequests<TKey, TReply> owner, TKey key, TimeSpan timeout)
        {
            if (timeout != System.Threading.Timeout.InfiniteTimeSpan)
            {
                ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
            }

            ArgumentNullException.ThrowIfNull(key);
            _owner = owner;
            Key = key;
            Timeout = timeout;
        }

        internal TKey Key { get; }

        internal TimeSpan Timeout { get; }

        internal TaskCompletionSource<TReply>? Source { get; init; }

        internal PID? ReplyTo { get; init; }

        void IPollWaiter.Resume(PollSignals signals)
        {
            Connection connection = _owner._connection.Connection;
            if (!connection.IsHere)
            {
                // It has moved, and this was armed where it lived then.
                connection.Home.Poller.Post(() => ((IPollWaiter)this).Resume(signals));
            }
            else if (!_hasOutcome)
            {
                _owner.Expire(this);
            }
        }

        void IPollWaiter.Schedule(PollSignals signals) => throw new PollerInvariantException("A request waits for time alone.");

        internal override void OnDue(long now, ReadyList ready) => ready.Add(this, PollSignals.ReadDeadline);

        internal void Start(ActorPoller home)
        {
            if (Timeout != System.Threading.Timeout.InfiniteTimeSpan)
            {
                _home = home;
                home.Poller.Wheel.Arm(this, home.Poller.Clock.Nanoseconds + PollerClock.InNanoseconds(Timeout));
            }
        }

        internal void Complete(TReply reply)
        {
            End();
            _ = Source?.TrySetResult(reply);
            Send(reply!);
        }

        internal void Fail(Exception exception)
        {
            End();
            _ = Source?.TrySetException(exception);
            Send(new RequestFailed(Key, exception));
        }

        private void Send(object outcome)
        {
            if (ReplyTo is not null)
            {
                _owner._connection.Connection.Home.Extension.System.Root.Send(ReplyTo, outcome);
            }
        }

        private void End()
        {
            _hasOutcome = true;
            if (_home is { } home && home.Poller.IsCurrent)
            {
                home.Poller.Wheel.Cancel(this);
            }
        }
    }
}

/// <summary>The outcome of a request that got no reply.</summary>
/// <param name="Key">The request's key.</param>
/// <param name="Exception">
/// <see cref="DeadlineExceededException"/>: no reply in time. <see cref="IOException"/>: the connection ended. Anything else: what the
/// connection's handler failed it with.
/// </param>
public sealed record RequestFailed(object Key, Exception Exception);
