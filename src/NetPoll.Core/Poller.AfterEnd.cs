using System.Diagnostics.CodeAnalysis;
using NetPoll.Core.Diagnostics;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core;

/// <content>
/// After the thread's end: what it left and what is still posted runs on the thread pool, one after the other, and what runs there is on this
/// poller for all who ask (<see cref="IsCurrent"/>). So state that belongs to the poller's thread keeps its one owner.
/// </content>
public sealed partial class Poller
{
    // Then the thread pool's other work has its turn.
    private const int WorkPerPoolTurn = 64;

    // Guards the three below.
    private readonly Lock _afterEndGate = new();
    private readonly RunQueue _afterEnd = new();

    // Somebody runs what is queued, or is about to; until its own end the poller's thread counts as that.
    private bool _isAfterEndRunning = true;

    // Written once, under the gate; the poller's thread and who runs in its place read it without.
    private bool _hasEnded;

    private void PostAfterEnd(IPollerWork work)
    {
        lock (_afterEndGate)
        {
            _afterEnd.Enqueue(work);
            if (_isAfterEndRunning)
            {
                return;
            }

            _isAfterEndRunning = true;
        }

        QueueAfterEnd();
    }

    // The thread's last act: from here on the thread pool has its place.
    private void HandOver()
    {
        lock (_afterEndGate)
        {
            // What the thread left is older than what was posted since its inbox closed.
            Move(_afterEnd, _runQueue);
            Move(_runQueue, _afterEnd);
            _hasEnded = true;
        }

        QueueAfterEnd();
    }

    private void QueueAfterEnd() => ThreadPool.UnsafeQueueUserWorkItem(static poller => poller.RunAfterEnd(), this, preferLocal: false);

    private void RunAfterEnd()
    {
        _own.Enter(this);
        SynchronizationContext.SetSynchronizationContext(Context);
        try
        {
            for (int done = 0; done < WorkPerPoolTurn; done++)
            {
                if (!TryTakeAfterEnd(out IPollerWork? work))
                {
                    return;
                }

                try
                {
                    Do(work);
                }
                catch (Exception exception) when (IsSurvivable(exception))
                {
                    Log.WorkFailed(_logger, exception, Name);
                }
            }
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(null);
            _own.Leave();
        }

        QueueAfterEnd();
    }

    private bool TryTakeAfterEnd([NotNullWhen(true)] out IPollerWork? work)
    {
        lock (_afterEndGate)
        {
            _isAfterEndRunning = _afterEnd.TryDequeue(out work);
            return _isAfterEndRunning;
        }
    }

    private static void Move(RunQueue source, RunQueue target)
    {
        while (source.TryDequeue(out IPollerWork? work))
        {
            target.Enqueue(work);
        }
    }
}
