using NetPoll.Core;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Connections;

/// <summary>The output of one connection that waits, and what waits for room in its socket: rented from the poller as long as there is some.</summary>
/// <remarks>
/// The connection's mailbox is not asked for it: what is sent leaves while a handler awaits, too, and costs no turn. The poller's thread
/// only, but for <see cref="IPollWaiter.Schedule"/>.
/// </remarks>
internal sealed class PendingOutput : OutputQueue, IPollWaiter, IPollerWork
{
    private PollSignals _scheduled;

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <summary>Whose output it is; null while nobody rents it.</summary>
    internal Connection? Owner { get; set; }

    /// <summary>Whether it is parked in the write slot, or what freed it is on its way.</summary>
    internal bool IsArmed { get; private set; }

    /// <summary>Whether the descriptor has a write deadline for it.</summary>
    internal bool HasDeadline { get; set; }

    /// <inheritdoc/>
    public override string ToString() => $"output of {Owner}";

    /// <summary>Waits for room; comes again soon when something stands in the way of that.</summary>
    internal void Arm(PollDescriptor descriptor)
    {
        IsArmed = true;
        PollSignals signals = descriptor.Arm(PollMode.Write, this);
        if (signals != PollSignals.None)
        {
            // Not in this call: the caller may be a handler in the middle of its turn.
            ((IPollWaiter)this).Schedule(signals);
        }
    }

    /// <summary>Waits no longer.</summary>
    /// <returns>False when what freed it is on its way already: it must not be rented to another connection then.</returns>
    internal bool Disarm(PollDescriptor descriptor)
    {
        bool isFree = !IsArmed || descriptor.TryWithdraw(PollMode.Write, this);
        IsArmed = false;
        return isFree;
    }

    /// <inheritdoc/>
    void IPollWaiter.Resume(PollSignals signals)
    {
        IsArmed = false;
        Owner?.OutputFreed(signals);
    }

    /// <inheritdoc/>
    void IPollWaiter.Schedule(PollSignals signals)
    {
        _scheduled = signals;
        Owner?.Home.Poller.Post(this);
    }

    /// <inheritdoc/>
    void IPollerWork.Run() => ((IPollWaiter)this).Resume(_scheduled);
}
