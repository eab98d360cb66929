namespace NetPoll.Core.Tests.Support;

/// <summary>Running test code on a poller's thread.</summary>
internal static class PollerCalls
{
    /// <summary>Runs it on the poller's thread, and what comes after its awaits too.</summary>
    internal static Task RunAsync(this Poller poller, Func<Task> code) => poller.RunAsync(async () =>
    {
        await code();
        return true;
    });

    /// <inheritdoc cref="RunAsync(Poller, Func{Task})"/>
    internal static Task RunAsync(this Poller poller, Action code) => poller.RunAsync(() =>
    {
        code();
        return Task.FromResult(true);
    });

    /// <inheritdoc cref="RunAsync(Poller, Func{Task})"/>
    internal static Task<T> RunAsync<T>(this Poller poller, Func<Task<T>> code)
    {
        TaskCompletionSource<Task<T>> started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        poller.Post(() =>
        {
            try
            {
                started.SetResult(code());
            }
#pragma warning disable CA1031 // The exception goes to the test that awaits.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                started.SetException(exception);
            }
        });
        return started.Task.Unwrap();
    }
}
