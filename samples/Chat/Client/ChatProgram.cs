using System.Threading.Channels;

namespace Chat.Client;

/// <summary>The program: from the command line to the exit code. It knows no global console, so that tests can run it.</summary>
internal static class ChatProgram
{
    // What a person at a terminal wants; a script that says nothing gets none of it.
    private const int TerminalHistory = 20;
    private static readonly TimeSpan TerminalPatience = TimeSpan.FromMinutes(10);

    /// <summary>Plain mode: lines in, one line out per event.</summary>
    public static async Task<ExitCode> RunPlainAsync(
        ClientOptions options, TextReader input, TextWriter output, TextWriter error, CancellationToken leave)
    {
        var conversation = new Conversation(
            options.ForMode(history: 0, reconnect: TimeSpan.Zero), new PlainView(output), LineSource.FromText(input));
        ExitCode exit = await RunAsync(conversation, error, leave);
        if (exit != ExitCode.Success || conversation.Refused == 0)
        {
            return exit;
        }

        await error.WriteLineAsync($"chat: {conversation.Refused} of the requests were refused, see the lines 'error'");
        return ExitCode.SomethingRefused;
    }

    /// <summary>For a person at a terminal.</summary>
    public static async Task<ExitCode> RunTerminalAsync(
        ClientOptions options, TerminalView view, Func<ConsoleKeyInfo> readKey, TextWriter error, CancellationToken leave)
    {
        ChannelReader<string> lines = LineSource.FromKeys(view, readKey);
        var conversation = new Conversation(options.ForMode(TerminalHistory, TerminalPatience), view, lines);
        return await RunAsync(conversation, error, leave, view.Close);
    }

    private static async Task<ExitCode> RunAsync(
        Conversation conversation, TextWriter error, CancellationToken leave, Action? close = null)
    {
        try
        {
            await conversation.RunAsync(leave);
            close?.Invoke();
            return ExitCode.Success;
        }
        catch (Exception exception) when (exception is ConnectionLostException or NameRefusedException)
        {
            close?.Invoke();
            await error.WriteLineAsync($"chat: {exception.Message}");
            return exception is NameRefusedException ? ExitCode.NameRefused : ExitCode.ConnectionFailed;
        }
    }
}
