using Proto;
using Proto.Context;
using Proto.Mailbox;

namespace NetPoll.Actors.Pollers;

/// <summary>Spawns actors that live on a poller.</summary>
internal sealed class PollerSpawner
{
    private readonly PollerChoice _choice;
    private readonly Func<IMailboxStatistics>? _statistics;

    // The last props and what became of them: as a rule all actors of a spawner have the same. Any thread; a lost update costs a copy.
    private BoundProps? _last;

    internal PollerSpawner(PollerChoice choice, Func<IMailboxStatistics>? statistics)
    {
        _choice = choice;
        _statistics = statistics;
    }

    /// <summary>As <see cref="Props.DefaultSpawner"/>, but a spawn that fails leaves no name behind. Any thread.</summary>
    internal PID Spawn(ActorSystem system, string name, Props props, PID? parent, Action<IContext>? callback)
    {
        if (system.Shutdown.IsCancellationRequested)
        {
            return system.DeadLetterPid;
        }

        BoundProps bound = Bind(system.Config.ConfigureProps(props));
        props = bound.Props;
        ActorPoller home = _choice.Choose(system);
        ActorMailbox mailbox = new(
            system,
            home,
            props.Dispatcher.Throughput,
            maySkipContext: bound.IsPlain && !system.Config.MetricsEnabled,
            _statistics?.Invoke());
        (PID pid, bool isNew) = system.ProcessRegistry.TryAdd(name, mailbox);
        if (!isNew)
        {
            throw new ProcessNameExistException(name, pid);
        }

        try
        {
            ActorContext context = ActorContext.Setup(system, props, parent, pid, mailbox);
            callback?.Invoke(context);
            mailbox.RegisterHandlers(context, props.Dispatcher);
        }
        catch
        {
            system.ProcessRegistry.Remove(pid);
            throw;
        }

        mailbox.PostSystemMessage(Started.Instance);
        mailbox.Start();
        return pid;
    }

    private BoundProps Bind(Props props)
    {
        if (Volatile.Read(ref _last) is { } last && ReferenceEquals(last.Source, props))
        {
            return last;
        }

        BoundProps bound = BoundProps.Of(props);
        Volatile.Write(ref _last, bound);
        return bound;
    }

    /// <summary>A user's props, and the same with a producer that binds its actors to their mailboxes.</summary>
    private sealed record BoundProps(Props Source, Props Props, bool IsPlain)
    {
        internal static BoundProps Of(Props source)
        {
            if (!ReferenceEquals(source.MailboxProducer, Props.Empty.MailboxProducer))
            {
                throw new InvalidOperationException(
                    $"These props have a mailbox of their own ({nameof(Props.WithMailbox)}) and are to live on a poller ({nameof(PropsExtensions.OnPoller)}), which brings its own: leave one of the two out.");
            }

            ProducerWithSystemAndContext producer = source.Producer;
            Props bound = source.WithProducer((system, context) => ActorOnPoller.Bind(
                producer(system, context) ?? throw new InvalidOperationException($"The producer made no actor for {context.Self.Id}."),
                (ActorMailbox)system.ProcessRegistry.Get(context.Self),
                system));
            return new BoundProps(source, bound, source.ReceiverMiddleware.IsEmpty && source.ContextDecorator.IsEmpty);
        }
    }
}
