using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Chat.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

(ServerOptions? options, ExitCode exit) = CommandLine.Read(
    args, Environment.GetEnvironmentVariables(), Environment.CurrentDirectory, Console.In, Console.Out, Console.Error);
if (options is null)
{
    return (int)exit;
}

// The first signal stops in order, a second one ends the program at once.
var stop = new TaskCompletionSource<PosixSignal>(TaskCreationOptions.RunContinuationsAsynchronously);
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);

using ILoggerFactory loggers = LoggerFactory.Create(static logging => logging
    .AddSimpleConsole(static console =>
    {
        console.SingleLine = true;
        console.TimestampFormat = "HH:mm:ss ";
        console.ColorBehavior = LoggerColorBehavior.Default;
    })

    // The announcement says where it listens.
    .AddFilter("NetPoll", LogLevel.Warning)
    .AddFilter("Proto", LogLevel.Warning));
Proto.Log.SetLoggerFactory(loggers);

ServerHost host;
try
{
    host = await ServerHost.StartAsync(options, loggers);
}
catch (ListenException exception)
{
    return Fail(Reason(options, exception));
}
catch (IOException exception)
{
    return Fail($"cannot start: {exception.Message}");
}
catch (PlatformNotSupportedException exception)
{
    return Fail(exception.Message);
}
catch (Win32Exception exception)
{
    return Fail($"cannot start {options.Pollers} pollers: {exception.Message.TrimEnd('.')}; expected fewer by --pollers, or more open files allowed");
}

foreach (string line in Announcement.Lines(
    host.EndPoint, Environment.MachineName, host.IrcEndPoint, options.Data is null ? null : Path.GetFullPath(options.Data)))
{
    Console.WriteLine(line);
}

ILogger logger = loggers.CreateLogger("Chat.Server");
await Task.WhenAny(stop.Task, host.DrainRequested);
string cause = stop.Task.IsCompleted ? (await stop.Task).ToString() : $"drain asked for by {await host.DrainRequested}";
Log.Stopping(logger, cause, options.DrainTimeout);
await host.StopAsync();
Log.Stopped(logger);
return (int)ExitCode.Success;

void Stop(PosixSignalContext context) => context.Cancel = stop.TrySetResult(context.Signal);

static int Fail(string why)
{
    Console.Error.WriteLine($"chat-server: {why}");
    return (int)ExitCode.StartFailed;
}

static string Reason(ServerOptions options, ListenException exception) => (exception.InnerException?.InnerException as SocketException)?.SocketErrorCode switch
{
    SocketError.AddressAlreadyInUse =>
        $"cannot listen: port {exception.Port} of {options.Address} is in use; expected a free one: stop the program that has it, or choose another by --port",
    SocketError.AddressNotAvailable => $"cannot listen: {options.Address} is no address of this machine; expected one by --host, or 'any'",
    SocketError.AccessDenied => $"cannot listen: port {exception.Port} is not allowed to this user; expected one that is, such as 1024 or above",
    _ => $"cannot start: {exception.Message}",
};
