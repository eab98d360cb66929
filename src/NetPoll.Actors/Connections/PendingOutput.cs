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

    // Those who wait for what was queued before them, in order.
    private FlushWaiter? _firstFlush;
    private FlushWaiter? _lastFlush;

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <summary>Whose output it is; null while nobody rents it.</summary>
    internal Connection? Owner { get; set; }

    /// <summary>The poller's link to the next one that nobody rents.</summary>
    internal PendingOutput? NextIdle { get; set; }

    /// <summary>Whether it is parked in the write slot, or what freed it is on its way.</summary>
    internal bool IsArmed { get; private set; }

    /// <summary>Whether the descriptor has a write deadline for it.</summary>
    internal bool HasDeadline { get; set; }

    /// <inheritdoc/>
    public override string ToString() => $"output of {Owner}";

    /// <summary>Waits for room; comes again soon when something stands in the way of that.</summary>
    internal void Arm(Poller poller, PollDescriptor descriptor)
    {
        IsArmed = true;
        poller.Arm(descriptor, PollMode.Write);
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

    /// <summary>
    /// Leaves the write slot, to be armed in another. What freed it may be on its way already: then it stays armed, and that follows the
    /// connection.
    /// </summary>
    internal void Withdraw(PollDescriptor descriptor) => IsArmed = IsArmed && !descriptor.TryWithdraw(PollMode.Write, this);

    /// <summary>Adds somebody who waits for all that is queued now.</summary>
    /// <param name="waiter">Told once.</param>
    /// <param name="sent">What the system has taken of the connection's output.</param>
    internal void Add(FlushWaiter waiter, long sent)
    {
        waiter.Position = sent + Bytes + Sources;
        if (_lastFlush is null)
        {
            _firstFlush = waiter;
        }
        else
        {
            _lastFlush.Next = waiter;
        }

        _lastFlush = waiter;
    }

    /// <summary>Tells those who have waited for no more than that.</summary>
    internal void CompleteFlushes(long sent)
    {
        while (_firstFlush is { } waiter && waiter.Position <= sent)
        {
            RemoveFirstFlush(waiter);
            waiter.Complete(isSent: true);
        }
    }

    /// <summary>The output is lost: tells everybody who still waits for it.</summary>
    internal void FailFlushes()
    {
        while (_firstFlush is { } waiter)
        {
            RemoveFirstFlush(waiter);
            waiter.Complete(isSent: false);
        }
    }

    /// <summary>Throws away the oldest or the newest payload of which nothing was sent.</summary>
    /// <param name="isOldest">Which.</param>
    /// <param name="sent">What the system has taken of the connection's output.</param>
    /// <param name="gate">What knows where the messages end; null for nothing.</param>
    /// <returns>Its length; 0 when there is none.</returns>
    internal int Drop(bool isOldest, long sent, OutboundGate? gate)
    {
        int length = isOldest ? DropOldest(out long before, out int sources) : DropNewest(out before, out sources);
        if (length > 0)
        {
            gate?.Remove(before);
            MoveWaiters(sent + before + sources, -length);
        }

        return length;
    }

    /// <summary>Takes a stream out, at its end or before.</summary>
    /// <param name="source">One that waits.</param>
    /// <param name="sent">What the system has taken of the connection's output.</param>
    internal void Remove(OutputSource source, long sent)
    {
        Remove(source, out long before, out int sources);
        MoveWaiters(sent + before + sources, -1);
        CompleteFlushes(sent);
    }

    /// <summary>Puts what a stream has read before it.</summary>
    internal void InsertFirst(byte[] buffer, int length, long now, long sent)
    {
        InsertFirst(buffer, length, now);
        MoveWaiters(sent, length);
    }

    /// <inheritdoc/>
    void IPollWaiter.Resume(PollSignals signals)
    {
        Connection? owner = Owner;
        if (owner is { IsHere: false })
        {
            ((IPollWaiter)this).Schedule(signals);
            return;
        }

        IsArmed = false;
        owner?.OutputFreed(signals);
    }

    /// <inheritdoc/>
    void IPollWaiter.Schedule(PollSignals signals)
    {
        _scheduled = signals;
        Owner?.Home.Poller.Post(this);
    }

    /// <inheritdoc/>
    void IPollerWork.Run() => ((IPollWaiter)this).Resume(_scheduled);

    // Whoever waits for more than that, streams counted as a byte each, waits for so much more.
    private void MoveWaiters(long beyond, long by)
    {
        for (FlushWaiter? waiter = _firstFlush; waiter is not null; waiter = waiter.Next)
        {
            if (waiter.Position > beyond)
            {
                waiter.Position += by;
            }
        }
    }

    private void RemoveFirstFlush(FlushWaiter waiter)
    {
        _firstFlush = waiter.Next;
        waiter.Next = null;
        if (_firstFlush is null)
        {
            _lastFlush = null;
        }
    }
}
