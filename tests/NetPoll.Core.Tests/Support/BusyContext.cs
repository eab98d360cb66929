namespace NetPoll.Core.Tests.Support;

/// <summary>A context such as a window's whose thread is busy for good: what is posted to it never runs.</summary>
internal sealed class BusyContext : SynchronizationContext
{
    public override void Post(SendOrPostCallback d, object? state)
    {
        // The thread never comes to it.
    }

    /// <summary>Calls code that captures the context where it awaits.</summary>
    internal static T Call<T>(Func<T> code)
    {
        SynchronizationContext? before = Current;
        SetSynchronizationContext(new BusyContext());
        try
        {
            return code();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    /// <summary>Calls code that blocks, on a thread of its own.</summary>
    /// <param name="code">What blocks.</param>
    /// <param name="thread">The thread, to see whether it does.</param>
    internal static Task Block(Action code, out Thread thread)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        thread = new Thread(() =>
        {
            try
            {
                SetSynchronizationContext(new BusyContext());
                code();
                done.SetResult();
            }
#pragma warning disable CA1031 // The exception goes to the test that awaits.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                done.SetException(exception);
            }
        })
        {
            IsBackground = true,
        };
        thread.Start();
        return done.Task;
    }
}
