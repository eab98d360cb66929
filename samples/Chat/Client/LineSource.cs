using System.Threading.Channels;

namespace Chat.Client;

/// <summary>Lines of input, read by a thread of their own: reading cannot be interrupted, and the conversation must not wait for it.</summary>
internal static class LineSource
{
    /// <summary>Lines that are read ahead; beyond that the reader waits, so a large file is not taken into memory.</summary>
    private const int Ahead = 16;

    /// <summary>The lines of a text.</summary>
    public static ChannelReader<string> FromText(TextReader input) => Start(lines =>
    {
        while (input.ReadLine() is { } line)
        {
            Give(lines, line);
        }
    });

    /// <summary>The lines that are typed on the console, shown by the view while they are.</summary>
    public static ChannelReader<string> FromKeys(TerminalView view, Func<ConsoleKeyInfo> readKey) => Start(lines =>
    {
        while (true)
        {
            switch (view.Take(readKey(), out string line))
            {
                case LineEditor.Outcome.Entered:
                    Give(lines, line);
                    break;
                case LineEditor.Outcome.Ended:
                    return;
            }
        }
    });

    private static ChannelReader<string> Start(Action<ChannelWriter<string>> read)
    {
        var lines = Channel.CreateBounded<string>(Ahead);
        var thread = new Thread(() =>
        {
            try
            {
                read(lines.Writer);
                lines.Writer.Complete();
            }
            catch (Exception exception) when (exception is IOException or InvalidOperationException)
            {
                // The input cannot be read any further: for the conversation that is its end, with a reason.
                lines.Writer.Complete(new ConnectionLostException($"the input cannot be read: {exception.Message}", exception));
            }
        })
        {
            IsBackground = true,
            Name = "input",
        };
        thread.Start();
        return lines.Reader;
    }

    private static void Give(ChannelWriter<string> lines, string line) => lines.WriteAsync(line).AsTask().GetAwaiter().GetResult();
}
