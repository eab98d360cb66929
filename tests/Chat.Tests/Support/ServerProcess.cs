using System.Globalization;
using NetPoll.Tests;

namespace Chat.Tests.Support;

/// <summary>The real server in a process of its own, on a port that the system chose.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private ServerProcess(ProgramProcess program, int port, int ircPort)
    {
        Program = program;
        Port = port;
        IrcPort = ircPort;
    }

    public ProgramProcess Program { get; }

    public int Port { get; }

    /// <summary>The port for IRC clients; 0 if there is none.</summary>
    public int IrcPort { get; }

    /// <summary>How many descriptors the server has open that are no files: the runtime opens libraries as they are first needed.</summary>
    public int Descriptors => Directory.GetFiles($"/proc/{Program.Id}/fd")
        .Count(static descriptor => new FileInfo(descriptor).LinkTarget is { } target && !target.StartsWith('/'));

    /// <summary>
    /// Starts it; returns when it has said where it listens. Unless the options say otherwise, it keeps nothing, and nobody says too much.
    /// </summary>
    public static async Task<ServerProcess> Start(params string[] options)
    {
        ProgramProcess program = Run([.. Unless("--port", "0"), .. Unless("--data", "memory"), .. Unless("--flood-burst", "1000000"), .. options]);
        string[] Unless(string option, string value) => options.Contains(option) ? [] : [option, value];
        try
        {
            string listening = await program.Prints(
                "where the server listens", static line => line.StartsWith("Chat server: listening on ", StringComparison.Ordinal));
            await program.Prints("Ctrl-C stops the server.");
            string? irc = program.Output.FirstOrDefault(static line => line.StartsWith("IRC clients: ", StringComparison.Ordinal));
            return new ServerProcess(program, PortIn(listening), irc is null ? 0 : PortIn(irc));
        }
        catch
        {
            await program.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs the server program with this command line.</summary>
    public static ProgramProcess Run(params string[] arguments) => new("Chat.Server", arguments);

    /// <summary>Waits until the server has logged this.</summary>
    public Task Logs(string text)
        => Program.Prints($"the server's log of '{text}'", line => line.Contains(text, StringComparison.Ordinal));

    /// <summary>Waits until the server's descriptors are as many.</summary>
    public Task HasDescriptors(int count) => Eventually.Equal("the server's descriptors", count, () => Descriptors);

    public ValueTask DisposeAsync() => Program.DisposeAsync();

    private static int PortIn(string line) => int.Parse(line[(line.LastIndexOf(':') + 1)..], CultureInfo.InvariantCulture);
}
