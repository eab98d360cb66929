namespace NetPoll.Bench;

/// <summary>Answers the commands on standard input: <c>memory</c> prints what the process holds.</summary>
internal static class MemoryReport
{
    /// <summary>Runs until standard input ends, and then for ever: a server that is started without one just serves.</summary>
    /// <param name="connections">How many connections the server has.</param>
    internal static async Task AnswerAsync(Func<int> connections)
    {
        while (await Console.In.ReadLineAsync() is { } command)
        {
            if (command != "memory")
            {
                Console.WriteLine($"unknown command '{command}'; expected memory");
                continue;
            }

            // Twice: what the first round finalizes, the second one frees.
            Collect();
            Collect();
            Console.WriteLine($"managed={GC.GetTotalMemory(forceFullCollection: false)} resident={Environment.WorkingSet} connections={connections()}");
        }

        await Task.Delay(Timeout.Infinite);
    }

    private static void Collect()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
    }
}
