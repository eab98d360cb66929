using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Pollers;

/// <summary>The mailbox of an actor that lives on a poller and is no connection.</summary>
internal sealed class ActorMailbox : PollerMailbox
{
    private readonly IMailboxStatistics? _statistics;
    private readonly bool _maySkipContext;

    // The turn's alone: a message is on its way from the mailbox to the actor.
    private bool _hasPermit;

    /// <param name="system">The actor system.</param>
    /// <param name="home">The poller.</param>
    /// <param name="throughput">Messages per turn.</param>
    /// <param name="maySkipContext">Whether nobody between mailbox and actor waits for a handler's task.</param>
    /// <param name="statistics">Who is told of every message; null for nobody.</param>
    internal ActorMailbox(ActorSystem system, ActorPoller home, int throughput, bool maySkipContext, IMailboxStatistics? statistics)
        : base(system, home, throughput)
    {
        _maySkipContext = maySkipContext;
        _statistics = statistics;
    }

    /// <summary>Whether the caller runs on the mailbox's poller.</summary>
    internal bool IsAtHome => Home.Poller.IsCurrent;

    /// <inheritdoc/>
    public override void Start()
    {
        _statistics?.MailboxStarted();
        base.Start();
    }

    /// <summary>Whether the actor's task may be parked here; once for each message that the mailbox hands out. The turn only.</summary>
    internal bool TakeParkingPermit()
    {
        bool hasPermit = _hasPermit;
        _hasPermit = false;
        return hasPermit;
    }

    /// <inheritdoc/>
    protected override Task InvokeUser(IMessageInvoker invoker, object message)
    {
        _hasPermit = _maySkipContext;
        try
        {
            return invoker.InvokeUserMessageAsync(message);
        }
        finally
        {
            _hasPermit = false;
        }
    }

    /// <inheritdoc/>
    protected override void OnPosted(object message) => _statistics?.MessagePosted(message);

    /// <inheritdoc/>
    protected override void OnHandled(object message) => _statistics?.MessageReceived(message);

    /// <inheritdoc/>
    protected override void OnIdle() => _statistics?.MailboxEmpty();
}
