namespace NetPoll.Core.Scheduling;

/// <summary>Brings the code after an <c>await</c> back to its poller's thread.</summary>
internal sealed class PollerSynchronizationContext : SynchronizationContext
{
    private readonly Poller _poller;

    internal PollerSynchronizationContext(Poller poller) => _poller = poller;

    public override void Post(SendOrPostCallback d, object? state) => _poller.Post(new CallbackWork(d, state));

    /// <summary>Runs the callback on the poller's thread and waits for it: a caller on another poller's thread blocks that poller.</summary>
    public override void Send(SendOrPostCallback d, object? state)
    {
        if (_poller.IsCurrent)
        {
            d(state);
            return;
        }

        using ManualResetEventSlim done = new();
        System.Runtime.ExceptionServices.ExceptionDispatchInfo? failure = null;
        Post(
            _ =>
            {
                try
                {
                    d(state);
                }
#pragma warning disable CA1031 // The exception is the sender's: it is thrown again on his thread.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    failure = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(exception);
                }
                finally
                {
                    done.Set();
                }
            },
            null);
        done.Wait();
        failure?.Throw();
    }

    public override SynchronizationContext CreateCopy() => this;
}
