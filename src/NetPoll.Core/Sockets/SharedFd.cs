using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Sockets;

/// <summary>A descriptor with one reader and one writer at a time, whose last user destroys it once it is closed. Any thread.</summary>
internal abstract class SharedFd
{
    private protected FdMutex _mutex;

    /// <summary>Takes a direction's lock if it is free.</summary>
    internal bool TryLock(PollMode mode) => _mutex.TryLock(mode);

    /// <summary>Leaves a direction's lock; the last user of a closed descriptor destroys it here.</summary>
    internal void Unlock(PollMode mode)
    {
        if (_mutex.Unlock(mode))
        {
            Destroy();
        }
    }

    /// <summary>Takes a direction's lock, after those who came before.</summary>
    /// <returns>False when the descriptor is closed.</returns>
    internal async ValueTask<bool> LockAsync(PollMode mode, CancellationToken cancellationToken)
    {
        while (true)
        {
#pragma warning disable CA2000 // The semaphore is the mutex's.
            switch (_mutex.TryLockOrEnqueue(mode, out SemaphoreSlim? turn))
#pragma warning restore CA2000
            {
                case LockAttempt.Held:
                    return true;
                case LockAttempt.Closed:
                    return false;
                default:
                    await WaitForTurn(turn!, mode, cancellationToken).BackToPoller();
                    break;
            }
        }
    }

    private async ValueTask WaitForTurn(SemaphoreSlim turn, PollMode mode, CancellationToken cancellationToken)
    {
        try
        {
            await turn.WaitAsync(cancellationToken).BackToPoller();
        }
        catch (OperationCanceledException)
        {
            _mutex.LeaveQueue(mode);
            throw;
        }
    }

    private protected void RemoveReference()
    {
        if (_mutex.RemoveReference())
        {
            Destroy();
        }
    }

    /// <summary>Gives the descriptor up. Once, by the last user.</summary>
    protected abstract void Destroy();
}
