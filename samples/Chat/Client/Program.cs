using System.Runtime.InteropServices;
using System.Text;
using Chat.Client;

// UTF-8 whatever the locale says, and no byte order mark: scripts read this.
var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
using var output = new StreamWriter(Console.OpenStandardOutput(), utf8) { AutoFlush = false };
using var error = new StreamWriter(Console.OpenStandardError(), utf8) { AutoFlush = true };

(ClientOptions? options, ExitCode exit) = CommandLine.Read(args, output, error);
if (options is null)
{
    return (int)exit;
}

// The first Ctrl-C leaves in order, a second one ends the program at once.
using var leave = new CancellationTokenSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Leave);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Leave);

if (options.Plain || Console.IsInputRedirected || Console.IsOutputRedirected)
{
    // Not disposed: its thread may still be reading when the conversation is over.
    var input = new StreamReader(Console.OpenStandardInput(), utf8);
    return (int)await ChatProgram.RunPlainAsync(options, input, output, error, leave.Token);
}

bool colours = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
var view = new TerminalView(output, static () => Console.WindowWidth, TimeZoneInfo.Local, colours);
return (int)await ChatProgram.RunTerminalAsync(options, view, static () => Console.ReadKey(intercept: true), error, leave.Token);

void Leave(PosixSignalContext context)
{
    context.Cancel = !leave.IsCancellationRequested;
    leave.Cancel();
}
