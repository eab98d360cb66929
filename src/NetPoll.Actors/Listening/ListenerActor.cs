using System.Net;
using NetPoll.Actors.Connections;
using Proto;

namespace NetPoll.Actors.Listening;

/// <summary>The control of a listener: PID <c>netpoll/listener-name</c>. The accepting itself is done on the pollers.</summary>
internal sealed class ListenerActor : IActor, IConnectionOwner
{
    private readonly NetPollExtension _extension;
    private readonly Acceptor[] _acceptors;
    private long _accepted;
    private long _active;
    private TaskCompletionSource? _empty;

    internal ListenerActor(NetPollExtension extension, string id, IPEndPoint endPoint, Producer factory, ListenerOptions options, Core.Backends.PollableSocket[] sockets)
    {
        _extension = extension;
        Id = id;
        EndPoint = endPoint;
        ConnectionOptions = options.Connections;

        // The start is timed by nobody: a stopwatch for every connection would only cost.
        Props = Props.FromProducer(factory).WithStartDeadline(TimeSpan.Zero);
        _acceptors = new Acceptor[sockets.Length];
        for (int index = 0; index < sockets.Length; index++)
        {
            _acceptors[index] = new Acceptor(extension.Homes[index], this, sockets[index]);
        }
    }

    /// <inheritdoc/>
    public ActorSystem System => _extension.System;

    /// <inheritdoc/>
    public string Id { get; }

    /// <inheritdoc/>
    public Props Props { get; }

    /// <inheritdoc/>
    public ConnectionOptions ConnectionOptions { get; }

    internal IPEndPoint EndPoint { get; }

    /// <summary>What users are given.</summary>
    internal Listener Handle => new(PID.FromAddress(System.Address, Id), EndPoint);

    /// <summary>Whether it accepts on every poller. Any thread.</summary>
    internal bool IsAccepting => Array.TrueForAll(_acceptors, static acceptor => acceptor.IsAccepting);

    internal long Accepted => Volatile.Read(ref _accepted);

    internal long Active => Volatile.Read(ref _active);

    /// <summary>The PID's id of the listener of that name.</summary>
    internal static string IdOf(string name) => $"netpoll/listener-{name}";

    /// <inheritdoc/>
    public void ConnectionClosed()
    {
        // Both are full fences: the last connection sees who waits, or who waits sees that it was the last.
        if (Interlocked.Decrement(ref _active) == 0)
        {
            Volatile.Read(ref _empty)?.TrySetResult();
        }
    }

    /// <inheritdoc/>
    public async Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case GetListenerStatistics:
                context.Respond(new ListenerStatistics(Accepted, Active));
                break;

            case Stopping:
                await StopAcceptingAsync();
                break;
        }
    }

    /// <summary>Begins to accept, on every poller.</summary>
    internal Task StartAcceptingAsync() => Task.WhenAll(_acceptors.Select(static acceptor => acceptor.StartAsync()));

    /// <summary>Takes what waits in the queues, and closes the sockets. Harmless when they are closed.</summary>
    internal Task StopAcceptingAsync() => Task.WhenAll(_acceptors.Select(static acceptor => acceptor.StopAsync()));

    /// <summary>Completes when the last connection has ended. After the accepting was stopped, once.</summary>
    internal Task WhenEmptyAsync()
    {
        TaskCompletionSource empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _empty, empty);
        if (Active == 0)
        {
            empty.TrySetResult();
        }

        return empty.Task;
    }

    /// <summary>Counts a connection in, and names it. Any poller's thread.</summary>
    internal string NextConnectionId()
    {
        Interlocked.Increment(ref _active);
        return $"{Id}/{Interlocked.Increment(ref _accepted)}";
    }
}
