using Chat.Client;
using Chat.Protocol;

namespace Chat.Tests.Client;

public sealed class TerminalViewTests : IDisposable
{
    private const string Erase = "\r\u001b[K";

    private readonly StringWriter _output = new();
    private readonly TerminalView _view;

    public TerminalViewTests()
    {
        _view = new TerminalView(_output, static () => 40, TimeZoneInfo.Utc, colours: false);
        _view.Show(new ServerFrame { Joined = new Joined { Room = "lobby", Members = { "ada" } } }, null);
    }

    public void Dispose() => _output.Dispose();

    [Fact]
    public void A_message_scrolls_by_above_the_line_that_is_being_typed()
    {
        Type("hel");
        _output.GetStringBuilder().Clear();

        _view.Show(new ServerFrame { Message = new Message { Room = "lobby", From = "bob", Text = "hi", TimeUnixMilliseconds = 60_000 } }, null);

        Assert.Equal($"{Erase}00:01 <bob> hi\n{Erase}lobby> hel", _output.ToString());
    }

    [Fact]
    public void The_cursor_is_put_back_where_it_was()
    {
        Type("hello");
        _view.Take(new ConsoleKeyInfo('\0', ConsoleKey.LeftArrow, false, false, false), out _);
        _output.GetStringBuilder().Clear();

        _view.ShowError("no");

        Assert.Equal($"{Erase}! no\n{Erase}lobby> hello\u001b[1D", _output.ToString());
    }

    [Fact]
    public void What_others_say_cannot_command_the_terminal()
    {
        _output.GetStringBuilder().Clear();

        _view.Show(new ServerFrame { Message = new Message { Room = "lobby", From = "b\u001b[2Job", Text = "\u001b[2J\nx\u009b" } }, null);

        Assert.Equal($"{Erase}00:00 <b\ufffd[2Job> \ufffd[2J\ufffdx\ufffd\n{Erase}lobby> ", _output.ToString());
    }

    [Fact]
    public void Another_name_is_told_once_however_many_rooms_tell_it()
    {
        _output.GetStringBuilder().Clear();

        foreach (string room in (string[])["lobby", "attic"])
        {
            _view.Show(new ServerFrame { Renamed = new Renamed { Room = room, OldName = "bob", NewName = "robert" } }, null);
        }

        Assert.Equal($"{Erase}* bob is robert now.\n{Erase}lobby> ", _output.ToString());
    }

    [Fact]
    public void The_line_is_taken_away_at_the_end()
    {
        Type("half a line");
        _output.GetStringBuilder().Clear();

        _view.Close();
        _view.Close();

        Assert.Equal(Erase, _output.ToString());
    }

    private void Type(string text)
    {
        foreach (char character in text)
        {
            _view.Take(new ConsoleKeyInfo(character, default, false, false, false), out _);
        }
    }
}
