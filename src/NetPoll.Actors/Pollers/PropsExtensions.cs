using NetPoll.Actors.Pollers;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors;

/// <summary>How any actor comes to live on a poller.</summary>
public static class PropsExtensions
{
    /// <summary>Lets the actors of these props live on a poller: every message, and what follows an <c>await</c>, runs on its thread.</summary>
    /// <param name="props">The props; their dispatcher's throughput counts, its threads do not.</param>
    /// <param name="choice">Which poller.</param>
    /// <param name="statistics">Makes what is told of the messages of one mailbox; called for each actor. Null for nothing.</param>
    /// <returns>Props to spawn by, from a root context or from any actor.</returns>
    /// <remarks>
    /// <para>
    /// In everything else the actor is as any other: supervision, children, restarts, <c>ReenterAfter</c>, receive timeouts. Messages that
    /// arrive during its spawn wait for its start, and those queued behind a failure that stops it become dead letters. Its constructor runs
    /// on the thread that spawns it; <see cref="Started"/> is the first message on the poller's thread.
    /// </para>
    /// <para>
    /// A handler must not block: everything else of the poller waits meanwhile, and what it waits for may never come. After NetPoll has
    /// stopped the actor goes on in the thread pool, still one message at a time and never beside another actor of its poller.
    /// </para>
    /// <para>
    /// The spawn throws <see cref="InvalidOperationException"/> where the system has no NetPoll, or where the props have a mailbox of their own.
    /// </para>
    /// </remarks>
    public static Props OnPoller(this Props props, PollerChoice choice, Func<IMailboxStatistics>? statistics = null)
    {
        ArgumentNullException.ThrowIfNull(props);
        ArgumentNullException.ThrowIfNull(choice);
        return props.WithSpawner(new PollerSpawner(choice, statistics).Spawn);
    }
}
