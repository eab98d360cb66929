using System.Collections.Concurrent;
using System.Net;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using Proto;

namespace NetPoll.Actors.Tests.Support;

/// <summary>An actor system with NetPoll, and what it logs and loses.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly ConcurrentQueue<DeadLetterEvent> _deadLetters = new();
    private int _listeners;

    public TestServer(int pollers = 1, PollerOptions? options = null, long? maxOutputBytes = null)
    {
        options ??= new PollerOptions();
        options.PollerCount = pollers;
        System = new ActorSystem();
        System.EventStream.Subscribe<DeadLetterEvent>(_deadLetters.Enqueue);
        System.WithNetPoll(new NetPollOptions { Pollers = options, Logger = Log, MaxOutputBytes = maxOutputBytes });
    }

    public ActorSystem System { get; }

    public TestLog Log { get; } = new();

    public NetPollExtension NetPoll => System.NetPoll();

    public ActorPoller[] Homes => NetPoll.Homes;

    /// <summary>What was sent to actors that are no more, Proto.Actor's own messages excepted.</summary>
    public IReadOnlyList<object> DeadLetters => [.. _deadLetters.Select(static letter => letter.Message).Where(static message => message is not InfrastructureMessage)];

    /// <summary>Listens with connections that do what the script says.</summary>
    public Task<Listener> ListenAsync(ConnectionScript script, ConnectionOptions? options = null) =>
        ListenAsync(() => new ScriptedConnection(script), options);

    public Task<Listener> ListenAsync(Func<ConnectionActor> factory, ConnectionOptions? options = null) =>
        ListenAsync(factory, new ListenerOptions { Connections = options ?? new ConnectionOptions() });

    public Task<Listener> ListenAsync(ConnectionScript script, ListenerOptions options) => ListenAsync(() => new ScriptedConnection(script), options);

    public Task<Listener> ListenAsync(Func<ConnectionActor> factory, ListenerOptions options) =>
        NetPoll.ListenAsync($"test{Interlocked.Increment(ref _listeners)}", AnyPort, factory, options).Soon();

    /// <summary>The id of a listener's connection, by its number: the listener's name and that.</summary>
    public static string IdOf(Listener listener, int number) => $"{listener.Pid.Id["netpoll/listener-".Length..]}/{number}";

    /// <summary>Asks an actor and waits for the answer.</summary>
    public Task<T> Ask<T>(PID pid, object question) => System.Root.RequestAsync<T>(pid, question, TestContext.Current.CancellationToken).Soon();

    /// <summary>A connection with its peer.</summary>
    public static async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(Listener listener, ConnectionScript script, int receiveBuffer = 0)
    {
        Peer peer = await Peer.ConnectAsync(listener.EndPoint, receiveBuffer);
        return (peer, await script.ConnectionOf(peer));
    }

    /// <summary>Runs code on a poller's thread and waits for it.</summary>
    public Task<T> OnPoller<T>(Func<T> code, int poller = 0)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Homes[poller].Poller.Post(() =>
        {
            try
            {
                done.SetResult(code());
            }
            catch (Exception exception)
            {
                done.SetException(exception);
            }
        });
        return done.Task.Soon();
    }

    /// <summary>The framework's object behind a connection's PID.</summary>
    public Connection? Find(PID pid) => System.ProcessRegistry.Get(pid) as Connection;

    public async Task<ListenerStatistics> Statistics(Listener listener) =>
        await System.Root.RequestAsync<ListenerStatistics>(listener.Pid, new GetListenerStatistics(), TestContext.Current.CancellationToken);

    /// <summary>A task that completes with what <paramref name="atTerminated"/> says in the turn in which the watcher is told.</summary>
    public async Task<Task<T>> Watch<T>(PID pid, Func<Terminated, T> atTerminated)
    {
        TaskCompletionSource watching = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<T> told = new(TaskCreationOptions.RunContinuationsAsynchronously);
        System.Root.Spawn(Props.FromFunc(context =>
        {
            switch (context.Message)
            {
                case Started:
                    context.Watch(pid);
                    watching.SetResult();
                    break;
                case Terminated terminated:
                    told.TrySetResult(atTerminated(terminated));
                    break;
            }

            return Task.CompletedTask;
        }));
        await watching.Task.Soon();
        return told.Task;
    }

    public async ValueTask DisposeAsync()
    {
        await NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();
        await System.ShutdownAsync().Soon();
        await System.DisposeAsync();
    }
}
