using System.Collections.Concurrent;
using System.Net;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors.Tests.Support;

/// <summary>What a test wants its connections to do; whatever is not set is what the base class does, except that bytes are kept.</summary>
internal sealed class ConnectionScript
{
    private readonly ConcurrentDictionary<int, TaskCompletionSource<ScriptedConnection>> _connections = new();

    internal delegate int ReceivedHook(ScriptedConnection connection, ReadOnlySpan<byte> bytes);

    public Action<ScriptedConnection>? Connected { get; set; }

    public ReceivedHook? Received { get; set; }

    public Func<ScriptedConnection, object, Task>? Message { get; set; }

    public Action<ScriptedConnection, DeadlineKind>? Deadline { get; set; }

    public Action<ScriptedConnection>? PeerClosed { get; set; }

    public Action<ScriptedConnection>? PeerHungUp { get; set; }

    public Action<ScriptedConnection>? Shutdown { get; set; }

    public Action<ScriptedConnection>? WritesSuspended { get; set; }

    public Action<ScriptedConnection>? WritesResumed { get; set; }

    public Action<ScriptedConnection, DroppedOutput>? OutputDropped { get; set; }

    public Action<ScriptedConnection>? Moved { get; set; }

    public Action<ScriptedConnection>? Closed { get; set; }

    /// <summary>Sends back what comes.</summary>
    public static ConnectionScript Echo() => new()
    {
        Received = static (connection, bytes) =>
        {
            connection.Send(bytes);
            return bytes.Length;
        },
    };

    /// <summary>The connection whose peer this is, once it has started.</summary>
    public Task<ScriptedConnection> ConnectionOf(Peer peer) => ConnectionOf(peer.LocalPort);

    public Task<ScriptedConnection> ConnectionOf(int peerPort) => Source(peerPort).Task.Soon();

    internal void Register(ScriptedConnection connection, EndPoint remote) => Source((remote as IPEndPoint)?.Port ?? 0).TrySetResult(connection);

    private TaskCompletionSource<ScriptedConnection> Source(int port) =>
        _connections.GetOrAdd(port, static _ => new TaskCompletionSource<ScriptedConnection>(TaskCreationOptions.RunContinuationsAsynchronously));
}

/// <summary>A connection that keeps a record, and does what its script or a message says.</summary>
internal sealed class ScriptedConnection : ConnectionActor
{
    private readonly ConnectionScript _script;
    private readonly ConcurrentQueue<object> _events = new();
    private readonly TaskCompletionSource<ConnectionClosed> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<byte> _received = [];
    private int _closings;

    internal ScriptedConnection(ConnectionScript script) => _script = script;

    /// <summary>Everything that the handler was told, in order, bytes excepted.</summary>
    public IReadOnlyList<object> Events => [.. _events];

    /// <summary>The end.</summary>
    public Task<ConnectionClosed> WhenClosed => _closed.Task.Soon();

    public bool HasClosed => _closed.Task.IsCompleted;

    /// <summary>How often the end was told.</summary>
    public int Closings => Volatile.Read(ref _closings);

    public PID Pid { get; private set; } = null!;

    public EndPoint? Remote { get; private set; }

    public Poller Poller { get; private set; } = null!;

    public ActorSystem System { get; private set; } = null!;

    public new IContext Context => base.Context;

    public new long OutputBytes => base.OutputBytes;

    public new bool IsWritable => base.IsWritable;

    public new DroppedOutput DroppedOutput => base.DroppedOutput;

    public new TimeSpan? IdleTimeout
    {
        get => base.IdleTimeout;
        set => base.IdleTimeout = value;
    }

    public new DeadlineProfile? Deadlines
    {
        get => base.Deadlines;
        set => base.Deadlines = value;
    }

    public new Heartbeat? Heartbeat
    {
        get => base.Heartbeat;
        set => base.Heartbeat = value;
    }

    public new RateLimits? RateLimits
    {
        get => base.RateLimits;
        set => base.RateLimits = value;
    }

    public new void HeartbeatAnswered() => base.HeartbeatAnswered();

    public byte[] ReceivedBytes
    {
        get
        {
            lock (_received)
            {
                return [.. _received];
            }
        }
    }

    public void Note(object what) => _events.Enqueue(what);

    public new void Send(ReadOnlySpan<byte> bytes) => base.Send(bytes);

    public new void Send(SharedPayload payload) => base.Send(payload);

    public new ValueTask FlushAsync(CancellationToken cancellation = default) => base.FlushAsync(cancellation);

    public new Task SendStreamAsync(Stream stream, long? length = null, CancellationToken cancellation = default) =>
        base.SendStreamAsync(stream, length, cancellation);

    public new Task SendFileAsync(string path, long offset = 0, long? length = null, CancellationToken cancellation = default) =>
        base.SendFileAsync(path, offset, length, cancellation);

    public new void Close() => base.Close();

    public new void Close(CloseReason reason) => base.Close(reason);

    public new void Abort() => base.Abort();

    public new bool MoveTo(PID poller) => base.MoveTo(poller);

    public new void SetReadDeadline(Deadline deadline) => base.SetReadDeadline(deadline);

    public new void SuspendReading() => base.SuspendReading();

    public new void ResumeReading() => base.ResumeReading();

    public new void Demand(long count, DemandUnit unit = DemandUnit.Messages) => base.Demand(count, unit);

    public new void CloseWrite() => base.CloseWrite();

    /// <summary>Runs code in a turn of this connection, from outside, and waits for it.</summary>
    public Task Do(Action<ScriptedConnection> action) => Do(connection =>
    {
        action(connection);
        return Task.CompletedTask;
    });

    /// <summary>Runs an async handler in this connection, from outside, and waits for it.</summary>
    public Task Do(Func<ScriptedConnection, Task> action)
    {
        Order order = new(action);
        System.Root.Send(Pid, order);
        return order.Done.Soon();
    }

    /// <summary>Asks in a turn of this connection, from outside, and waits for the answer.</summary>
    public async Task<T> Ask<T>(Func<ScriptedConnection, T> question)
    {
        T answer = default!;
        await Do(connection => answer = question(connection));
        return answer;
    }

    protected override void OnConnected()
    {
        Pid = base.Context.Self;
        Remote = RemoteEndPoint;
        System = base.Context.System;
        Poller = Core.Poller.Current!;
        Note("connected");
        try
        {
            _script.Connected?.Invoke(this);
        }
        finally
        {
            // Last: who finds the connection finds it as the hook left it.
            _script.Register(this, RemoteEndPoint!);
        }
    }

    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        if (_script.Received is { } hook)
        {
            return hook(this, bytes);
        }

        Keep(bytes);
        return bytes.Length;
    }

    public void Keep(ReadOnlySpan<byte> bytes)
    {
        lock (_received)
        {
            _received.AddRange(bytes);
        }
    }

    protected override Task OnMessage(object message)
    {
        if (message is Order order)
        {
            return order.Run(this);
        }

        Note(message);
        return _script.Message?.Invoke(this, message) ?? Task.CompletedTask;
    }

    protected override void OnDeadline(DeadlineKind kind)
    {
        Note(kind);
        if (_script.Deadline is { } hook)
        {
            hook(this, kind);
        }
        else
        {
            base.OnDeadline(kind);
        }
    }

    protected override void OnPeerClosed()
    {
        Note("peer closed");
        if (_script.PeerClosed is { } hook)
        {
            hook(this);
        }
        else
        {
            base.OnPeerClosed();
        }
    }

    protected override void OnPeerHungUp()
    {
        Note("peer hung up");
        _script.PeerHungUp?.Invoke(this);
    }

    protected override void OnWritesSuspended()
    {
        Note("writes suspended");
        _script.WritesSuspended?.Invoke(this);
    }

    protected override void OnWritesResumed()
    {
        Note("writes resumed");
        _script.WritesResumed?.Invoke(this);
    }

    protected override void OnOutputDropped(DroppedOutput dropped)
    {
        Note(dropped);
        _script.OutputDropped?.Invoke(this, dropped);
    }

    protected override void OnMoved()
    {
        Poller = Core.Poller.Current!;
        Note("moved");
        _script.Moved?.Invoke(this);
    }

    protected override void OnShutdown()
    {
        Note("shutdown");
        if (_script.Shutdown is { } hook)
        {
            hook(this);
        }
        else
        {
            base.OnShutdown();
        }
    }

    protected override void OnClosed(ConnectionClosed closed)
    {
        Note(closed);
        Interlocked.Increment(ref _closings);
        _closed.TrySetResult(closed);
        _script.Closed?.Invoke(this);
    }

    private sealed class Order(Func<ScriptedConnection, Task> action)
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Done => _done.Task;

        public async Task Run(ScriptedConnection connection)
        {
            try
            {
                await action(connection);
                _done.SetResult();
            }
            catch (Exception exception)
            {
                _done.SetException(exception);
                throw;
            }
        }
    }
}
