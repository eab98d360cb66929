using Chat.Protocol;

namespace Chat.Client;

/// <summary>Shows the conversation as lines of <see cref="PlainFormat"/>, each written out at once.</summary>
internal sealed class PlainView : IView
{
    private readonly Lock _lock = new();
    private readonly TextWriter _output;

    public PlainView(TextWriter output) => _output = output;

    public void Show(ServerFrame frame, ClientFrame? request)
    {
        foreach (string line in PlainFormat.Lines(frame, request))
        {
            Write(line);
        }
    }

    public void ShowError(string text) => Write(PlainFormat.Error(text));

    public void ShowCurrentRoom(string? room)
    {
        if (room is not null)
        {
            Write(PlainFormat.CurrentRoom(room));
        }
    }

    public void ShowConnection(bool isOnline, string why) => Write(PlainFormat.Connection(isOnline, why));

    public void ShowHelp() => Write(PlainFormat.Help());

    private void Write(string line)
    {
        lock (_lock)
        {
            _output.Write(line + "\n");
            _output.Flush();
        }
    }
}
