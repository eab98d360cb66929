namespace NetPoll.Actors.Tests.Support;

/// <summary>Waiting for a task: it either ends or the test fails, and no test hangs.</summary>
internal static class Patience
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static Task Soon(this Task task) => task.WaitAsync(Limit, TestContext.Current.CancellationToken);

    public static Task<T> Soon<T>(this Task<T> task) => task.WaitAsync(Limit, TestContext.Current.CancellationToken);

    public static Task<T> Soon<T>(this ValueTask<T> task) => task.AsTask().Soon();

    public static Task Soon(this ValueTask task) => task.AsTask().Soon();
}
