using System.Runtime.InteropServices;
using Chat.Load;

(LoadOptions? options, ExitCode exit) = CommandLine.Read(args, Console.Out, Console.Error);
if (options is null)
{
    return (int)exit;
}

using var stop = new CancellationTokenSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
{
    // The first one ends the speaking early, and the result is still told.
    context.Cancel = !stop.IsCancellationRequested;
    stop.Cancel();
});
try
{
    LoadResult result = await new LoadRun(options, Console.Error).RunAsync(stop.Token);
    foreach (string line in result.Lines())
    {
        Console.WriteLine(line);
    }

    return (int)(result.IsClean ? ExitCode.Success : ExitCode.Failure);
}
catch (LoadException exception)
{
    Console.Error.WriteLine($"chat-load: {exception.Message}");
    return (int)ExitCode.NotStarted;
}
