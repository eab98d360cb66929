using System.Diagnostics;

namespace NetPoll.Tests;

/// <summary>Explicit tests in a process of their own, for what they take from the whole process. Needs a system with <c>/bin/sh</c>.</summary>
internal static class OwnProcess
{
    // More than the tests that run here ever keep busy at once.
    private const int WarmThreads = 16;

    /// <summary>Runs one explicit test of this assembly where at most so many descriptors may be open; fails with all that it said.</summary>
    internal static async Task PassesWithDescriptors(int limit, Type testClass, string method)
    {
        using Process child = Process.Start(new ProcessStartInfo("/bin/sh")
        {
            ArgumentList =
            {
                "-c",
                $"ulimit -n {limit}; exec \"$0\" -noColor -explicit only -method \"$1\"",
                Path.Combine(AppContext.BaseDirectory, testClass.Assembly.GetName().Name!),
                $"{testClass.FullName}.{method}",
            },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> output = child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> errors = child.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);

        await child.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        string said = await output + await errors;

        Assert.True(child.ExitCode == 0, said);
        Assert.Contains("Failed: 0", said, StringComparison.Ordinal);
        Assert.Contains("Total: 1,", said, StringComparison.Ordinal);
    }

    /// <summary>
    /// Has the thread pool start its threads while there are descriptors: the runtime cannot start one without, and gives up with "Out of
    /// memory". Until there are some again the test must not ask for more.
    /// </summary>
    internal static async Task WarmThreadPool()
    {
        ThreadPool.SetMinThreads(WarmThreads, WarmThreads);
        using Barrier together = new(WarmThreads);
        await Task.WhenAll(Enumerable.Range(0, WarmThreads).Select(_ => Task.Run(together.SignalAndWait))).WaitAsync(TimeSpan.FromSeconds(30));
    }
}
