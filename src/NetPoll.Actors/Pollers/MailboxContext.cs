using NetPoll.Core.Scheduling;
using Proto;

namespace NetPoll.Actors.Pollers;

/// <summary>
/// Brings the code after an <c>await</c> of a handler back to its mailbox's poller, wherever that is by then; and holds what a mailbox knows only
/// while a handler waits or has failed, so that one to which neither happens pays for neither.
/// </summary>
/// <remarks>
/// One per mailbox, not one per poller, for two reasons: who asks what holds a poller's thread is told whose code it is, after an await as
/// well; and an actor that completes what another one of its poller awaits does not run the other's code in the middle of its own.
/// </remarks>
internal sealed class MailboxContext : SynchronizationContext
{
    private readonly PollerMailbox _mailbox;

    private Task? _parked;

    internal MailboxContext(PollerMailbox mailbox) => _mailbox = mailbox;

    /// <summary>While the mailbox is suspended: what its PID led to when it was; null otherwise. The turn only.</summary>
    internal Process? SuspendedAs { get; set; }

    /// <summary>Keeps a handler's unfinished task. The turn only.</summary>
    internal void Park(Task task) => _parked = task;

    /// <summary>Gives the parked task away. The turn only.</summary>
    internal Task? TakeParked()
    {
        Task? parked = _parked;
        _parked = null;
        return parked;
    }

    /// <inheritdoc/>
    public override void Post(SendOrPostCallback d, object? state) => _mailbox.Home.Poller.Post(new Continuation(this, d, state));

    /// <inheritdoc/>
    public override void Send(SendOrPostCallback d, object? state) => _mailbox.Home.Poller.Context.Send(d, state);

    /// <inheritdoc/>
    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs code on the mailbox's poller; its awaits come back there. Any thread.</summary>
    internal Task InvokeAsync(Func<Task> code)
    {
        TaskCompletionSource<Task> begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(
            _ =>
            {
                try
                {
                    begun.SetResult(code());
                }
#pragma warning disable CA1031 // The exception is the caller's, who awaits it.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    begun.SetException(exception);
                }
            },
            null);
        return begun.Task.Unwrap();
    }

    /// <summary>What follows an await, as work for the poller.</summary>
    private sealed class Continuation : IPollerWork
    {
        private readonly MailboxContext _context;
        private readonly SendOrPostCallback _callback;
        private readonly object? _state;

        internal Continuation(MailboxContext context, SendOrPostCallback callback, object? state)
        {
            _context = context;
            _callback = callback;
            _state = state;
        }

        public IPollerWork? Next { get; set; }

        public override string ToString() => _context._mailbox.ToString();

        public void Run()
        {
            ActorPoller home = _context._mailbox.Home;
            if (!_context._mailbox.IsHere)
            {
                home.Poller.Post(this);
                return;
            }

            SetSynchronizationContext(_context);
            try
            {
                _callback(_state);
            }
            finally
            {
                home.LeaveContext();
            }
        }
    }
}
