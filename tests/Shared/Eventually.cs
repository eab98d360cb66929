using System.Diagnostics;

namespace NetPoll.Tests;

/// <summary>Waiting in tests: always for a condition that has a name, never for a length of time.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    /// <summary>Waits until the condition holds; after 30 s it throws with the condition's name.</summary>
    public static Task True(string what, Func<bool> condition) => Equal(what, true, condition);

    /// <summary>Waits until the value is the expected one; after 30 s it throws with the value's name and what it was last.</summary>
    public static Task Equal<T>(string what, T expected, Func<T> actual) => Equal(what, expected, () => Task.FromResult(actual()));

    /// <summary>As the other, for a value that is asked for.</summary>
    public static async Task Equal<T>(string what, T expected, Func<Task<T>> actual)
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            T last = await actual();
            if (EqualityComparer<T>.Default.Equals(last, expected))
            {
                return;
            }

            if (Stopwatch.GetElapsedTime(start) > Limit)
            {
                throw new TimeoutException($"Waited {Limit.TotalSeconds} s for: {what}. Expected {expected}, last was {last}.");
            }

            await Task.Delay(Pause, cancellation);
        }
    }
}
