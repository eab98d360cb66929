using Proto;
using Proto.Diagnostics;

namespace NetPoll.Actors.Pollers;

/// <summary>Keeps an actor on its poller's thread where Proto.Actor would leave it.</summary>
/// <remarks>
/// After a handler that really awaits, Proto.Actor goes on in the thread pool, and so would the rest of a life: <see cref="Stopped"/>, a
/// restart's <see cref="Started"/>, the disposal. They are brought back here. A user message's unfinished task is parked in the mailbox
/// instead, which saves the way through the pool; not where somebody between mailbox and actor wants to see the task.
/// </remarks>
internal class ActorOnPoller : IActor, IActorDiagnostics, IAsyncDisposable
{
    private readonly ActorMailbox _mailbox;
    private readonly ActorSystem _system;

    private protected ActorOnPoller(IActor inner, ActorMailbox mailbox, ActorSystem system)
    {
        Inner = inner;
        _mailbox = mailbox;
        _system = system;
    }

    /// <summary>The user's actor.</summary>
    internal IActor Inner { get; }

    /// <summary>Wraps an actor so that what Proto.Actor asks it about itself is still answered by it.</summary>
    internal static ActorOnPoller Bind(IActor inner, ActorMailbox mailbox, ActorSystem system) => inner is ISupervisorStrategy strategy
        ? new SupervisorOnPoller(inner, strategy, mailbox, system)
        : new ActorOnPoller(inner, mailbox, system);

    /// <inheritdoc/>
    public Task ReceiveAsync(IContext context)
    {
        // Once a message: what an actor hands to itself while it handles one, as from a stash, is a part of that.
        bool mayPark = _mailbox.TakeParkingPermit();
        if (!_mailbox.IsAtHome)
        {
            return ReceiveAtHomeAsync(context);
        }

        Task task = Inner.ReceiveAsync(context);
        if (task.IsCompletedSuccessfully || !mayPark || context.ReceiveTimeout > TimeSpan.Zero)
        {
            return task;
        }

        _mailbox.Park(task);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public string GetDiagnosticsString() => Inner is IActorDiagnostics diagnostics
        ? diagnostics.GetDiagnosticsString()
        : _system.Config.DiagnosticsSerializer(Inner);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Inner is IAsyncDisposable or IDisposable && !_mailbox.IsAtHome
        ? new ValueTask(_mailbox.Context.InvokeAsync(() => DisposeInnerAsync().AsTask()))
        : DisposeInnerAsync();

    // Apart, or every message would pay for the closure.
    private Task ReceiveAtHomeAsync(IContext context) => _mailbox.Context.InvokeAsync(() => Inner.ReceiveAsync(context));

    private ValueTask DisposeInnerAsync()
    {
        switch (Inner)
        {
            case IAsyncDisposable disposable:
                return disposable.DisposeAsync();
            case IDisposable disposable:
                disposable.Dispose();
                break;
        }

        return default;
    }

    /// <summary>An actor that supervises its children itself.</summary>
    private sealed class SupervisorOnPoller : ActorOnPoller, ISupervisorStrategy
    {
        private readonly ISupervisorStrategy _strategy;

        internal SupervisorOnPoller(IActor inner, ISupervisorStrategy strategy, ActorMailbox mailbox, ActorSystem system)
            : base(inner, mailbox, system) => _strategy = strategy;

        /// <inheritdoc/>
        public void HandleFailure(ISupervisor supervisor, PID child, RestartStatistics rs, Exception cause, object? message) =>
            _strategy.HandleFailure(supervisor, child, rs, cause, message);
    }
}
